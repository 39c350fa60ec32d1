//! Loss that the kernel side counted, since it was last reported.

use std::collections::BTreeMap;

use debugtrail_common::kept::{Kept, place};
use debugtrail_common::loss::Loss;

use super::Lost;
use crate::ids::BootNanos;
use crate::kernel::{Counted, KernelError};
use crate::record::{GapReason, LossCount, LossKind};

/// What is counted for longer than a process lives, and where it is kept how much of it was reported.
const COUNTED: [(GapReason, u32); 3] = [
    (GapReason::RingFull, place::RING_FULL),
    (GapReason::MapFull, place::MAP_FULL),
    (GapReason::ProgramSkipped, place::PROGRAM_SKIPPED),
];

/// What a count is of: a kind, and the CPU on which it was counted.
type Counts = BTreeMap<(LossKind, Option<u32>), u64>;

/// Remembers what was already reported.
pub(super) struct LossWatch {
    reported: BTreeMap<GapReason, u64>,
    /// The counts at the last call; of what an earlier process reported in part, those at the start.
    seen: Counts,
    asked: BootNanos,
}

impl LossWatch {
    /// Counts on where an earlier process stopped, whose last record has the number `recorded`: what was
    /// about to be reported then was reported if its number is not above. `since`: when nothing was missing
    /// yet.
    pub(super) fn new(
        counted: &(impl Counted + ?Sized),
        recorded: u64,
        since: BootNanos,
    ) -> Result<Self, KernelError> {
        let mut reported = BTreeMap::new();
        for (reason, place) in COUNTED {
            let kept = counted.kept(place)?;
            reported.insert(reason, if kept.sequence <= recorded { kept.reported } else { kept.before });
        }
        let was_reported =
            |kind: LossKind| reported.get(&reason_of(kind)).is_some_and(|reported| *reported > 0);
        let seen = counts(counted)?.into_iter().filter(|((kind, _), _)| was_reported(*kind)).collect();
        Ok(Self { reported, seen, asked: since })
    }

    /// What was lost since the last call.
    pub(super) fn read(
        &mut self,
        counted: &(impl Counted + ?Sized),
        now: BootNanos,
    ) -> Result<Vec<Lost>, KernelError> {
        let counts = counts(counted)?;
        let (lost, grown) = (self.unreported(&counts), grown(&self.seen, &counts));
        self.seen = counts;
        let from = std::mem::replace(&mut self.asked, now);
        let of = |reason| grown.iter().filter(|count| reason_of(count.kind) == reason).copied().collect();
        Ok(lost
            .into_iter()
            .map(|(reason, count)| Lost { reason, count, from, to: now, counts: of(reason) })
            .collect())
    }

    /// Keeps that `lost` is about to be reported, in the record with this number.
    pub(super) fn about_to_report(
        &mut self,
        counted: &mut (impl Counted + ?Sized),
        lost: &Lost,
        sequence: u64,
    ) -> Result<(), KernelError> {
        let reported = self.reported.entry(lost.reason).or_insert(0);
        let kept = Kept { before: *reported, reported: *reported + lost.count, sequence };
        *reported = kept.reported;
        let place = COUNTED.iter().find(|(reason, _)| *reason == lost.reason).map(|(_, place)| *place);
        place.map_or(Ok(()), |place| counted.keep(place, kept))
    }

    /// How much the next [`Self::read`] will find.
    pub(super) fn pending(&self, counted: &(impl Counted + ?Sized)) -> Result<u64, KernelError> {
        Ok(self.unreported(&counts(counted)?).into_iter().map(|(_, count)| count).sum())
    }

    fn unreported(&self, counts: &Counts) -> Vec<(GapReason, u64)> {
        let mut totals = BTreeMap::new();
        for ((kind, _), count) in counts {
            *totals.entry(reason_of(*kind)).or_insert(0) += count;
        }
        let reported = |reason| self.reported.get(&reason).copied().unwrap_or(0);
        let unreported = totals
            .into_iter()
            .map(|(reason, total): (_, u64)| (reason, total.saturating_sub(reported(reason))));
        unreported.filter(|(_, count)| *count > 0).collect()
    }
}

/// By kind and CPU. A lost wakeup is no loss: the sweep finds the fact it announced.
fn counts(counted: &(impl Counted + ?Sized)) -> Result<Counts, KernelError> {
    let loss = counted.loss()?;
    let mut counts = Counts::new();
    for (kind, by_cpu) in &loss.by_cpu {
        let kind = match kind {
            Loss::Wakeup => continue,
            Loss::Member => LossKind::MemberEnd,
            Loss::Exec => LossKind::Exec,
            Loss::Cgroup => LossKind::Cgroup,
            Loss::Main => LossKind::Main,
            Loss::Membership => LossKind::Membership,
        };
        counts.extend((0..).zip(by_cpu).map(|(cpu, count)| ((kind, Some(cpu)), *count)));
    }
    counts.insert((LossKind::Cgroup, None), loss.no_room);
    counts.insert((LossKind::TornRead, None), loss.torn);
    counts.insert((LossKind::ProgramRun, None), counted.skipped());
    Ok(counts)
}

fn grown(before: &Counts, now: &Counts) -> Vec<LossCount> {
    let seen = |of| before.get(of).copied().unwrap_or(0);
    now.iter()
        .map(|(of, count)| LossCount { kind: of.0, cpu: of.1, lost: count.saturating_sub(seen(of)) })
        .filter(|count| count.lost > 0)
        .collect()
}

/// What a kind means for a reader.
fn reason_of(kind: LossKind) -> GapReason {
    match kind {
        LossKind::MemberEnd | LossKind::Exec => GapReason::RingFull,
        LossKind::Cgroup | LossKind::Main | LossKind::Membership => GapReason::MapFull,
        LossKind::ProgramRun => GapReason::ProgramSkipped,
        LossKind::TornRead => GapReason::TornRead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::LossCounts;

    #[derive(Default)]
    struct Counters {
        members: u64,
        kept: BTreeMap<u32, Kept>,
    }

    impl Counted for Counters {
        fn loss(&self) -> Result<LossCounts, KernelError> {
            let by_cpu = BTreeMap::from([(Loss::Member, vec![0, self.members]), (Loss::Wakeup, vec![99])]);
            Ok(LossCounts { by_cpu, ..LossCounts::default() })
        }

        fn skipped(&self) -> u64 {
            0
        }

        fn kept(&self, place: u32) -> Result<Kept, KernelError> {
            Ok(self.kept.get(&place).copied().unwrap_or_default())
        }

        fn keep(&mut self, place: u32, kept: Kept) -> Result<(), KernelError> {
            self.kept.insert(place, kept);
            Ok(())
        }
    }

    fn read(watch: &mut LossWatch, counters: &Counters) -> Vec<(GapReason, u64)> {
        let lost = watch.read(counters, BootNanos(9)).unwrap();
        lost.into_iter().map(|lost| (lost.reason, lost.count)).collect()
    }

    #[test]
    fn a_loss_is_reported_by_kind_and_cpu() {
        let mut counters = Counters { members: 5, ..Counters::default() };
        let mut watch = LossWatch::new(&counters, 0, BootNanos(0)).unwrap();
        let lost = watch.read(&counters, BootNanos(1)).unwrap();
        let count = |lost| LossCount { kind: LossKind::MemberEnd, cpu: Some(1), lost };
        assert_eq!((lost[0].count, lost[0].counts.clone()), (5, vec![count(5)]));
        watch.about_to_report(&mut counters, &lost[0], 1).unwrap();
        counters.members = 7;
        assert_eq!(watch.read(&counters, BootNanos(2)).unwrap()[0].counts, [count(2)]);
        // What an earlier process reported in part is known as a sum alone.
        let mut next = LossWatch::new(&counters, 1, BootNanos(3)).unwrap();
        let lost = next.read(&counters, BootNanos(4)).unwrap();
        assert_eq!((lost[0].count, lost[0].counts.len()), (2, 0));
    }

    #[test]
    fn the_next_process_reports_each_loss_once() {
        let mut counters = Counters { members: 5, ..Counters::default() };
        let mut first = LossWatch::new(&counters, 0, BootNanos(0)).unwrap();
        let lost = first.read(&counters, BootNanos(1)).unwrap();
        first.about_to_report(&mut counters, &lost[0], 21).unwrap();
        assert_eq!(read(&mut first, &counters), []);
        counters.members = 8;
        // The record 21 is in the ledger, or was lost with the process.
        let mut second = LossWatch::new(&counters, 21, BootNanos(2)).unwrap();
        assert_eq!(second.pending(&counters).unwrap(), 3);
        assert_eq!(read(&mut second, &counters), [(GapReason::RingFull, 3)]);
        let mut second = LossWatch::new(&counters, 20, BootNanos(2)).unwrap();
        assert_eq!(read(&mut second, &counters), [(GapReason::RingFull, 8)]);
    }
}
