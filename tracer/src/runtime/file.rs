//! Reading files that others make: whatever stands in their place, reading them ends soon and takes little memory. A
//! file system that hangs still hangs the caller: that is for [`super::lookups`].

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// Where there is none, it is no regular file (also a link), or it is larger.
pub(super) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // O_PATH opens no device and waits for no FIFO's other end.
    let place = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(place.as_fd())?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("no regular file"));
    }
    if u64::try_from(found.st_size).is_ok_and(|size| size > most) {
        return Err(too_large(most));
    }
    let same = format!("/proc/self/fd/{}", place.as_fd().as_raw_fd());
    let file = File::from(open(same, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    // A file that grows, or has no end.
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn too_large(most: u64) -> io::Error {
    io::Error::other(format!("larger than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_of_at_most_that_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("small"), "12345").unwrap();
        assert_eq!(read_regular(&file("small"), 5).unwrap(), b"12345");
        assert!(read_regular(&file("small"), 4).is_err());
        File::create(file("sparse")).unwrap().set_len(1 << 30).unwrap();
        assert!(read_regular(&file("sparse"), 1 << 20).is_err());
        symlink(file("small"), file("link")).unwrap();
        assert!(read_regular(&file("link"), 5).is_err());
        assert!(read_regular(folder.path(), 5).is_err());
        assert!(read_regular(&file("missing"), 5).is_err());
    }

    /// Each would wait for ever, or never end.
    #[test]
    fn fifos_and_devices_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(read_regular(&fifo, 5).is_err());
        assert!(read_regular(Path::new("/dev/zero"), 5).is_err());
    }

    /// Its size is said to be 0.
    #[test]
    fn a_file_that_says_it_is_empty_is_bounded_as_well() {
        assert!(read_regular(Path::new("/proc/self/status"), 64).is_err());
        assert!(!read_regular(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
    }
}
