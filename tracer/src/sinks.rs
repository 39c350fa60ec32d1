//! Where records go.

mod error;
pub mod metrics;
pub(crate) mod queue;
pub mod stdout;
mod waiting;

pub use error::OutputError;
pub(crate) use queue::LineQueue;
pub use waiting::{Waiting, standard_output};

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::record::{GapReason, RecordRange};

/// What becomes of a line that is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It will be written.
    Queued,
    /// The queue is full: the line is lost, and the caller counts it.
    Full,
    /// The reader is gone.
    Closed,
}

/// Records that were kept once and are missing now, or that a reader did not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why.
    pub reason: GapReason,
    /// Which ones; never empty.
    pub records: Vec<RecordRange>,
}

/// Where the recorder hands its lines: stdout for `trace`, the ledger for `agent`. Never makes it wait.
pub trait Output: Send {
    /// Queues a line; never waits.
    fn send(&self, line: String) -> Sent;

    /// Notified once when nothing can be written any more.
    fn closed(&self) -> Arc<Notify>;

    /// Why there is a gap where lines found no room.
    fn full(&self) -> GapReason;

    /// Bytes that a line may have now. More is refused.
    fn room(&self) -> usize;

    /// How many lines were queued.
    fn queued(&self) -> u64 {
        0
    }

    /// How many of them no crash can lose any more; what keeps nothing has none to wait for.
    fn durable(&self) -> u64 {
        u64::MAX
    }

    /// What was found to be missing and has yet to be reported; the same again until
    /// [`Self::missing_reported`].
    fn missing(&self) -> Option<Missing> {
        None
    }

    /// What [`Self::missing`] gave last is reported by the line that was queued last.
    fn missing_reported(&self) {}

    /// Writes what is queued, within limits.
    ///
    /// # Errors
    ///
    /// What the last write said.
    fn finish(self: Box<Self>) -> io::Result<()>;
}
