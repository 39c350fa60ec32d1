//! What userspace keeps beside pinned maps, so that the next debugtrail counts on: it lives as long as the counters do.

/// Index into the map `KEPT`. What a place means never changes, as another version may read it.
pub mod place {
    /// Cgroups found running that the full map had no room for: `reported` is their number.
    pub const NO_ROOM: u32 = 0;
    /// Loss of the ring.
    pub const RING_FULL: u32 = 1;
    /// Loss of the maps.
    pub const MAP_FULL: u32 = 2;
    /// Programs that the kernel skipped.
    pub const PROGRAM_SKIPPED: u32 = 3;
    /// How many places there are.
    pub const COUNT: u32 = 8;
}

/// How much of a counter was reported, written before the record that reports it: its number shows whether
/// that is in the ledger.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Reported before the record.
    pub before: u64,
    /// Reported with it.
    pub reported: u64,
    /// The record's sequence number.
    pub sequence: u64,
}

// SAFETY: `repr(C)`, integers only, no implicit padding: any bytes are a valid value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Kept {}
