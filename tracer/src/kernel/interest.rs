//! The word by which userspace tells the programs whether anything is of interest.

use std::collections::BTreeSet;

use aya::maps::{Array, MapData};
use debugtrail_common::maps::LOOK_AT_ALL;
use rustix::thread::{MembarrierCommand, membarrier};

use super::load::KernelError;
use crate::ids::CgroupId;

/// How often counting anew is tried while cgroups come and go. One that fails costs every process a lookup, no fact.
const RECOUNTS: u32 = 100;

/// This process is its only writer, and where the programs are pinned the one after the last one's end.
pub(super) struct Interest {
    word: Array<MapData, u64>,
    /// The kernel's own count, first in what it counts.
    kernel: Array<MapData, [u64; 2]>,
    /// Entries that userspace added less those that it removed, wrapping.
    entries: u64,
    /// Cgroups found running in which nothing ran yet. The scan marks where it finds a task; where it finds none,
    /// only looking at every task finds one whose entering the kernel skipped.
    empty: BTreeSet<CgroupId>,
    /// A mark that the scan makes may not last.
    unsettled: bool,
}

impl Interest {
    pub(super) fn new(word: Array<MapData, u64>, kernel: Array<MapData, [u64; 2]>) -> Self {
        Self { word, kernel, entries: 0, empty: BTreeSet::new(), unsettled: false }
    }

    /// Counts on after another process, which may have been killed between a change of the entries and its telling of
    /// it: it tells too many then, never too few, and for good. `entries` gives every cgroup that has an entry; `idle`
    /// says of which of them nobody knows a process.
    pub(super) fn recount(
        &mut self,
        entries: impl Fn() -> Result<BTreeSet<CgroupId>, KernelError>,
        idle: impl Fn(CgroupId) -> bool,
    ) -> Result<(), KernelError> {
        let (told, of_kernel) = (self.word.get(&0, 0)?, self.kernel.get(&0, 0)?[0]);
        let looks_at_all = told.wrapping_add(of_kernel) & LOOK_AT_ALL != 0;
        self.entries = told.wrapping_sub(if looks_at_all { LOOK_AT_ALL } else { 0 });
        for _ in 0..RECOUNTS {
            let before = self.kernel.get(&0, 0)?[0];
            // Walked twice: a walk may skip a key when its neighbour goes away.
            let mut there = entries()?;
            there.append(&mut entries()?);
            if looks_at_all {
                self.empty = there.iter().copied().filter(|cgroup| idle(*cgroup)).collect();
            }
            // While the kernel's count stood still, all that it counts was there to be walked over.
            if self.kernel.get(&0, 0)?[0] == before {
                self.entries = (there.len() as u64).wrapping_sub(before);
                break;
            }
        }
        self.tell()
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
