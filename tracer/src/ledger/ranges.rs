//! Which records of a ledger are known to be missing. Pure.

use std::collections::BTreeMap;

use crate::record::RecordRange;

/// Ranges that are kept apart; past it near ones become one.
const APART: usize = 1 << 16;

/// Numbers of records, without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Takes in a range; those parts of it that are new.
    pub(super) fn add(&mut self, range: RecordRange) -> Vec<RecordRange> {
        let RecordRange { first, last } = range;
        let mut new = Vec::new();
        let mut from = first;
        let known = self.touching(first, last);
        for (known_first, known_last) in &known {
            if from < *known_first && from <= last {
                new.push(RecordRange { first: from, last: last.min(known_first - 1) });
            }
            from = from.max(known_last.saturating_add(1));
        }
        if from <= last {
            new.push(RecordRange { first: from, last });
        }
        let mut whole = (first, last);
        for (known_first, known_last) in known {
            self.0.remove(&known_first);
            whole = (whole.0.min(known_first), whole.1.max(known_last));
        }
        if self.0.len() >= APART
            && let Some((before, _)) = self.0.range(..whole.0).next_back()
        {
            let before = *before;
            self.0.insert(before, whole.1);
        } else {
            self.0.insert(whole.0, whole.1);
        }
        new
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out a range, and no more.
    pub(super) fn remove(&mut self, range: RecordRange) {
        for (known_first, known_last) in self.touching(range.first, range.last) {
            self.0.remove(&known_first);
            if known_first < range.first {
                self.0.insert(known_first, known_last.min(range.first - 1));
            }
            if known_last > range.last {
                self.0.insert(known_first.max(range.last + 1), known_last);
            }
        }
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = RecordRange> {
        self.0.iter().map(|(first, last)| RecordRange { first: *first, last: *last })
    }

    /// Those that overlap with a range, or are next to it.
    fn touching(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let upto = last.saturating_add(1);
        let mut touching: Vec<_> = self
            .0
            .range(..=upto)
            .rev()
            .map(|(first, last)| (*first, *last))
            .take_while(|(_, known_last)| known_last.saturating_add(1) >= first)
            .collect();
        touching.reverse();
        touching
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(first: u64, last: u64) -> RecordRange {
        RecordRange { first, last }
    }

    #[test]
    fn adding_a_range_gives_only_its_new_parts() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.add(range(10, 19)), [range(10, 19)]);
        assert_eq!(ranges.add(range(12, 15)), []);
        assert_eq!(ranges.add(range(5, 25)), [range(5, 9), range(20, 25)]);
        assert_eq!(ranges.add(range(26, 26)), [range(26, 26)]);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [range(5, 26)]);
    }

    #[test]
    fn a_bound_is_kept() {
        let mut ranges = Ranges::default();
        for n in 0..2 * APART as u64 {
            ranges.add(range(3 * n, 3 * n));
        }
        assert!(ranges.0.len() <= APART);
    }

    proptest! {
        #[test]
        fn every_number_is_new_once(added in prop::collection::vec((0..40u64, 0..10u64), 0..20)) {
            let (mut ranges, mut known) = (Ranges::default(), BTreeSet::new());
            for (first, more) in added {
                let new: Vec<u64> = ranges.add(range(first, first + more)).iter().flat_map(|r| r.first..=r.last).collect();
                let expected: Vec<u64> = (first..=first + more).filter(|n| known.insert(*n)).collect();
                prop_assert_eq!(new, expected);
                let kept: BTreeSet<u64> = ranges.iter().flat_map(|r| r.first..=r.last).collect();
                prop_assert_eq!(&kept, &known);
            }
        }

        #[test]
        fn a_removed_range_is_gone(
            added in prop::collection::vec((0..40u64, 0..10u64), 0..10), first in 0..40u64, more in 0..20u64,
        ) {
            let (mut ranges, mut known) = (Ranges::default(), BTreeSet::new());
            for (first, more) in added {
                ranges.add(range(first, first + more));
                known.extend(first..=first + more);
            }
            ranges.remove(range(first, first + more));
            known.retain(|n| !(first..=first + more).contains(n));
            let kept: BTreeSet<u64> = ranges.iter().flat_map(|r| r.first..=r.last).collect();
            prop_assert_eq!(kept, known);
        }
    }
}
