//! What every hook looks at before anything else: small, so that it lies in one page of memory.

/// Places for cgroups. A power of two.
pub const CGROUPS: usize = 512;
/// Places for mount namespaces. A power of two.
pub const NAMESPACES: usize = 256;

/// Bit of [`Interest::entries`]: the marks are not enough to know whose tasks are of no interest.
pub const LOOK_AT_ALL: u64 = 1 << 63;

/// How much is of interest, and where. Only programs write it, since they can add to a word that
/// others add to as well; userspace has its changes made by the program [`ACCOUNT`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    /// Entries of `CGROUPS`, and [`LOOK_AT_ALL`]. 0 says that no hook has anything to look up.
    pub entries: u64,
    /// Whether a cgroup was made below a session's own or a settled one, of which nothing is kept.
    pub below: u64,
    /// Always 0.
    pub reserved: [u64; 6],
    /// Marks on cgroups, by where the kernel keeps each: how many entries are of one of this place,
    /// and [`STAYS`] for each that a member sits in whose entry is another's.
    pub cgroups: [u32; CGROUPS],
    /// Marks on mount namespaces, by where the kernel keeps each: how many of this place are a
    /// main process's.
    pub namespaces: [u32; NAMESPACES],
}

/// What a mark of a cgroup counts that stays until there is no entry. More than there can be entries.
pub const STAYS: u32 = 1 << 20;

impl Interest {
    /// Nothing is of interest.
    pub const NONE: Self =
        Self { entries: 0, below: 0, reserved: [0; 6], cgroups: [0; CGROUPS], namespaces: [0; NAMESPACES] };
}

// SAFETY: `repr(C)`, integers only, no implicit padding: any bytes are a valid value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Interest {}

/// A map value: the session whose main process lives in a mount namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// The cgroup of the main process.
    pub cgroup_id: u64,
    /// Bytes of [`Interest::namespaces`] before its mark.
    pub mark: u32,
    /// Always 0.
    pub reserved: u32,
}

/// The program that changes [`Interest`] for userspace. It is attached nowhere: userspace runs it,
/// with a cgroup and a change. With a cgroup, it removes the cgroup's entry and all that it marks; with
/// 0, it adds the change to the entries.
pub const ACCOUNT: &str = "account";

/// What [`ACCOUNT`] gives.
pub mod accounted {
    /// The cgroup has no entry.
    pub const ABSENT: u32 = 0;
    /// Done.
    pub const DONE: u32 = 1;
    /// Another CPU stands on the map just there: to be tried again.
    pub const BUSY: u32 = 2;
}
