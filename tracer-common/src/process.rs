//! Identity of a process.

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
