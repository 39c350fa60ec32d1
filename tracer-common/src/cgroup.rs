//! The value that the kernel keeps for every candidate and tracked cgroup. The end of a session
//! lives here and not in the ring, so that a full ring loses no end.

use crate::exe::ExePath;
use crate::process::COMM_LEN;
use crate::signal::{SIGNALS, SignalSent};

/// Longest cgroup path kept, in bytes with its NUL. The longest grammar in use (a systemd slice
/// tree of kind inside docker) takes some 330.
pub const PATH_LEN: usize = 512;

/// Steps that a cgroup has gone through. Each is a byte of its own and goes from 0 to 1 once, so that two
/// CPUs never undo each other's; each is written after the fields that it is about.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The entry's path and times of creation are in place.
    pub created: u8,
    /// A process was attached to the cgroup or born in it.
    pub entered: u8,
    /// `main` holds the main process.
    pub main_started: u8,
    /// `main` was a process already running when the programs were attached: its exec was not
    /// seen.
    pub main_scanned: u8,
    /// `end` holds the main process's end.
    pub main_ended: u8,
    /// The end was seen only when the process was freed: `end.boot_ns` is late.
    pub end_late: u8,
    /// The OOM killer chose the main process.
    pub oom_victim: u8,
    /// The cgroup was removed.
    pub removed: u8,
    /// The main process was freed: `main_usage` holds all that it used.
    pub main_freed: u8,
    /// Always 0.
    pub reserved: [u8; 7],
}

impl Steps {
    /// Whether the main process is known: seen to start, or found running.
    #[inline(always)]
    #[must_use]
    pub const fn has_main(&self) -> bool {
        self.main_started | self.main_scanned != 0
    }
}

/// The main process: who.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Main {
    /// `tgid` in the initial pid namespace.
    pub tgid: u32,
    /// `tgid` in the innermost pid namespace of the process.
    pub tgid_in_container: u32,
    /// Nanoseconds of `CLOCK_BOOTTIME` at which the process was forked; see
    /// [`crate::process::ProcessKey`].
    pub start_boot_ns: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its first exec in the cgroup; 0 when scanned.
    pub exec_boot_ns: u64,
    /// `tgid` of its parent at that exec.
    pub parent_tgid: u32,
    /// Always 0.
    pub reserved: u32,
    /// Id of its mount namespace, never given twice; 0 where it could not be read.
    pub mount_namespace: u64,
    /// `task_struct.comm` after the exec.
    pub comm: [u8; COMM_LEN],
    /// The executable's path.
    pub exe: ExePath,
}

/// The main process: how it ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Moves it behind the status.
    #[cfg(feature = "other-layout")]
    pub wait_status: i32,
    /// As below.
    #[cfg(feature = "other-layout")]
    pub seal: u32,
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub boot_ns: u64,
    /// Wait status of the whole thread group, as wait(2) gives it.
    #[cfg(not(feature = "other-layout"))]
    pub wait_status: i32,
    /// [`End::seal`] of the other two: a copy made while they were written does not have it.
    #[cfg(not(feature = "other-layout"))]
    pub seal: u32,
}

impl End {
    /// An end, sealed.
    #[must_use]
    #[inline(always)]
    pub const fn new(boot_ns: u64, wait_status: i32) -> Self {
        Self { boot_ns, wait_status, seal: Self::seal(boot_ns, wait_status) }
    }

    /// What stands in `seal`.
    #[must_use]
    #[inline(always)]
    pub const fn seal(boot_ns: u64, wait_status: i32) -> u32 {
        (boot_ns as u32) ^ ((boot_ns >> 32) as u32) ^ (wait_status as u32) ^ 0x5ea1_ed00
    }
}

/// The last process that was freed in a cgroup without a main process, of those that had executed a program:
/// the main one, where the kernel skipped the programs that see its exec and its exit.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Nanoseconds of `CLOCK_BOOTTIME` at its fork.
    pub start_boot_ns: u64,
    /// How it ended, seen when it was freed.
    pub end: End,
    /// `tgid` in the initial pid namespace; 0 for none.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
}

/// How many processes of a cgroup have done what. Each only grows, and several CPUs add to it at once.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Became members after the main process began to run.
    pub members: u64,
    /// Of these, ended.
    pub members_ended: u64,
    /// Of these, came from outside: not forked by a member.
    pub entered: u64,
    /// Of these, went to another cgroup or mount namespace.
    pub left: u64,
    /// Were inside before the main process began to run: the runtime's own.
    pub runtime: u64,
    /// Cgroups that its processes made and that have had an entry.
    pub made: u64,
    /// Processes of its own and cgroups made by them of which nothing is kept: over what one session may take.
    pub unkept: u64,
}

/// What processes used, as getrusage(2) counts it, each process with all its threads and without its children. Taken
/// when a process is freed, so that nothing of it is to come.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many processes the others are of.
    pub processes: u64,
    /// Nanoseconds on a CPU.
    pub cpu_ns: u64,
    /// Page faults without input or output.
    pub minor_faults: u64,
    /// Page faults with.
    pub major_faults: u64,
}

/// One cgroup of the default (v2) hierarchy.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupEntry {
    /// First, so that a reader who copies forwards sees no step before its fields.
    pub steps: Steps,
    /// Moves all that follows.
    #[cfg(feature = "other-layout")]
    pub shift: [u64; 5],
    /// Set by userspace for a cgroup it found running: `tgid` of the runtime's init process, which
    /// the scan takes for the main process; 0 for none.
    pub scan_main_tgid: u32,
    /// Length of `path` with its NUL.
    pub path_len: u32,
    /// Bytes of [`Interest::cgroups`](crate::interest::Interest::cgroups) before its mark, and one; 0 for none.
    pub mark: u32,
    /// Always 0.
    pub reserved: u32,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its mkdir; at the scan for one found running.
    pub created_boot_ns: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its rmdir.
    pub removed_boot_ns: u64,
    /// The main process, once `steps.main_started`.
    pub main: Main,
    /// Its end, once `steps.main_ended`.
    pub end: End,
    /// Signals sent to it until then.
    pub signals: [SignalSent; SIGNALS],
    /// Who may have been the main process, while none was seen.
    pub last: Last,
    /// How many processes did what.
    pub counts: Counts,
    /// What the main process used, once `steps.main_freed`.
    pub main_usage: Usage,
    /// Its largest resident memory, in pages; once `steps.main_freed`.
    pub main_max_rss_pages: u64,
    /// What its members used, as far as they were freed.
    pub members_usage: Usage,
    /// Path below the hierarchy's root, NUL-terminated.
    pub path: [u8; PATH_LEN],
}

impl CgroupEntry {
    /// An entry in which nothing has happened yet.
    pub const EMPTY: Self = Self {
        steps: Steps {
            created: 0,
            entered: 0,
            main_started: 0,
            main_scanned: 0,
            main_ended: 0,
            end_late: 0,
            oom_victim: 0,
            removed: 0,
            main_freed: 0,
            reserved: [0; 7],
        },
        #[cfg(feature = "other-layout")]
        shift: [0; 5],
        scan_main_tgid: 0,
        path_len: 0,
        mark: 0,
        reserved: 0,
        created_boot_ns: 0,
        removed_boot_ns: 0,
        main: Main {
            tgid: 0,
            tgid_in_container: 0,
            start_boot_ns: 0,
            exec_boot_ns: 0,
            parent_tgid: 0,
            reserved: 0,
            mount_namespace: 0,
            comm: [0; COMM_LEN],
            exe: ExePath::NONE,
        },
        end: End { boot_ns: 0, wait_status: 0, seal: 0 },
        signals: [SignalSent::NONE; SIGNALS],
        last: Last {
            start_boot_ns: 0,
            end: End { boot_ns: 0, wait_status: 0, seal: 0 },
            tgid: 0,
            reserved: 0,
        },
        counts: Counts { members: 0, members_ended: 0, entered: 0, left: 0, runtime: 0, made: 0, unkept: 0 },
        main_usage: Usage { processes: 0, cpu_ns: 0, minor_faults: 0, major_faults: 0 },
        main_max_rss_pages: 0,
        members_usage: Usage { processes: 0, cpu_ns: 0, minor_faults: 0, major_faults: 0 },
        path: [0; PATH_LEN],
    };
}

// SAFETY: `repr(C)`, integers and arrays of them, padding named: any bytes are a valid value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for CgroupEntry {}
