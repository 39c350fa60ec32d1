//! One writer a ledger: an advisory lock that the kernel lets go of with the process, however it ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{LedgerError, files};

/// Held while the agent runs.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing it lets go of the lock")] File);

impl Lock {
    /// Takes the lock of the ledger in `folder`.
    pub(super) fn take(folder: &Path) -> Result<Self, LedgerError> {
        let path = folder.join("lock");
        let mut file = files::open(&path).map_err(LedgerError::unusable(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _unreadable = file.take(16).read_to_string(&mut text);
                return Err(LedgerError::Held { path: folder.to_owned(), holder: text.trim().parse().ok() });
            }
            Err(error) => return Err(LedgerError::unusable(&path)(error.into())),
        }
        // For people alone: a full disk must not keep the agent from starting.
        let _full = file.set_len(0).and_then(|()| file.rewind());
        let _full = writeln!(file, "{}", std::process::id());
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_learns_who_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let second = Lock::take(folder.path()).unwrap_err();
        let LedgerError::Held { holder, .. } = &second else { panic!("{second}") };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(second.to_string().contains("one agent a node"), "{second}");
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
