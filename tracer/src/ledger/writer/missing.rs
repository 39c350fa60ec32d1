//! Records that are missing, from when that is found until a record that says so is durable.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::Skipped;
use crate::ledger::ranges::Ranges;
use crate::record::{GapReason, RecordRange};
use crate::sinks::Missing;

use super::progress::Shared;

/// Ranges that one record names: it must not grow with what went wrong.
const NAMED: usize = 512;

/// What the writer, the follower and the recorder know of it.
#[derive(Debug, Default)]
pub(super) struct Absent(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What was reported, or will be.
    known: Ranges,
    /// The number of the oldest record that was not removed for newer ones.
    oldest: u64,
    /// Gone from the ledger, and to be reported.
    damaged: Ranges,
    /// Removed for newer ones before stdout got them, and to be reported.
    unread: Ranges,
    /// What is being reported.
    given: Option<Missing>,
    /// How many records have to be durable so that all which is not in `damaged` and `unread` is reported.
    reported_with: u64,
}

impl Absent {
    /// With what the ledger says of records that are missing already.
    pub(super) fn knowing(known: Ranges) -> Self {
        Self(Mutex::new(State { known, ..State::default() }))
    }

    /// These are not in the ledger any more.
    pub(super) fn damaged(&self, records: impl IntoIterator<Item = RecordRange>) {
        let state = &mut *self.state();
        for range in records {
            state.known.add(range).into_iter().for_each(|new| drop(state.damaged.add(new)));
        }
    }

    /// What is before this record was removed for newer ones.
    pub(super) fn removed_before(&self, oldest: u64) {
        self.state().oldest = oldest;
    }

    /// Stdout can't get these.
    fn skipped(&self, records: RecordRange) {
        let state = &mut *self.state();
        for RecordRange { first, last } in state.known.add(records) {
            if first < state.oldest {
                state.unread.add(RecordRange { first, last: last.min(state.oldest - 1) });
            }
            if last >= state.oldest {
                state.damaged.add(RecordRange { first: first.max(state.oldest), last });
            }
        }
    }

    /// What is to be reported next; the same again until [`Self::reported`].
    pub(super) fn next(&self) -> Option<Missing> {
        let state = &mut *self.state();
        if state.given.is_none() {
            let of = |reason, ranges: &Ranges| {
                let records: Vec<_> = ranges.iter().take(NAMED).collect();
                (!records.is_empty()).then_some(Missing { reason, records })
            };
            state.given = of(GapReason::LedgerDamaged, &state.damaged)
                .or_else(|| of(GapReason::OutputFull, &state.unread));
        }
        state.given.clone()
    }

    /// What [`Self::next`] gave is reported once so many records are durable.
    pub(super) fn reported(&self, with: u64) {
        let state = &mut *self.state();
        let Some(Missing { reason, records }) = state.given.take() else { return };
        let of = if reason == GapReason::LedgerDamaged { &mut state.damaged } else { &mut state.unread };
        records.into_iter().for_each(|range| of.remove(range));
        state.reported_with = with;
    }

    fn all_reported(&self, durable: u64) -> bool {
        let state = self.state();
        state.damaged.is_empty() && state.unread.is_empty() && state.reported_with <= durable
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Skipped for Shared {
    fn missing(&self, records: RecordRange) {
        self.absent.skipped(records);
    }

    fn all_reported(&self) -> bool {
        self.absent.all_reported(self.health.written())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> RecordRange {
        RecordRange { first, last }
    }

    fn missing(reason: GapReason, records: &[RecordRange]) -> Option<Missing> {
        Some(Missing { reason, records: records.to_vec() })
    }

    #[test]
    fn missing_records_found_twice_are_reported_once() {
        let absent = Absent::default();
        assert!(absent.next().is_none() && absent.all_reported(0));
        absent.damaged([range(3, 5)]);
        absent.skipped(range(4, 6));
        let found = missing(GapReason::LedgerDamaged, &[range(3, 6)]);
        assert_eq!([absent.next(), absent.next()], [found.clone(), found]);
        assert!(!absent.all_reported(100));
        absent.reported(8);
        assert!(absent.next().is_none());
        assert_eq!([absent.all_reported(7), absent.all_reported(8)], [false, true]);
        absent.skipped(range(3, 6));
        assert!(absent.next().is_none());
    }

    #[test]
    fn records_removed_for_newer_ones_are_no_damage() {
        let absent = Absent::default();
        absent.removed_before(10);
        absent.skipped(range(5, 12));
        assert_eq!(absent.next(), missing(GapReason::LedgerDamaged, &[range(10, 12)]));
        absent.reported(0);
        assert_eq!(absent.next(), missing(GapReason::OutputFull, &[range(5, 9)]));
        absent.reported(0);
        assert!(absent.all_reported(0));
    }

    #[test]
    fn records_found_during_a_report_are_reported_after_it() {
        let absent = Absent::default();
        absent.damaged([range(3, 5)]);
        let first = absent.next();
        absent.damaged([range(6, 7)]);
        assert_eq!(absent.next(), first);
        absent.reported(0);
        assert_eq!(absent.next(), missing(GapReason::LedgerDamaged, &[range(6, 7)]));
    }

    #[test]
    fn many_missing_ranges_take_several_records() {
        let absent = Absent::default();
        absent.damaged((0..NAMED as u64 + 1).map(|n| range(2 * n, 2 * n)));
        assert_eq!(absent.next().unwrap().records.len(), NAMED);
        absent.reported(0);
        assert_eq!(absent.next().unwrap().records, [range(2 * NAMED as u64, 2 * NAMED as u64)]);
    }

    #[test]
    fn what_an_earlier_agent_reported_is_not_reported_again() {
        let mut known = Ranges::default();
        known.add(range(0, 9));
        let absent = Absent::knowing(known);
        absent.damaged([range(5, 10)]);
        assert_eq!(absent.next(), missing(GapReason::LedgerDamaged, &[range(10, 10)]));
    }
}
