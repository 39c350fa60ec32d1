//! Loss that the kernel side counts, per CPU and kind.

/// Index into the `LOST` map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Loss {
    /// A wakeup did not fit into the ring. The entry holds the fact; it is found by the sweep.
    Wakeup = 0,
    /// A member's end did not fit into the ring.
    Member = 1,
    /// A program that a member or the main process executed did not fit into the ring.
    Exec = 5,
    /// A new cgroup did not fit into `CGROUPS`: a session in it is not seen.
    Cgroup = 2,
    /// A main process did not fit into `MAINS`: its end is not seen.
    Main = 3,
    /// A process did not fit into `MEMBERS`.
    Membership = 4,
}

impl Loss {
    /// Every kind, in the order of the map's indices.
    pub const ALL: [Self; 6] =
        [Self::Wakeup, Self::Member, Self::Cgroup, Self::Main, Self::Membership, Self::Exec];
}
