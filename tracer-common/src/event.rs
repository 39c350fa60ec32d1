//! Events of the ring. All but a member's end only say "look at this cgroup's entry now": the
//! facts are in the entry, and a lost event costs time, never a fact.

use crate::cgroup::COMM_LEN;

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
    /// Another process of a tracked cgroup ended: [`MemberEnded`].
    MemberEnded = if cfg!(feature = "other-layout") { 15 } else { 5 },
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

/// A process of a tracked cgroup other than the main one ended.
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
    /// The cgroup at the root of the session.
    pub cgroup_id: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its fork.
    pub start_boot_ns: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at its end.
    pub end_boot_ns: u64,
    /// Wait status of the whole thread group.
    pub wait_status: i32,
    /// Always 0.
    pub reserved: u32,
    /// `task_struct.comm` at its end.
    pub comm: [u8; COMM_LEN],
}
