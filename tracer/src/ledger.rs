//! The node's append-only log of records, and what the agent keeps beside it to be the same agent after a restart.
//!
//! A folder with
//! - `records/N.jsonl`: segments, each named after the number of its first record (`segments`);
//! - `stdout.cursor`: which record stdout gets next (`cursor`);
//! - `heartbeat.json`: when an agent was last alive (`heartbeat`);
//! - `state.json`: the pods and live sessions as last known (`snapshot`);
//! - `lock`: held by the one agent that may write here (`lock`).
//!
//! Nothing reaches a sink that is not durable here first. Files are for their owner alone (`files`), and
//! whatever they hold is read a line at a time (`lines`). What was removed, truncated or changed is named in
//! a `gap` (`ranges`).

mod cursor;
mod files;
mod heartbeat;
mod history;
mod lines;
mod lock;
mod ranges;
mod reading;
mod segments;
mod snapshot;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use cursor::{Cursor, Follower, Skipped};
pub use heartbeat::Heartbeat;
pub use history::History;
pub use segments::{Limits, Position, Segments};
pub use snapshot::Snapshot;
pub use writer::{Health, Keeper, Ledger, Opened, Writing};

/// Why a ledger can't be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The folder or a file in it can't be made, read or written.
    #[error("can't use the ledger in {path}: {why}; check --ledger, its permissions and the free space")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Another agent writes here.
    #[error(
        "another debugtrail agent{} has the ledger in {path}; one agent a node: end that one, or give another --ledger",
        holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// Its pid in its own pid namespace, where it could be read.
        holder: Option<u32>,
    },
}

impl LedgerError {
    pub(crate) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |why| Self::Unusable { path: path.to_owned(), why }
    }
}
