//! The word by which userspace tells the programs whether anything is of interest.

use std::collections::BTreeSet;

use aya::maps::{Array, MapData};
use debugtrail_common::maps::LOOK_AT_ALL;
use rustix::thread::{MembarrierCommand, membarrier};

use super::load::KernelError;
use crate::ids::CgroupId;

/// This process is its only writer.
pub(super) struct Interest {
    word: Array<MapData, u64>,
    /// Entries that userspace added less those that it removed, wrapping.
    entries: u64,
    /// Cgroups found running in which nothing ran yet. The scan marks where it finds a task; where it finds none,
    /// only looking at every task finds one whose entering the kernel skipped.
    empty: BTreeSet<CgroupId>,
    /// A mark that the scan makes may not last.
    unsettled: bool,
}

impl Interest {
    pub(super) fn new(word: Array<MapData, u64>) -> Self {
        Self { word, entries: 0, empty: BTreeSet::new(), unsettled: false }
    }

    /// An entry is about to be added; the programs must not see one that is not counted.
    pub(super) fn adding(&mut self) -> Result<(), KernelError> {
        self.entries = self.entries.wrapping_add(1);
        self.tell()
    }

    /// An entry was removed, or not added after all.
    pub(super) fn removed(&mut self) -> Result<(), KernelError> {
        self.entries = self.entries.wrapping_sub(1);
        self.tell()
    }

    /// A cgroup found running was added in which nothing is to be found yet.
    pub(super) fn found_empty(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        self.empty.insert(cgroup);
        self.tell()
    }

    /// Nothing is kept of a cgroup any more.
    pub(super) fn forgot(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        if self.empty.remove(&cgroup) { self.tell() } else { Ok(()) }
    }

    /// Waits until every program that began before has ended: one that found nothing of interest may be about to
    /// end the epoch of all marks.
    pub(super) fn settle(&mut self) -> Result<(), KernelError> {
        // It waits for an RCU period, in which BPF programs run. Kernels with CPUs free of ticks refuse it.
        if let Err(error) = membarrier(MembarrierCommand::Global) {
            tracing::debug!("no memory barrier ({error}): every task is looked at as long as this runs");
            self.unsettled = true;
        }
        self.tell()
    }

    fn tell(&mut self) -> Result<(), KernelError> {
        let all = if self.empty.is_empty() && !self.unsettled { 0 } else { LOOK_AT_ALL };
        Ok(self.word.set(0, self.entries.wrapping_add(all), 0)?)
    }
}
