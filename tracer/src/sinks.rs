//! Where records go.

mod error;
pub mod metrics;
pub mod stdout;

pub use error::OutputError;

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::record::GapReason;

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

/// Where the recorder hands its lines: stdout for `trace`, the ledger for `agent`. Never makes it wait.
pub trait Output: Send {
    /// Queues a line; never waits.
    fn send(&self, line: String) -> Sent;

    /// Told once when nothing can be written any more.
    fn closed(&self) -> Arc<Notify>;

    /// Why there is a gap where lines found no room.
    fn full(&self) -> GapReason;

    /// How many lines were queued.
    fn queued(&self) -> u64 {
        0
    }

    /// How many of them no crash can lose any more; what keeps nothing has none to wait for.
    fn durable(&self) -> u64 {
        u64::MAX
    }

    /// Writes what is queued, within limits.
    ///
    /// # Errors
    ///
    /// What the last write said.
    fn finish(self: Box<Self>) -> io::Result<()>;
}
