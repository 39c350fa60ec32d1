//! What the ledger's two threads do: one makes records durable, the other hands them to stdout.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::kept::{Files, Keeper};
use super::progress::Shared;
use crate::ledger::{Follower, Segments};
use crate::sinks::LineQueue;

/// Makes records durable.
pub(super) struct Writer {
    pub(super) queue: Arc<LineQueue>,
    pub(super) segments: Segments,
    pub(super) keeper: Keeper,
    pub(super) files: Files,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    /// The thread's work: until no line will follow, or it shall give up; whether all lines are durable.
    pub(super) fn run(mut self) -> bool {
        while let Some(batch) = self.queue.take() {
            self.keeper.write(&self.files);
            if !batch.lines.is_empty() && !self.append(&batch.lines) {
                self.queue.close();
                return false;
            }
            self.queue.done(&batch);
        }
        self.keeper.write(&self.files);
        true
    }

    /// Tries until the lines are durable; false where it shall give up. Each change between failing and
    /// working is logged once.
    fn append(&mut self, lines: &[String]) -> bool {
        let health = Arc::clone(&self.shared.health);
        while let Err(error) = self.segments.append(lines) {
            health.failures.fetch_add(1, Ordering::Relaxed);
            if !health.failing.swap(true, Ordering::Relaxed) {
                tracing::error!("the ledger can't be written ({error}); records wait in memory: make room");
            }
            self.report_missing();
            self.keeper.write(&self.files);
            if self.shared.pause() {
                return false;
            }
        }
        if health.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the ledger can be written again; what waited is in it");
        }
        self.report_missing();
        self.shared.commit(self.segments.end(), lines.len());
        true
    }

    fn report_missing(&mut self) {
        self.shared.absent.removed_before(self.segments.oldest());
        self.shared.absent.damaged(self.segments.take_missing());
    }
}

/// The work of the `stdout` thread: until no record follows, or stdout has no reader any more.
pub(super) fn follow(follower: &mut Follower, mut out: impl Write, shared: &Shared) {
    loop {
        let (end, finished) = shared.wait_beyond(follower.position().record);
        let written = |line: &str| writeln!(out, "{line}").and_then(|()| out.flush());
        let result = follower.read_to(end, shared, written);
        shared.health.on_stdout.store(follower.position().record, Ordering::Relaxed);
        if let Err(error) = result {
            tracing::warn!("stdout gets no more records ({error}); the ledger goes on");
            return;
        }
        if finished && follower.position().record >= end.record {
            return;
        }
    }
}
