//! What the kernel side and userspace share, and nothing else: the values of the maps, the events
//! of the ring, the globals that userspace sets before loading, and the kinds of loss.
//!
//! All types are `#[repr(C)]`, without padding that is not named, and of fixed size, so that both
//! sides and every kernel agree on them.
#![no_std]

pub mod cgroup;
pub mod event;
pub mod exe;
pub mod fields;
pub mod interest;
pub mod kept;
pub mod layout;
pub mod loss;
pub mod process;
pub mod signal;

/// Names of the maps, as userspace finds them in the object.
pub mod maps {
    /// cgroup id -> [`crate::cgroup::CgroupEntry`]: every candidate and tracked cgroup.
    pub const CGROUPS: &str = "CGROUPS";
    /// cgroup id -> id of the cgroup at the root of its session. Written by userspace.
    pub const TRACKED: &str = "TRACKED";
    /// cgroup id -> anything: own cgroups of containers that are no session. Written by userspace.
    pub const SETTLED: &str = "SETTLED";
    /// [`crate::process::ProcessKey`] -> cgroup id: main processes that have not ended.
    pub const MAINS: &str = "MAINS";
    /// [`crate::process::ProcessKey`] -> [`crate::process::Member`]: every process that belongs to a cgroup of ours,
    /// from its coming until it is freed.
    pub const MEMBERS: &str = "MEMBERS";
    /// Id of a mount namespace -> [`crate::interest::Namespace`]: those of main processes.
    pub const NAMESPACES: &str = "NAMESPACES";
    /// Ring of [`crate::event`]s.
    pub const EVENTS: &str = "EVENTS";
    /// Per-CPU counters of [`crate::loss::Loss`].
    pub const LOST: &str = "LOST";
    /// One word that only userspace writes: nanoseconds of `CLOCK_BOOTTIME` until which the ring is read.
    /// After it a cgroup that is not claimed keeps its entry and reports nothing of its members.
    pub const READ_UNTIL: &str = ".data.reader";
    /// [`crate::kept::Kept`]; written by userspace alone.
    pub const KEPT: &str = "KEPT";
    /// [`crate::interest::Interest`]; written by programs alone.
    pub const INTEREST: &str = ".bss";
}
