//! Looks whether a ledger can be kept in a folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::super::facts::LedgerFacts;

pub(super) fn look(folder: &Path) -> LedgerFacts {
    let there = there(folder);
    let free = rustix::fs::statvfs(there).ok().map(|room| room.f_bavail.saturating_mul(room.f_frsize));
    LedgerFacts {
        folder: folder.to_owned(),
        written: write(there).map_err(|error| error.to_string()),
        free_bytes: free,
    }
}

/// The folder, or what it will be made in.
fn there(folder: &Path) -> &Path {
    let named = folder.ancestors().find(|above| above.exists()).unwrap_or(folder);
    if named.as_os_str().is_empty() { Path::new(".") } else { named }
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
    fn a_missing_folder_can_be_made_in_a_writable_one() {
        let folder = tempfile::tempdir().unwrap();
        let found = look(&folder.path().join("to/come"));
        assert_eq!(found.written, Ok(()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_folders_place_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(look(&file).written.unwrap_err().contains("Not a directory"));
    }
}
