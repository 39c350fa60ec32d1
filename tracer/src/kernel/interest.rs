//! What userspace adds to, and takes from, what the programs count as of interest.

use std::collections::BTreeSet;

use aya::maps::{Array, MapData};
use debugtrail_common::interest::{Interest as Words, LOOK_AT_ALL};
use rustix::thread::{MembarrierCommand, membarrier};

use super::account::Account;
use super::load::KernelError;
use crate::ids::CgroupId;

/// How often counting anew is tried while cgroups come and go. One that fails costs every process a lookup, no fact.
const RECOUNTS: u32 = 100;

/// No other process of userspace changes it; where the programs are pinned, the next agent does after this
/// one's end.
pub(super) struct Interest {
    account: Account,
    words: Array<MapData, Words>,
    looks_at_all: bool,
    /// Cgroups found running in which nothing ran yet. The scan marks where it finds a task; where it finds none,
    /// only looking at every task finds one whose entering the kernel skipped.
    empty: BTreeSet<CgroupId>,
    /// A mark that the scan makes may not last.
    unsettled: bool,
}

impl Interest {
    pub(super) fn new(account: Account, words: Array<MapData, Words>) -> Self {
        Self { account, words, looks_at_all: false, empty: BTreeSet::new(), unsettled: false }
    }

    /// Counts on after another process, which may have been killed between counting an entry and adding it:
    /// one too many is counted then, never too few, and for good. `entries` gives every cgroup that has an
    /// entry; `idle` says of which of them no process is known.
    pub(super) fn recount(
        &mut self,
        entries: impl Fn() -> Result<BTreeSet<CgroupId>, KernelError>,
        idle: impl Fn(CgroupId) -> bool,
    ) -> Result<(), KernelError> {
        self.looks_at_all = self.counted()? & LOOK_AT_ALL != 0;
        let bit = if self.looks_at_all { LOOK_AT_ALL } else { 0 };
        for _ in 0..RECOUNTS {
            let before = self.counted()?;
            // Walked twice: a walk may skip a key when its neighbour goes away.
            let mut there = entries()?;
            there.append(&mut entries()?);
            if self.looks_at_all {
                self.empty = there.iter().copied().filter(|cgroup| idle(*cgroup)).collect();
            }
            // While the count stood still, all that is counted was there to be walked over.
            if self.counted()? == before {
                self.add((there.len() as u64 | bit).wrapping_sub(before))?;
                break;
            }
        }
        self.update_looks_at_all()
    }

    /// An entry is about to be added; the programs must not see one that is not counted.
    pub(super) fn adding(&mut self) -> Result<(), KernelError> {
        self.add(1)
    }

    /// It was not added after all.
    pub(super) fn not_added(&mut self) -> Result<(), KernelError> {
        self.add(1_u64.wrapping_neg())
    }

    /// A cgroup found running was added in which nothing is to be found yet.
    pub(super) fn found_empty(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        self.empty.insert(cgroup);
        self.update_looks_at_all()
    }

    /// Removes a cgroup's entry, where there is one, with all that it marks.
    pub(super) fn forget(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        self.account.forget(cgroup).map_err(KernelError::Account)?;
        if self.empty.remove(&cgroup) { self.update_looks_at_all() } else { Ok(()) }
    }

    /// Waits until every program that began before has ended: one that found nothing of interest may be about to
    /// clear all marks.
    pub(super) fn settle(&mut self) -> Result<(), KernelError> {
        // It waits for an RCU period, in which BPF programs run. Kernels with CPUs free of ticks refuse it.
        if let Err(error) = membarrier(MembarrierCommand::Global) {
            tracing::debug!("no memory barrier ({error}): every task is looked at as long as this runs");
            self.unsettled = true;
        }
        self.update_looks_at_all()
    }

    fn update_looks_at_all(&mut self) -> Result<(), KernelError> {
        let all = !self.empty.is_empty() || self.unsettled;
        if all != self.looks_at_all {
            // The highest bit: added to itself it is gone.
            self.add(LOOK_AT_ALL)?;
            self.looks_at_all = all;
        }
        Ok(())
    }

    fn add(&self, change: u64) -> Result<(), KernelError> {
        self.account.add(change).map_err(KernelError::Account)
    }

    fn counted(&self) -> Result<u64, KernelError> {
        Ok(self.words.get(&0, 0)?.entries)
    }
}
