//! The ledger at work: one thread makes records durable, another one hands them to stdout. Neither is ever waited for
//! by the thread that drains the kernel's ring.

mod progress;
mod threads;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lock::Lock;
use super::segments::{list, path_of};
use super::{Cursor, Follower, Heartbeat, History, LedgerError, Limits, Segments, Snapshot};
use crate::ids::BootId;
use crate::record::GapReason;
use crate::sinks::{Output, Sent};

pub use progress::Health;
use progress::Shared;
use threads::{Files, Job, follow, write};

/// Jobs that may wait for a slow disk: some 6 MiB of records.
const QUEUE: usize = 4096;
/// How long the end waits for the disk, and for a reader that has stopped reading.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// A ledger that was opened: what it has told, and what is needed to go on.
#[derive(Debug)]
pub struct Opened {
    /// What it has told so far.
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
    lock: Lock,
}

/// Takes lines and makes them durable; see [`Output`].
pub struct Ledger {
    keeper: Keeper,
    queued: AtomicU64,
    /// Records that were there before.
    base: u64,
    never: Arc<Notify>,
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
    stdout: JoinHandle<()>,
    _lock: Lock,
}

/// Keeps what the agent needs after a restart.
#[derive(Clone, Debug)]
pub struct Keeper(SyncSender<Job>);

impl Ledger {
    /// Opens the ledger in `folder`, which is made where it is missing, and reads what it has told.
    ///
    /// # Errors
    ///
    /// Where the folder can't be used, or another agent has it.
    pub fn open(folder: &Path, limits: Limits, boot: BootId) -> Result<Opened, LedgerError> {
        let records = folder.join("records");
        std::fs::create_dir_all(&records).map_err(LedgerError::unusable(folder))?;
        let lock = Lock::take(folder)?;
        let segments = Segments::open(&records, limits)?;
        let history = read_history(&records, boot).map_err(LedgerError::unusable(&records))?;
        if history.unreadable > 0 {
            tracing::warn!("{} lines in {} are no records", history.unreadable, records.display());
        }
        let cursor = Cursor::open(&folder.join("stdout.cursor"))?;
        Ok(Opened {
            history,
            heartbeat: Heartbeat::read(&folder.join("heartbeat.json")),
            snapshot: Snapshot::read(&folder.join("state.json")),
            writing: Writing { folder: folder.to_owned(), segments, cursor, lock },
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
        let path = self.folder.join("heartbeat.json");
        let heartbeat = File::options().write(true).create(true).truncate(false).open(&path);
        let files = Files {
            heartbeat: heartbeat.map_err(LedgerError::unusable(&path))?,
            snapshot: self.folder.join("state.json"),
        };
        let shared = Arc::new(Shared::default());
        shared.commit(self.segments.end());
        let (sender, jobs) = sync_channel(QUEUE);
        let base = self.segments.end().record;
        let mut segments = self.segments;
        let of_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || write(&jobs, &mut segments, &files, &of_writer))
            .map_err(unusable())?;
        let mut follower = Follower::new(self.folder.join("records"), self.cursor);
        let of_stdout = Arc::clone(&shared);
        let stdout = std::thread::Builder::new()
            .name("stdout".into())
            .spawn(move || follow(&mut follower, stdout, &of_stdout))
            .map_err(unusable())?;
        let (keeper, never) = (Keeper(sender), Arc::new(Notify::new()));
        Ok(Ledger {
            keeper,
            queued: AtomicU64::new(0),
            base,
            never,
            shared,
            writer,
            stdout,
            _lock: self.lock,
        })
    }
}

impl Keeper {
    /// Keeps a sign of life. A queue that is full keeps none: the gap is then told longer than it was.
    pub fn beat(&self, heartbeat: Heartbeat) {
        let _full = self.0.try_send(Job::Beat(heartbeat));
    }

    /// Keeps what is known now; whether it will be.
    #[must_use]
    pub fn keep(&self, snapshot: &Snapshot) -> bool {
        match snapshot.to_bytes() {
            Ok(bytes) => self.0.try_send(Job::Snapshot(bytes)).is_ok(),
            Err(error) => {
                tracing::error!("the state can't be kept: {error}");
                false
            }
        }
    }
}

impl Output for Ledger {
    fn send(&self, line: String) -> Sent {
        match self.keeper.0.try_send(Job::Line(line)) {
            Ok(()) => {
                self.queued.fetch_add(1, Ordering::Relaxed);
                Sent::Queued
            }
            Err(TrySendError::Full(_)) => Sent::Full,
            Err(TrySendError::Disconnected(_)) => Sent::Closed,
        }
    }

    fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    fn durable(&self) -> u64 {
        self.shared.health.records.load(Ordering::Relaxed).saturating_sub(self.base)
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
        let deadline = Instant::now() + LAST_WRITES;
        while let Err(TrySendError::Full(_)) = self.keeper.0.try_send(Job::Finish) {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let written = ended(&self.writer, deadline);
        self.shared.update(|state| (state.finished, state.abandoned) = (true, true));
        ended(&self.stdout, Instant::now() + LAST_WRITES);
        if written {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "the last records are not in the ledger: no room"))
    }
}

fn ended(thread: &JoinHandle<()>, deadline: Instant) -> bool {
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished()
}

fn read_history(records: &Path, boot: BootId) -> io::Result<History> {
    let mut history = History::new(boot);
    for segment in list(records)? {
        let text = std::fs::read(path_of(records, segment))?;
        String::from_utf8_lossy(&text).lines().for_each(|line| history.read(line));
    }
    Ok(history)
}

#[cfg(test)]
mod tests;
