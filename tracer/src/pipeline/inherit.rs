//! What pinned programs recorded while no agent ran: these very ones, or those of another version.

use std::collections::{BTreeMap, HashSet};

use super::loss::LossWatch;
use super::{Lost, Pipeline};
use crate::cgroup::Hierarchy;
use crate::clock::boot_now;
use crate::ids::{BootNanos, CgroupId};
use crate::kernel::event::Process;
use crate::kernel::{Event, Handover, Inherited, KernelError, Observation, Pins};

/// Cgroups that the kernel keeps although nothing more can come of them, until it is known what they were:
/// the others are for new ones.
const HELD: usize = 1024;

/// Cgroups of which all is reported that the kernel keeps until that is durable. On a disk that stays full
/// the others are for new ones, too: a restart before there is space misses what these would have shown
/// again.
const LEAVING: usize = 1024;

/// What was there before this process.
#[derive(Default)]
pub(super) struct Legacy {
    pins: Option<Pins>,
    pinned: bool,
    /// Generations of other programs, until all of theirs is reported.
    generations: Vec<Inherited>,
    /// What those have seen of cgroups.
    seen: BTreeMap<CgroupId, Observation>,
    /// Members' ends that they reported: these programs may have seen the same ones.
    members: HashSet<Process>,
    /// Which lines have to be durable before the kernel may drop what it has of a cgroup.
    reported: BTreeMap<CgroupId, u64>,
    /// Cgroups of which all is reported, and not durable yet.
    leaving: BTreeMap<CgroupId, u64>,
    /// The line with which all that the generations kept was reported, once it is.
    all_reported: Option<u64>,
    /// Cgroups of containers that are over and wait to be decided.
    held: HashSet<CgroupId>,
}

impl Legacy {
    pub(super) fn of(handover: Handover) -> Self {
        let Handover { pins, pinned, inherited: generations, .. } = handover;
        Self { pins, pinned, generations, ..Self::default() }
    }

    /// Whether the programs outlive this process.
    pub(super) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether nothing more is to be asked of a cgroup.
    pub(super) fn is_done_with(&self, cgroup: CgroupId) -> bool {
        self.leaving.contains_key(&cgroup) || self.held.contains(&cgroup)
    }

    /// With what others have seen of the same cgroup.
    pub(super) fn complete(&self, cgroup: CgroupId, seen: Option<Observation>) -> Option<Observation> {
        let Some(earlier) = self.seen.get(&cgroup) else { return seen };
        Some(seen.map_or_else(|| earlier.clone(), |seen| seen.after(earlier)))
    }

    /// Whether others reported a member's end.
    pub(super) fn knows_member(&self, process: Process) -> bool {
        self.members.contains(&process)
    }

    /// The end of these cgroups' session is reported with the line of this number.
    pub(super) fn reported(&mut self, cgroups: impl Iterator<Item = CgroupId>, line: u64) {
        if self.is_pinned() {
            self.reported.extend(cgroups.map(|cgroup| (cgroup, line)));
        }
    }

    /// The cgroup may be dropped; whether at once. If this process is killed before the end is in the ledger,
    /// the next one needs it.
    pub(super) fn forget(&mut self, cgroup: CgroupId, durable: u64) -> bool {
        self.held.remove(&cgroup);
        match self.reported.remove(&cgroup) {
            Some(line) if line > durable && self.leaving.len() < LEAVING => {
                self.leaving.insert(cgroup, line);
                false
            }
            _ => {
                self.seen.remove(&cgroup);
                true
            }
        }
    }

    /// The cgroup is not needed as long as this process lives; whether to drop it.
    pub(super) fn release(&mut self, cgroup: CgroupId) -> bool {
        if !self.is_pinned() || self.held.len() >= HELD {
            return true;
        }
        self.held.insert(cgroup);
        false
    }

    /// Cgroups that may be dropped by now.
    fn take_leaving(&mut self, durable: u64) -> Vec<CgroupId> {
        let gone: Vec<_> =
            self.leaving.iter().filter(|(_, line)| **line <= durable).map(|(cgroup, _)| *cgroup).collect();
        for cgroup in &gone {
            self.leaving.remove(cgroup);
            self.seen.remove(cgroup);
        }
        gone
    }
}

impl Pipeline {
    /// Takes in what the kernel has of the time before this process, in the order in which it came to be.
    /// Everything that runs was taken in before: what the others are detached from, these programs see.
    pub(super) fn inherit(
        &mut self,
        hierarchy: &Hierarchy,
        recorded: u64,
        since: BootNanos,
    ) -> Result<(), KernelError> {
        let mut generations = std::mem::take(&mut self.legacy.generations);
        for generation in &generations {
            for seen in generation.observations()? {
                self.take_over(&seen)?;
            }
        }
        for generation in &mut generations {
            if let Some(pins) = &self.legacy.pins {
                generation.detach(pins)?;
            }
            for mut seen in generation.observations()? {
                // Removed before these programs knew of it: they won't say so.
                if seen.removed.is_none() && !hierarchy.has(&seen.path) {
                    seen.removed = Some(boot_now());
                }
                // Two others may have seen it.
                let seen = match self.legacy.seen.remove(&seen.cgroup) {
                    Some(earlier) => seen.after(&earlier),
                    None => seen,
                };
                self.legacy.seen.insert(seen.cgroup, seen);
            }
        }
        for cgroup in self.by_age()? {
            self.look_at(cgroup)?;
        }
        for generation in &mut generations {
            for event in generation.events() {
                match event {
                    Event::MemberEnded(member) if self.legacy.members.insert(member.process) => {
                        let actions = self.tracker.member_ended(member);
                        self.act(actions)?;
                    }
                    Event::Executed(executed) => self.tracker.executed(executed),
                    Event::MemberEnded(_) | Event::CgroupChanged(_) => {}
                }
            }
            self.inherit_loss(generation, recorded, since)?;
        }
        self.legacy.generations = generations;
        Ok(())
    }

    /// Makes these programs report the end of a main process that others know and these have not found: the
    /// runtime may be silent on it, or it has left its cgroup.
    fn take_over(&mut self, seen: &Observation) -> Result<(), KernelError> {
        let (Some(main), None) = (&seen.main, seen.end) else { return Ok(()) };
        match self.kernel.observation(seen.cgroup)? {
            Some(own) if own.main.is_none() => self.kernel.expect_end(seen.cgroup, main),
            _ => Ok(()),
        }
    }

    /// Every cgroup of which anything is known, oldest first: the runs of one name are counted.
    fn by_age(&self) -> Result<Vec<CgroupId>, KernelError> {
        let mut ages: BTreeMap<CgroupId, BootNanos> =
            self.legacy.seen.values().map(|seen| (seen.cgroup, seen.created)).collect();
        for cgroup in self.kernel.cgroups()? {
            if let Some(seen) = self.kernel.observation(cgroup)? {
                ages.entry(cgroup).or_insert(seen.created);
            }
        }
        let mut cgroups: Vec<_> = ages.into_iter().map(|(cgroup, created)| (created, cgroup)).collect();
        cgroups.sort_unstable();
        Ok(cgroups.into_iter().map(|(_, cgroup)| cgroup).collect())
    }

    fn inherit_loss(
        &mut self,
        generation: &mut Inherited,
        recorded: u64,
        since: BootNanos,
    ) -> Result<(), KernelError> {
        let Some(counted) = generation.counted() else { return Ok(()) };
        let mut watch = LossWatch::new(counted, recorded, since)?;
        for lost in watch.read(counted, boot_now())? {
            watch.about_to_report(counted, &lost, self.recorder.upcoming())?;
            self.report_lost(&lost);
        }
        Ok(())
    }

    /// Says what was lost.
    pub(super) fn report_lost(&mut self, lost: &Lost) {
        // Here and not in the programs, which would say it for each.
        tracing::warn!("{} lost ({}): see the gap record", lost.count, lost.reason.words());
        self.tracker.lost(lost.count);
        self.recorder.gap(lost, self.tracker.open());
    }

    /// Whether what an earlier agent's programs recorded could not be read.
    pub(super) fn has_unreadable(&self) -> bool {
        let mut unreadable = self.legacy.generations.iter().filter_map(Inherited::unreadable).peekable();
        let any = unreadable.peek().is_some();
        for why in unreadable {
            tracing::warn!("{why}; see the gap record");
        }
        any
    }

    /// Drops what is reported for good: cgroups, and whole generations of other programs.
    pub(super) fn let_go(&mut self) -> Result<(), KernelError> {
        let durable = self.recorder.durable();
        for cgroup in self.legacy.take_leaving(durable) {
            self.kernel.forget(cgroup)?;
        }
        let waits = |legacy: &Legacy| {
            let undecided =
                |cgroup: &CgroupId| self.tracker.is_undecided(*cgroup) || legacy.is_done_with(*cgroup);
            legacy.seen.keys().any(undecided)
        };
        if self.legacy.generations.is_empty() || waits(&self.legacy) {
            self.legacy.all_reported = None;
            return Ok(());
        }
        // Whatever is reported by now, of which other sessions' records may be the last.
        if *self.legacy.all_reported.get_or_insert(self.recorder.queued()) > durable {
            return Ok(());
        }
        for generation in std::mem::take(&mut self.legacy.generations) {
            if let Some(pins) = &self.legacy.pins {
                generation.remove(pins)?;
            }
        }
        self.legacy.members.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_stays_until_its_end_is_durable() {
        let cgroup = CgroupId(7);
        let mut legacy = Legacy::default();
        legacy.reported([cgroup].into_iter(), 3);
        assert!(legacy.forget(cgroup, 0), "without pins no agent comes after");
        // As if it were pinned.
        legacy.reported.insert(cgroup, 3);
        assert!(!legacy.forget(cgroup, 2));
        assert!(legacy.is_done_with(cgroup));
        assert_eq!(legacy.take_leaving(2), []);
        assert_eq!(legacy.take_leaving(3), [cgroup]);
        assert!(!legacy.is_done_with(cgroup));
        legacy.reported.insert(cgroup, 3);
        assert!(legacy.forget(cgroup, 3));
    }

    #[test]
    fn a_full_disk_does_not_fill_the_kernels_map() {
        let mut legacy = Legacy::default();
        let kept = |legacy: &mut Legacy, n: u64| {
            legacy.reported.insert(CgroupId(n), 5);
            !legacy.forget(CgroupId(n), 0)
        };
        assert_eq!((0..2 * LEAVING as u64).filter(|n| kept(&mut legacy, *n)).count(), LEAVING);
        assert_eq!(
            (legacy.leaving.len(), legacy.reported.len(), legacy.take_leaving(5).len()),
            (LEAVING, 0, LEAVING)
        );
        assert!(kept(&mut legacy, 0));
    }
}
