//! Files of a ledger: for their owner alone, and nothing but regular files. Another thing may have been put
//! there.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// No other user may read records: arguments and names are in them.
const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;
/// Other people's.
const OTHERS: u32 = 0o077;
/// Of a folder that many share, such as /tmp.
const STICKY: u32 = 0o1000;

/// What a ledger's folder holds, besides what begins or ends like this.
const OURS: [&str; 7] =
    ["records", "stdout.cursor", "heartbeat.json", "state.json", "state.new", "lock", "lost+found"];

/// Opens a file for reading and writing, for its owner alone; makes it where it is missing.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = regular(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)?;
    tighten(&file, path);
    Ok(file)
}

/// Opens a file that must not be there yet.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).write(true).create_new(true), path)
}

/// Opens a file for reading.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true), path)
}

/// The whole text of a small file.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    Ok(bytes)
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // A FIFO would be waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = options.mode(FILE).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

fn tighten(file: &File, path: &Path) {
    let others = file.metadata().is_ok_and(|meta| meta.mode() & OTHERS != 0);
    if others && let Err(error) = file.set_permissions(Permissions::from_mode(FILE)) {
        tracing::warn!("others can read {}, and that can't be changed: {error}", path.display());
    }
}

/// Takes a file's permissions away from others, where it has any.
pub(super) fn tighten_file(path: &Path) {
    if let Ok(file) = open_to_read(path) {
        tighten(&file, path);
    }
}

/// Makes a folder where it is missing, for its owner alone. One that is there is tightened where it is the ledger's own:
/// `--ledger` may name a folder that others use.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    let meta = fs::metadata(path)?;
    if meta.mode() & OTHERS == 0 {
        return Ok(());
    }
    let own = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & STICKY == 0;
    if !own || !holds_only_ours(path)? {
        tracing::warn!(
            "{} is a folder of others as well: it stays as it is, and the records in it are for this user alone",
            path.display()
        );
    } else if let Err(error) = fs::set_permissions(path, Permissions::from_mode(FOLDER)) {
        tracing::warn!("others can look into {}, and that can't be changed: {error}", path.display());
    }
    Ok(())
}

fn holds_only_ours(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let ours = OURS.contains(&&*name) || name.ends_with(".jsonl") || name.starts_with(".debugtrail-");
        if !ours {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn new_files_are_for_their_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let inner = temp.path().join("ledger/records");
        folder(&inner).unwrap();
        create_new(&inner.join("a")).unwrap();
        open(&inner.join("b")).unwrap();
        assert_eq!([mode(&inner), mode(&inner.join("a")), mode(&inner.join("b"))], [0o700, 0o600, 0o600]);
    }

    #[test]
    fn existing_folders_are_tightened_unless_shared() {
        let temp = tempfile::tempdir().unwrap();
        let wide = |name: &str, mode: u32| {
            let path = temp.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        };
        let (own, shared, sticky) = (wide("own", 0o755), wide("shared", 0o755), wide("sticky", 0o1777));
        for (path, name) in [(&own, "stdout.cursor"), (&shared, "other")] {
            fs::write(path.join(name), "").unwrap();
            fs::set_permissions(path.join(name), Permissions::from_mode(0o644)).unwrap();
        }
        [&own, &shared, &sticky].into_iter().for_each(|path| folder(path).unwrap());
        assert_eq!([mode(&own), mode(&shared), mode(&sticky)], [0o700, 0o755, 0o777]);
        open(&own.join("stdout.cursor")).unwrap();
        assert_eq!(mode(&own.join("stdout.cursor")), 0o600);
    }

    #[test]
    fn irregular_files_are_refused_without_waiting() {
        let temp = tempfile::tempdir().unwrap();
        let fifo = temp.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink("/etc/hostname", temp.path().join("link")).unwrap();
        for name in ["fifo", "link", "."] {
            let path = temp.path().join(name);
            assert!(open_to_read(&path).is_err() && open(&path).is_err(), "{name}");
        }
        assert!(read(&temp.path().join("fifo"), 10).is_err());
    }
}
