//! Looks whether a ledger can be kept in a folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::super::facts::LedgerFacts;

pub(super) fn look(folder: &Path) -> LedgerFacts {
    let free = rustix::fs::statvfs(folder).ok().map(|room| room.f_bavail.saturating_mul(room.f_frsize));
    LedgerFacts {
        folder: folder.to_owned(),
        written: write(folder).map_err(|error| error.to_string()),
        free_bytes: free,
    }
}

/// Writes a file, makes it durable, and removes it.
fn write(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".debugtrail-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&probe)?;
    let written = file.write_all(b"debugtrail doctor was here\n").and_then(|()| file.sync_all());
    fs::remove_file(&probe)?;
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_written_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let found = look(folder.path());
        assert_eq!(found.written, Ok(()));
        assert!(found.free_bytes.is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let found = look(&folder.path().join("none"));
        assert!(found.written.unwrap_err().contains("No such file"));
        assert_eq!(found.free_bytes, None);
    }
}
