//! What the agent knew when it was last alive: without it an agent that starts while the API is away knows no pod.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use crate::pods::PodFacts;
use crate::record::SessionRecord;

/// Bytes of the largest one that is kept or read: some 4,000 live sessions and the pods of a full node.
pub(super) const LARGEST: usize = 16 << 20;

/// Pods and live sessions, as last known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Pods of this node.
    pub pods: Vec<PodFacts>,
    /// Sessions that had not ended: what their `session_started` says, or would say had their start been
    /// seen.
    pub live: Vec<SessionRecord>,
}

impl Snapshot {
    /// The snapshot kept at `path`; an empty one where there is none. One that can't be made out is as good
    /// as none: a later version may have written it.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let read = match files::read(path, LARGEST as u64) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            read => read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)),
        };
        read.unwrap_or_else(|error| {
            tracing::warn!("{} can't be read ({error}); pods come from the API alone", path.display());
            Self::default()
        })
    }

    /// The bytes of the file.
    ///
    /// # Errors
    ///
    /// serde_json's own; none of the types fails to serialise.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// Puts new content in a file's place; a reader, also one after a power loss, sees the old or the new one whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = files::open(&fresh)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_snapshot_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(Snapshot::read(&path), Snapshot::default());
        replace(&path, b"{\"pods\":[],\"live\":[]}").unwrap();
        assert_eq!(Snapshot::read(&path), Snapshot::default());
        replace(&path, b"{\"pods\":7}").unwrap();
        assert_eq!(Snapshot::read(&path), Snapshot::default());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(Snapshot::read(&path), Snapshot::default());
    }
}
