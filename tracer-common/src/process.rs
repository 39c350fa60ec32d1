//! Identity of a process, and what is kept of a member.

/// `TASK_COMM_LEN` of include/linux/sched.h.
pub const COMM_LEN: usize = 16;

/// A process for as long as the machine runs: pids are reused, start times are not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// `task_struct.tgid`, in the initial pid namespace.
    pub tgid: u32,
    /// Always 0: hash maps compare keys byte by byte.
    pub reserved: u32,
    /// `task_struct.start_boottime` of the group leader, nanoseconds of `CLOCK_BOOTTIME`. An exec
    /// from a thread that is not the leader keeps it (`de_thread` in fs/exec.c copies it).
    pub start_boot_ns: u64,
}

impl ProcessKey {
    /// The key of the process `tgid` that started at `start_boot_ns`.
    #[must_use]
    #[inline(always)]
    pub const fn new(tgid: u32, start_boot_ns: u64) -> Self {
        Self { tgid, reserved: 0, start_boot_ns }
    }
}

// SAFETY: `repr(C)`, integers only, no implicit padding: any bytes are a valid value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for ProcessKey {}

/// How a process became a member.
pub mod origin {
    /// A member forked it.
    pub const FORKED: u8 = 0;
    /// It was moved into the cgroup.
    pub const ATTACHED: u8 = 1;
    /// It was born in the cgroup of a parent outside (CLONE_INTO_CGROUP).
    pub const CLONED_INTO: u8 = 2;
    /// It was in the cgroup already: found by the scan, or at its exec where its coming was not seen.
    pub const FOUND: u8 = 3;
    /// It executed a program in the mount namespace of a session's main process.
    pub const NAMESPACE: u8 = 4;
}

/// Where a member went; bits.
pub mod left {
    /// To a cgroup outside its session.
    pub const CGROUP: u8 = 1;
    /// To another mount namespace than the main process's, in which it executed a program.
    pub const MOUNT_NAMESPACE: u8 = 2;
}

/// What a member is to its cgroup; bits.
pub mod role {
    /// It was inside before the main process began to run: the runtime's own.
    pub const RUNTIME: u8 = 1;
    /// It is the main process.
    pub const MAIN: u8 = 2;
}

/// What has happened to a member; bits.
pub mod state {
    /// Its end was seen.
    pub const ENDED: u8 = 1;
    /// It was in the main process's mount namespace, or its parent was.
    pub const IN_NAMESPACE: u8 = 2;
}

/// What is kept of a process that belongs to a cgroup of ours.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The cgroup that it belongs to.
    pub cgroup_id: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at which it became a member.
    pub since_boot_ns: u64,
    /// `tgid` of its parent then.
    pub parent_tgid: u32,
    /// One of [`origin`].
    pub origin: u8,
    /// Bits of [`left`].
    pub left: u8,
    /// Bits of [`role`].
    pub role: u8,
    /// Bits of [`state`].
    pub state: u8,
    /// How often its leader's exit was seen since its last exec. Needed where the kernel does not say which
    /// exit is the group's last.
    pub leader_exits: u64,
}

// SAFETY: `repr(C)`, integers only, no implicit padding: any bytes are a valid value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Member {}
