//! Lines that wait for a slow disk or reader: bounded in bytes, so that no outage of theirs takes the node's memory.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Sent;

/// Bytes of lines that may wait: some five thousand records.
pub(crate) const ROOM: usize = 8 << 20;
/// What a line takes besides its text.
const OVERHEAD: usize = 64;
/// Lines that are taken together, and bytes past which no more are.
const BATCH: (usize, usize) = (256, 1 << 20);

/// From one thread that never waits to another one.
#[derive(Debug)]
pub(crate) struct LineQueue {
    state: Mutex<State>,
    changed: Condvar,
    room: usize,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// Of what waits, and of what was taken and is not written yet.
    bytes: usize,
    woken: bool,
    /// No line will follow.
    ended: bool,
    /// The reader is gone.
    closed: bool,
}

/// What was taken together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// In order; none where [`LineQueue::wake`] was called.
    pub(crate) lines: Vec<String>,
    bytes: usize,
}

impl LineQueue {
    /// An empty queue with room for so many bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), room }
    }

    /// Queues a line; never waits for its reader.
    pub(crate) fn push(&self, line: String) -> Sent {
        let mut state = self.state();
        let bytes = state.bytes + line.len() + OVERHEAD;
        if state.closed || state.ended {
            return Sent::Closed;
        }
        if bytes > self.room {
            return Sent::Full;
        }
        state.bytes = bytes;
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_all();
        Sent::Queued
    }

    /// Bytes that a line may have now; any number where the reader is gone.
    pub(crate) fn room(&self) -> usize {
        let state = self.state();
        if state.closed || state.ended {
            return usize::MAX;
        }
        self.room.saturating_sub(state.bytes + OVERHEAD)
    }

    /// Waits for lines, or for [`Self::wake`]; `None` once all were taken and none will follow.
    pub(crate) fn take(&self) -> Option<Batch> {
        let idle = |state: &mut State| state.lines.is_empty() && !state.woken && !state.ended;
        let waited = self.changed.wait_while(self.state(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.lines.is_empty() && state.ended && !state.woken {
            return None;
        }
        state.woken = false;
        Some(state.batch())
    }

    /// The next lines without waiting; `None` where none wait.
    pub(crate) fn take_waiting(&self) -> Option<Batch> {
        Some(self.state().batch()).filter(|batch| !batch.lines.is_empty())
    }

    /// What was taken is written, or given up: there is room for as much again.
    pub(crate) fn done(&self, batch: &Batch) {
        self.state().bytes -= batch.bytes;
    }

    /// Lets [`Self::take`] return for something else.
    pub(crate) fn wake(&self) {
        self.state().woken = true;
        self.changed.notify_all();
    }

    /// No line will follow.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// The reader is gone.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.lines = VecDeque::new();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn batch(&mut self) -> Batch {
        let mut batch = Batch { lines: Vec::new(), bytes: 0 };
        while batch.lines.len() < BATCH.0 && batch.bytes < BATCH.1 {
            let Some(line) = self.lines.pop_front() else { break };
            batch.bytes += line.len() + OVERHEAD;
            batch.lines.push(line);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_in_bytes_until_a_line_is_written() {
        let queue = LineQueue::new(2 * (10 + OVERHEAD));
        let line = "0123456789".to_owned();
        assert_eq!([queue.push(line.clone()), queue.push(line.clone())], [Sent::Queued, Sent::Queued]);
        assert_eq!(queue.room(), 0);
        assert_eq!(queue.push(String::new()), Sent::Full);
        let batch = queue.take().unwrap();
        assert_eq!(batch.lines, [line.clone(), line.clone()]);
        assert_eq!(queue.push(line.clone()), Sent::Full, "what is being written is still in memory");
        queue.done(&batch);
        assert_eq!(queue.room(), 10 + OVERHEAD + 10);
        assert_eq!(queue.push(line), Sent::Queued);
    }

    #[test]
    fn waiting_lines_are_taken_before_the_end() {
        let queue = LineQueue::new(ROOM);
        queue.push("last".into());
        queue.end();
        assert_eq!(queue.push("late".into()), Sent::Closed);
        assert_eq!(queue.take().unwrap().lines, ["last"]);
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_wakeup_gives_no_lines() {
        let queue = LineQueue::new(ROOM);
        queue.wake();
        assert_eq!(queue.take().unwrap().lines, Vec::<String>::new());
    }

    #[test]
    fn a_closed_queue_takes_and_keeps_nothing() {
        let queue = LineQueue::new(ROOM);
        queue.push("line".into());
        queue.close();
        assert_eq!((queue.push("line".into()), queue.room()), (Sent::Closed, usize::MAX));
        assert!(queue.take_waiting().is_none());
    }
}
