//! What is kept beside the records. The latest takes the place of the one before: however slow the disk is, one of each waits.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::{Heartbeat, LedgerError, Snapshot, files, snapshot};
use crate::sinks::LineQueue;

/// Keeps what the agent needs after a restart.
#[derive(Clone, Debug)]
pub struct Keeper {
    latest: Arc<Mutex<Latest>>,
    /// Whose reader writes it.
    queue: Arc<LineQueue>,
}

/// What has yet to be written.
#[derive(Debug, Default)]
struct Latest {
    heartbeat: Option<Heartbeat>,
    snapshot: Option<Vec<u8>>,
}

/// Where it is written.
#[derive(Debug)]
pub(super) struct Files {
    heartbeat: File,
    snapshot: PathBuf,
}

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self, LedgerError> {
        let path = folder.join("heartbeat.json");
        let heartbeat = files::open(&path).map_err(LedgerError::unusable(&path))?;
        Ok(Self { heartbeat, snapshot: folder.join("state.json") })
    }
}

impl Keeper {
    pub(super) fn new(queue: Arc<LineQueue>) -> Self {
        Self { latest: Arc::default(), queue }
    }

    /// Keeps a sign of life.
    pub fn beat(&self, heartbeat: Heartbeat) {
        self.latest().heartbeat = Some(heartbeat);
        self.queue.wake();
    }

    /// Keeps what is known now; whether it will be.
    #[must_use]
    pub fn keep(&self, snapshot: &Snapshot) -> bool {
        match snapshot.to_bytes() {
            Ok(bytes) if bytes.len() > snapshot::LARGEST => {
                tracing::error!("the state has {} bytes, which are too many to be kept", bytes.len());
            }
            Ok(bytes) => {
                self.latest().snapshot = Some(bytes);
                self.queue.wake();
            }
            Err(error) => {
                tracing::error!("the state can't be kept: {error}");
                return false;
            }
        }
        true
    }

    /// Writes what waits. What fails waits on, unless there is a later one by then: a restart knows less, no record is lost.
    pub(super) fn write(&self, files: &Files) {
        let Latest { heartbeat, snapshot } = std::mem::take(&mut *self.latest());
        if let Some(heartbeat) = heartbeat {
            report(heartbeat.write(&files.heartbeat), "the heartbeat");
        }
        if let Some(bytes) = snapshot
            && !report(snapshot::replace(&files.snapshot, &bytes), "the state")
        {
            self.latest().snapshot.get_or_insert(bytes);
        }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(result: io::Result<()>, what: &str) -> bool {
    result.inspect_err(|error| tracing::debug!("{what} can't be kept: {error}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallTime;
    use crate::ids::{BootId, BootNanos};
    use crate::sinks::queue::ROOM;

    fn beat(second: u64) -> Heartbeat {
        let at = WallTime::from_unix_nanos(0);
        Heartbeat { boot_id: BootId::new("b0"), boot_ns: BootNanos(second), at }
    }

    #[test]
    fn the_latest_state_replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::new(Arc::new(LineQueue::new(ROOM)));
        let snapshot = Snapshot { pods: vec![crate::session::samples::pod()], live: Vec::new() };
        for second in 0..100_000 {
            keeper.beat(beat(second));
        }
        assert!(keeper.keep(&Snapshot::default()) && keeper.keep(&snapshot));
        keeper.write(&Files::open(folder.path()).unwrap());
        assert_eq!(Heartbeat::read(&folder.path().join("heartbeat.json")), Some(beat(99_999)));
        assert_eq!(Snapshot::read(&folder.path().join("state.json")), snapshot);
    }

    #[test]
    fn an_unwritten_state_waits_for_the_next_try() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("state.new");
        std::fs::create_dir(&in_the_way).unwrap();
        let keeper = Keeper::new(Arc::new(LineQueue::new(ROOM)));
        let files = Files::open(folder.path()).unwrap();
        let snapshot = Snapshot { pods: vec![crate::session::samples::pod()], live: Vec::new() };
        assert!(keeper.keep(&snapshot));
        keeper.write(&files);
        std::fs::remove_dir(&in_the_way).unwrap();
        keeper.write(&files);
        assert_eq!(Snapshot::read(&folder.path().join("state.json")), snapshot);
    }
}
