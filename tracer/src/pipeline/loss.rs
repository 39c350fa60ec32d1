//! Loss that the kernel side counted, since it was last told.

use std::collections::BTreeMap;

use debugtrail_common::kept::{Kept, place};
use debugtrail_common::loss::Loss;

use super::Lost;
use crate::ids::BootNanos;
use crate::kernel::{Counted, KernelError};
use crate::record::GapReason;

/// What is counted, and where it is kept how much of it was told.
const COUNTED: [(GapReason, u32); 3] = [
    (GapReason::RingFull, place::RING_FULL),
    (GapReason::MapFull, place::MAP_FULL),
    (GapReason::ProgramSkipped, place::PROGRAM_SKIPPED),
];

/// Remembers what was already told.
pub(super) struct LossWatch {
    told: BTreeMap<GapReason, u64>,
    asked: BootNanos,
}

impl LossWatch {
    /// Counts on where an earlier process stopped, whose last record has the number `recorded`: what was about to be
    /// told then was told if its number is not above. `since`: when nothing was missing yet.
    pub(super) fn new(
        counted: &(impl Counted + ?Sized),
        recorded: u64,
        since: BootNanos,
    ) -> Result<Self, KernelError> {
        let mut told = BTreeMap::new();
        for (reason, place) in COUNTED {
            let kept = counted.kept(place)?;
            told.insert(reason, if kept.sequence <= recorded { kept.told } else { kept.before });
        }
        Ok(Self { told, asked: since })
    }

    /// What was lost since the last call.
    pub(super) fn read(
        &mut self,
        counted: &(impl Counted + ?Sized),
        now: BootNanos,
    ) -> Result<Vec<Lost>, KernelError> {
        let lost = grown(&self.told, &totals(counted)?);
        let from = std::mem::replace(&mut self.asked, now);
        Ok(lost.into_iter().map(|(reason, count)| Lost { reason, count, from, to: now }).collect())
    }

    /// Keeps that `lost` is about to be told, in the record with this number.
    pub(super) fn telling(
        &mut self,
        counted: &mut (impl Counted + ?Sized),
        lost: &Lost,
        sequence: u64,
    ) -> Result<(), KernelError> {
        let told = self.told.entry(lost.reason).or_insert(0);
        let kept = Kept { before: *told, told: *told + lost.count, sequence };
        *told = kept.told;
        let place = COUNTED.iter().find(|(reason, _)| *reason == lost.reason).map(|(_, place)| *place);
        place.map_or(Ok(()), |place| counted.keep(place, kept))
    }

    /// How much the next [`Self::read`] will find.
    pub(super) fn pending(&self, counted: &(impl Counted + ?Sized)) -> Result<u64, KernelError> {
        Ok(grown(&self.told, &totals(counted)?).into_iter().map(|(_, count)| count).sum())
    }
}

/// Sums by what they mean for a reader. A lost wakeup is none: the sweep finds the fact it announced.
fn totals(counted: &(impl Counted + ?Sized)) -> Result<BTreeMap<GapReason, u64>, KernelError> {
    let mut totals = BTreeMap::new();
    for (kind, count) in counted.loss()? {
        let reason = match kind {
            Loss::Wakeup => continue,
            Loss::Member => GapReason::RingFull,
            Loss::Cgroup | Loss::Main | Loss::Membership => GapReason::MapFull,
        };
        *totals.entry(reason).or_insert(0) += count;
    }
    totals.insert(GapReason::ProgramSkipped, counted.skipped());
    Ok(totals)
}

fn grown(before: &BTreeMap<GapReason, u64>, now: &BTreeMap<GapReason, u64>) -> Vec<(GapReason, u64)> {
    let told = |reason| before.get(reason).copied().unwrap_or(0);
    now.iter()
        .map(|(reason, count)| (*reason, count.saturating_sub(told(reason))))
        .filter(|(_, count)| *count > 0)
        .collect()
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
            Ok(LossCounts::from([(Loss::Member, self.members), (Loss::Wakeup, 99)]))
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
    fn only_what_grew_is_told() {
        let before = BTreeMap::from([(GapReason::RingFull, 5), (GapReason::MapFull, 2)]);
        let now = BTreeMap::from([
            (GapReason::RingFull, 9),
            (GapReason::MapFull, 2),
            (GapReason::ProgramSkipped, 1),
        ]);
        assert_eq!(grown(&before, &now), [(GapReason::RingFull, 4), (GapReason::ProgramSkipped, 1)]);
        assert_eq!(grown(&now, &now), []);
    }

    #[test]
    fn no_loss_is_told_twice_or_missed_by_the_next_process() {
        let mut counters = Counters { members: 5, ..Counters::default() };
        let mut first = LossWatch::new(&counters, 0, BootNanos(0)).unwrap();
        let lost = first.read(&counters, BootNanos(1)).unwrap();
        first.telling(&mut counters, &lost[0], 21).unwrap();
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
