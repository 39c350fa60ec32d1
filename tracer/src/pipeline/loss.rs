//! Loss that the kernel side counted, since it was last asked.

use std::collections::BTreeMap;

use debugtrail_common::loss::Loss;

use super::Lost;
use crate::ids::BootNanos;
use crate::kernel::{Kernel, KernelError};
use crate::record::{GapReason, LossCount, LossKind};

/// What a count is of: a kind, and the CPU on which it was counted.
type Counts = BTreeMap<(LossKind, Option<u32>), u64>;

/// Remembers what was already told.
pub(super) struct LossWatch {
    told: Counts,
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
        let grown = grown(&self.told, &totals);
        self.told = totals;
        Ok(by_reason(&grown).into_iter().map(|(reason, counts)| lost(reason, counts, from, now)).collect())
    }

    /// How much the next [`Self::read`] will find.
    pub(super) fn pending(&self, kernel: &Kernel) -> Result<u64, KernelError> {
        Ok(grown(&self.told, &totals(kernel)?).iter().map(|count| count.lost).sum())
    }
}

fn lost(reason: GapReason, counts: Vec<LossCount>, from: BootNanos, to: BootNanos) -> Lost {
    Lost { reason, count: counts.iter().map(|count| count.lost).sum(), from, to, counts }
}

/// A lost wakeup is none: the sweep finds the fact it announced.
fn totals(kernel: &Kernel) -> Result<Counts, KernelError> {
    let loss = kernel.loss()?;
    let mut totals = Counts::new();
    for (kind, by_cpu) in &loss.by_cpu {
        let kind = match kind {
            Loss::Wakeup => continue,
            Loss::Member => LossKind::MemberEnd,
            Loss::Exec => LossKind::Exec,
            Loss::Cgroup => LossKind::Cgroup,
            Loss::Main => LossKind::Main,
            Loss::Membership => LossKind::Membership,
        };
        totals.extend((0..).zip(by_cpu).map(|(cpu, count)| ((kind, Some(cpu)), *count)));
    }
    totals.insert((LossKind::Cgroup, None), loss.no_room);
    totals.insert((LossKind::TornRead, None), loss.torn);
    totals.insert((LossKind::ProgramRun, None), kernel.skipped());
    Ok(totals)
}

fn grown(before: &Counts, now: &Counts) -> Vec<LossCount> {
    let told = |of| before.get(of).copied().unwrap_or(0);
    now.iter()
        .map(|(of, count)| LossCount { kind: of.0, cpu: of.1, lost: count.saturating_sub(told(of)) })
        .filter(|count| count.lost > 0)
        .collect()
}

/// What the kinds mean for a reader.
fn by_reason(counts: &[LossCount]) -> BTreeMap<GapReason, Vec<LossCount>> {
    let mut by_reason = BTreeMap::<_, Vec<_>>::new();
    for count in counts {
        let reason = match count.kind {
            LossKind::MemberEnd | LossKind::Exec => GapReason::RingFull,
            LossKind::Cgroup | LossKind::Main | LossKind::Membership => GapReason::MapFull,
            LossKind::ProgramRun => GapReason::ProgramSkipped,
            LossKind::TornRead => GapReason::TornRead,
        };
        by_reason.entry(reason).or_default().push(*count);
    }
    by_reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(kind: LossKind, cpu: Option<u32>, lost: u64) -> LossCount {
        LossCount { kind, cpu, lost }
    }

    #[test]
    fn only_what_grew_is_told_by_kind_and_cpu() {
        let end = |cpu| (LossKind::MemberEnd, Some(cpu));
        let before = Counts::from([(end(0), 5), (end(1), 1), ((LossKind::Main, Some(0)), 2)]);
        let now = Counts::from([
            (end(0), 9),
            (end(1), 2),
            ((LossKind::Main, Some(0)), 2),
            ((LossKind::ProgramRun, None), 1),
        ]);
        let told = [
            count(LossKind::MemberEnd, Some(0), 4),
            count(LossKind::MemberEnd, Some(1), 1),
            count(LossKind::ProgramRun, None, 1),
        ];
        assert_eq!(grown(&before, &now), told);
        assert_eq!(grown(&now, &now), []);
        let by_reason = by_reason(&told);
        assert_eq!(by_reason.keys().collect::<Vec<_>>(), [&GapReason::RingFull, &GapReason::ProgramSkipped]);
        let ring_full =
            lost(GapReason::RingFull, by_reason[&GapReason::RingFull].clone(), BootNanos(1), BootNanos(2));
        assert_eq!((ring_full.count, ring_full.counts.len()), (5, 2));
    }
}
