//! How far a ledger is: what its two threads and those who ask share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::missing::Absent;
use crate::ledger::Position;

/// Between two tries on a full disk.
const RETRY: Duration = Duration::from_millis(500);

/// How a ledger is doing, for metrics and health.
#[derive(Debug, Default)]
pub struct Health {
    /// Records that are durable, counted from the ledger's first.
    pub records: AtomicU64,
    /// Of them, how many this agent has written.
    pub(super) written: AtomicU64,
    /// Records that stdout has got.
    pub on_stdout: AtomicU64,
    /// Tries to write that failed.
    pub failures: AtomicU64,
    /// Whether the last try failed.
    pub failing: AtomicBool,
}

impl Health {
    /// How many records of this agent are durable.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) health: Arc<Health>,
    pub(super) absent: Absent,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) end: Position,
    /// No record will follow.
    pub(super) finished: bool,
    /// The writer shall give up what a full disk does not take.
    pub(super) abandoned: bool,
}

impl Shared {
    /// Of a ledger whose records end here.
    pub(super) fn new(end: Position, absent: Absent) -> Self {
        let shared = Self { absent, ..Self::default() };
        shared.commit(end, 0);
        shared
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// So many more records are durable.
    pub(super) fn commit(&self, end: Position, more: usize) {
        self.health.written.fetch_add(more as u64, Ordering::Relaxed);
        self.health.records.store(end.record, Ordering::Relaxed);
        self.update(|state| state.end = end);
    }

    /// Waits for records after `record`, or for the end; where the records end, and whether none will follow.
    pub(super) fn wait_beyond(&self, record: u64) -> (Position, bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |state: &mut State| state.end.record <= record && !state.finished;
        let state = self.changed.wait_while(state, nothing_new).unwrap_or_else(PoisonError::into_inner);
        (state.end, state.finished)
    }

    /// Waits before the next try; whether there shall be none.
    pub(super) fn pause(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, RETRY, |state| !state.abandoned);
        waited.unwrap_or_else(PoisonError::into_inner).0.abandoned
    }
}
