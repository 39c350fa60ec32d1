//! The ledger at work: one thread makes records durable, another one hands them to stdout. The thread that
//! drains the kernel's ring never waits for either.

mod kept;
mod missing;
mod progress;
mod threads;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lock::Lock;
use super::{Cursor, Follower, Heartbeat, History, LedgerError, Limits, Segments, Snapshot, files, reading};
use crate::ids::BootId;
use crate::record::GapReason;
use crate::sinks::queue::ROOM;
use crate::sinks::{LineQueue, Missing, Output, Sent};

use kept::Files;
pub use kept::Keeper;
use missing::Absent;
pub use progress::Health;
use progress::Shared;
use threads::{Writer, follow};

/// How long the end waits for the disk, and for a reader that has stopped reading.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// A ledger that was opened: what it has reported, and what is needed to go on.
#[derive(Debug)]
pub struct Opened {
    /// What it has reported so far.
    pub history: History,
    /// When an agent was last alive.
    pub heartbeat: Option<Heartbeat>,
    /// What it knew then.
    pub snapshot: Snapshot,
    /// What goes on writing.
    pub writing: Writing,
}

/// A ledger that was opened and is not written to yet.
#[derive(Debug)]
pub struct Writing {
    folder: PathBuf,
    segments: Segments,
    cursor: Cursor,
    absent: Absent,
    lock: Lock,
}

/// Takes lines and makes them durable; see [`Output`].
pub struct Ledger {
    queue: Arc<LineQueue>,
    keeper: Keeper,
    queued: AtomicU64,
    never: Arc<Notify>,
    shared: Arc<Shared>,
    writer: JoinHandle<bool>,
    stdout: JoinHandle<()>,
    _lock: Lock,
}

impl Ledger {
    /// Opens the ledger in `folder`, which is made where it is missing, and reads what it has reported.
    ///
    /// # Errors
    ///
    /// Where the folder can't be used, or another agent has it.
    pub fn open(folder: &Path, limits: Limits, boot: BootId) -> Result<Opened, LedgerError> {
        let records = folder.join("records");
        files::folder(folder).map_err(LedgerError::unusable(folder))?;
        let lock = Lock::take(folder)?;
        let mut segments = Segments::open(&records, limits)?;
        let (history, damaged) = reading::history(&records, boot).map_err(LedgerError::unusable(&records))?;
        if history.unreadable > 0 {
            tracing::warn!("{} lines in {} are no records", history.unreadable, records.display());
        }
        let cursor = Cursor::open(&folder.join("stdout.cursor"), segments.oldest())?;
        if cursor.position().record > segments.end().record {
            tracing::warn!("stdout has got more records than {} has: see the gap record", records.display());
            segments.go_on_at(cursor.position().record);
        }
        let absent = Absent::knowing(history.reported_missing().clone());
        absent.removed_before(segments.oldest());
        absent.damaged(damaged.into_iter().chain(segments.take_missing()));
        Ok(Opened {
            history,
            heartbeat: Heartbeat::read(&folder.join("heartbeat.json")),
            snapshot: Snapshot::read(&folder.join("state.json")),
            writing: Writing { folder: folder.to_owned(), segments, cursor, absent, lock },
        })
    }

    /// What keeps things for the next start.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.shared.health)
    }
}

impl Writing {
    /// Starts writing; `stdout` gets every record after it is durable, from where an earlier agent left off.
    ///
    /// # Errors
    ///
    /// Where the heartbeat's file can't be opened, or no thread can be started.
    pub fn start(self, stdout: impl Write + Send + 'static) -> Result<Ledger, LedgerError> {
        let unusable = || LedgerError::unusable(&self.folder);
        let files = Files::open(&self.folder)?;
        let shared = Arc::new(Shared::new(self.segments.end(), self.absent));
        let queue = Arc::new(LineQueue::new(ROOM));
        let keeper = Keeper::new(Arc::clone(&queue));
        let writer = Writer {
            queue: Arc::clone(&queue),
            segments: self.segments,
            keeper: keeper.clone(),
            files,
            shared: Arc::clone(&shared),
        };
        let writer = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run())
            .map_err(unusable())?;
        let mut follower = Follower::new(self.folder.join("records"), self.cursor);
        let of_stdout = Arc::clone(&shared);
        let stdout = std::thread::Builder::new()
            .name("stdout".into())
            .spawn(move || follow(&mut follower, stdout, &of_stdout))
            .map_err(unusable())?;
        let (queued, never) = (AtomicU64::new(0), Arc::new(Notify::new()));
        Ok(Ledger { queue, keeper, queued, never, shared, writer, stdout, _lock: self.lock })
    }
}

impl Output for Ledger {
    fn send(&self, line: String) -> Sent {
        let sent = self.queue.push(line);
        if sent == Sent::Queued {
            self.queued.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    fn room(&self) -> usize {
        self.queue.room()
    }

    fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    fn durable(&self) -> u64 {
        self.shared.health.written()
    }

    fn missing(&self) -> Option<Missing> {
        self.shared.absent.next()
    }

    fn missing_reported(&self) {
        self.shared.absent.reported(self.queued());
    }

    /// Never: without a reader of stdout the ledger goes on.
    fn closed(&self) -> Arc<Notify> {
        Arc::clone(&self.never)
    }

    fn full(&self) -> GapReason {
        GapReason::LedgerFull
    }

    /// Two seconds at most for the disk, and as long for stdout, whose cursor stays where it stops.
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.queue.end();
        let in_time = ended(&self.writer, Instant::now() + LAST_WRITES);
        self.shared.update(|state| (state.finished, state.abandoned) = (true, true));
        ended(&self.stdout, Instant::now() + LAST_WRITES);
        if in_time && self.writer.join().unwrap_or(false) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "the last records are not in the ledger: no room"))
    }
}

fn ended<T>(thread: &JoinHandle<T>, deadline: Instant) -> bool {
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished()
}

#[cfg(test)]
mod tests;
