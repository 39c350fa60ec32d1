//! What a generation of programs counts as lost, and how much of it was reported.

use std::cell::Cell;
use std::collections::BTreeMap;

use aya::maps::{Array, MapData, PerCpuArray};
use debugtrail_common::kept::{Kept, place};
use debugtrail_common::loss::Loss;
use debugtrail_common::maps;

use super::layout::Layout;
use super::load::KernelError;
use super::parts::Parts;

/// Counts of loss since the programs were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// What the programs counted: for each kind, by CPU.
    pub by_cpu: BTreeMap<Loss, Vec<u64>>,
    /// Cgroups found running that the full map had no room for.
    pub no_room: u64,
    /// Entries that could not be read, as they were written at the same time.
    pub torn: u64,
}

impl LossCounts {
    /// The sum over all CPUs.
    #[must_use]
    pub fn of(&self, kind: Loss) -> u64 {
        self.by_cpu.get(&kind).into_iter().flatten().sum()
    }
}

/// The counters and what is kept beside them.
pub(super) struct Counters {
    lost: PerCpuArray<MapData, u64>,
    kept: Array<MapData, Kept>,
    /// Kinds of loss and their places.
    kinds: Vec<(Loss, u32)>,
    /// Cgroups found running that the full map had no room for: userspace's own count.
    no_room: Cell<u64>,
    /// Entries that could not be read whole by this process.
    torn: Cell<u64>,
}

impl Counters {
    pub(super) fn take(parts: &mut impl Parts, layout: &Layout) -> Result<Self, KernelError> {
        let lost = PerCpuArray::try_from(parts.map(maps::LOST)?)?;
        let kept: Array<MapData, Kept> = Array::try_from(parts.map(maps::KEPT)?)?;
        let kinds = Loss::ALL.into_iter().filter_map(|kind| Some((kind, layout.loss(name(kind))?)));
        let no_room = Cell::new(kept.get(&place::NO_ROOM, 0)?.reported);
        Ok(Self { lost, kept, kinds: kinds.collect(), no_room, torn: Cell::new(0) })
    }

    pub(super) fn loss(&self) -> Result<LossCounts, KernelError> {
        let mut by_cpu = BTreeMap::new();
        for (kind, place) in &self.kinds {
            by_cpu.insert(*kind, self.lost.get(place, 0)?.iter().copied().collect());
        }
        Ok(LossCounts { by_cpu, no_room: self.no_room.get(), torn: self.torn.get() })
    }

    /// Counts a reading of an entry that was not whole.
    pub(super) fn torn(&self) {
        self.torn.set(self.torn.get() + 1);
    }

    /// Counts a cgroup found running that had no room; the next debugtrail counts on.
    pub(super) fn no_room(&mut self) -> Result<(), KernelError> {
        self.no_room.set(self.no_room.get() + 1);
        let reported = self.no_room.get();
        self.keep(place::NO_ROOM, Kept { reported, ..Kept::default() })
    }

    pub(super) fn kept(&self, place: u32) -> Result<Kept, KernelError> {
        Ok(self.kept.get(&place, 0)?)
    }

    pub(super) fn keep(&mut self, place: u32, kept: Kept) -> Result<(), KernelError> {
        Ok(self.kept.set(place, kept, 0)?)
    }
}

/// As `debugtrail_common::layout::LOSSES` calls them.
fn name(kind: Loss) -> &'static str {
    let found = debugtrail_common::layout::LOSSES.iter().find(|(_, place)| *place == kind as u32);
    found.map_or("", |(name, _)| name)
}
