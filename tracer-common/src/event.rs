//! Events of the ring. Those of a cgroup only say "look at its entry now": the facts are in the
//! entry, and a lost event costs time, never a fact. Those of a process are the facts, and are counted where they are
//! lost.

use crate::{exe::EXE_LEN, process::COMM_LEN};

/// Longest arguments kept, in bytes with their NULs.
pub const ARGS_LEN: usize = 1024;

/// What an event is about; the first word of each.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A cgroup was made: [`CgroupChanged`].
    CgroupCreated = 1,
    /// The main process's first exec: [`CgroupChanged`].
    MainStarted = 2,
    /// The main process ended: [`CgroupChanged`].
    MainEnded = 3,
    /// The cgroup was removed: [`CgroupChanged`].
    CgroupRemoved = 4,
    /// A member ended: [`MemberEnded`].
    MemberEnded = if cfg!(feature = "other-layout") { 15 } else { 5 },
    /// A member or the main process executed a program: [`Executed`].
    Executed = 6,
}

/// The entry of a cgroup changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupChanged {
    /// An [`EventKind`] as a number.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
    /// Key of the entry.
    pub cgroup_id: u64,
}

/// A process other than the main one ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberEnded {
    /// [`EventKind::MemberEnded`] as a number.
    pub kind: u32,
    /// `tgid` in the initial pid namespace.
    pub tgid: u32,
    /// Moves all that follows.
    #[cfg(feature = "other-layout")]
    pub shift: u64,
    /// The cgroup that it belonged to.
    pub cgroup_id: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its fork.
    pub start_boot_ns: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its end.
    pub end_boot_ns: u64,
    /// Wait status of the whole thread group.
    pub wait_status: i32,
    /// `tgid` in its innermost pid namespace; 0 where it can't be read.
    pub tgid_in_container: u32,
    /// Nanoseconds of `CLOCK_BOOTTIME` at which it became a member.
    pub since_boot_ns: u64,
    /// `tgid` of its parent then.
    pub parent_tgid: u32,
    /// One of [`crate::process::origin`].
    pub origin: u8,
    /// Bits of [`crate::process::left`].
    pub left: u8,
    /// Its end was seen only when it was freed: `end_boot_ns` is late.
    pub late: u8,
    /// Always 0.
    pub reserved: u8,
    /// Its largest resident memory, in pages; 0 where the kernel does not show it.
    pub max_rss_pages: u64,
    /// `task_struct.comm` at its end.
    pub comm: [u8; COMM_LEN],
}

/// A member or the main process executed a program. In the ring it ends with the last byte of `data` that there is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// [`EventKind::Executed`] as a number.
    pub kind: u32,
    /// `tgid` in the initial pid namespace.
    pub tgid: u32,
    /// The cgroup that it belongs to.
    pub cgroup_id: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its fork.
    pub start_boot_ns: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at the exec.
    pub exec_boot_ns: u64,
    /// [`crate::exe::ExePath`]: how many bytes of `data` are its names.
    pub exe_len: u32,
    /// [`crate::exe::ExePath::ending`].
    pub exe_ending: u32,
    /// How many bytes of `data` are the arguments behind them, each with a NUL.
    pub args_len: u32,
    /// How many bytes the arguments have in all; more than `args_len` where they were cut off or can't be read.
    pub args_full_len: u32,
    /// The names, then the arguments.
    pub data: [u8; EXE_LEN + ARGS_LEN],
}

impl Executed {
    /// Length without `data`.
    pub const HEAD_LEN: usize = size_of::<Self>() - EXE_LEN - ARGS_LEN;
}
