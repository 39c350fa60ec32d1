//! Loss that the kernel side counted, since it was last asked.

use std::collections::BTreeMap;

use debugtrail_common::loss::Loss;

use super::Lost;
use crate::ids::BootNanos;
use crate::kernel::{Kernel, KernelError};
use crate::record::GapReason;

/// Remembers what was already told.
pub(super) struct LossWatch {
    told: BTreeMap<GapReason, u64>,
    asked: BootNanos,
}

impl LossWatch {
    pub(super) fn new(kernel: &Kernel) -> Result<Self, KernelError> {
        Ok(Self { told: totals(kernel)?, asked: crate::clock::boot_now() })
    }

    /// What was lost since the last call.
    pub(super) fn read(&mut self, kernel: &Kernel, now: BootNanos) -> Result<Vec<Lost>, KernelError> {
        let totals = totals(kernel)?;
        let from = std::mem::replace(&mut self.asked, now);
        let lost = grown(&self.told, &totals);
        self.told = totals;
        Ok(lost.into_iter().map(|(reason, count)| Lost { reason, count, from, to: now }).collect())
    }

    /// How much the next [`Self::read`] will find.
    pub(super) fn pending(&self, kernel: &Kernel) -> Result<u64, KernelError> {
        Ok(grown(&self.told, &totals(kernel)?).into_iter().map(|(_, count)| count).sum())
    }
}

/// Sums by what they mean for a reader. A lost wakeup is none: the sweep finds the fact it announced.
fn totals(kernel: &Kernel) -> Result<BTreeMap<GapReason, u64>, KernelError> {
    let mut totals = BTreeMap::new();
    for (kind, count) in kernel.loss()? {
        let reason = match kind {
            Loss::Wakeup => continue,
            Loss::Member => GapReason::RingFull,
            Loss::Cgroup | Loss::Main | Loss::Membership => GapReason::MapFull,
        };
        *totals.entry(reason).or_insert(0) += count;
    }
    totals.insert(GapReason::ProgramSkipped, kernel.skipped());
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
}
