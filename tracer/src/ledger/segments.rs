//! The records' files: lines are only ever added at the end of the newest one; the oldest goes when room is short.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LedgerError;

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The number of the record behind it, counted from the ledger's first.
    pub record: u64,
    /// The segment it is in, by the number of that one's first record.
    pub segment: u64,
    /// Bytes of the segment before it.
    pub offset: u64,
}

/// How large a ledger gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after which a new segment is begun.
    pub segment: u64,
    /// Bytes of all segments past which the oldest is removed.
    pub total: u64,
}

impl Limits {
    /// Of a ledger that takes at most `mebibytes`, in sixteen segments.
    #[must_use]
    pub fn of_mebibytes(mebibytes: u64) -> Self {
        let total = mebibytes.max(1) << 20;
        Self { segment: total / 16, total }
    }
}

/// The segments of one ledger, open for appending.
#[derive(Debug)]
pub struct Segments {
    folder: PathBuf,
    limits: Limits,
    file: File,
    /// What is durable; everything below it stays as it is.
    end: Position,
}

impl Segments {
    /// Opens the segments in `folder`, which is made where it is missing. A last line that was cut off by a power loss
    /// is removed: it was never durable, so no sink has it.
    ///
    /// # Errors
    ///
    /// Where the folder or a file in it can't be made, read or written.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, LedgerError> {
        let unusable = LedgerError::unusable;
        fs::create_dir_all(folder).map_err(unusable(folder))?;
        let segment = list(folder).map_err(unusable(folder))?.pop().unwrap_or(0);
        let path = path_of(folder, segment);
        let mut file = open(&path).map_err(unusable(&path))?;
        let (records, length) = whole_lines(&mut file).map_err(unusable(&path))?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(unusable(&path))?;
        let end = Position { record: segment + records, segment, offset: length };
        Ok(Self { folder: folder.to_owned(), limits, file, end })
    }

    /// Behind the last durable record.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// Adds lines, durably: all of them, or none where it fails.
    ///
    /// # Errors
    ///
    /// What the system said; a full disk above all. The same lines can be given again.
    pub fn append(&mut self, lines: &[String]) -> io::Result<()> {
        if self.end.offset >= self.limits.segment {
            self.begin_segment()?;
        }
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        self.file.seek(SeekFrom::Start(self.end.offset))?;
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line must not stay in front of the next try.
            let _next_try = self.file.set_len(self.end.offset);
            return Err(error);
        }
        self.end.offset += bytes.len() as u64;
        self.end.record += lines.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.make_room()?;
        let segment = self.end.record;
        self.file = open(&path_of(&self.folder, segment))?;
        File::open(&self.folder)?.sync_all()?;
        self.end = Position { segment, offset: 0, ..self.end };
        Ok(())
    }

    /// Removes the oldest segments until one more fits.
    fn make_room(&self) -> io::Result<()> {
        let segments = list(&self.folder)?;
        let sizes: Vec<u64> = segments
            .iter()
            .map(|segment| fs::metadata(path_of(&self.folder, *segment)).map_or(0, |meta| meta.len()))
            .collect();
        let mut total: u64 = sizes.iter().sum();
        for (segment, size) in segments.iter().zip(sizes) {
            if total + self.limits.segment <= self.limits.total || *segment == self.end.segment {
                break;
            }
            fs::remove_file(path_of(&self.folder, *segment))?;
            total -= size;
        }
        Ok(())
    }
}

/// The segments in a folder, by the number of their first record, oldest first.
///
/// # Errors
///
/// Where the folder can't be read.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_suffix(".jsonl")).and_then(|n| n.parse::<u64>().ok());
        segments.extend(number);
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Where the segment that begins with a record is.
pub(super) fn path_of(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:020}.jsonl"))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// How many whole lines a file has, and where the last one ends.
fn whole_lines(file: &mut File) -> io::Result<(u64, u64)> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    Ok((lines as u64, end as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: Limits = Limits { segment: 1 << 20, total: 16 << 20 };

    fn lines(range: std::ops::Range<u64>) -> Vec<String> {
        range.map(|n| format!("line {n}")).collect()
    }

    fn text(folder: &Path) -> String {
        let read = |segment| fs::read_to_string(path_of(folder, segment)).unwrap();
        list(folder).unwrap().into_iter().map(read).collect()
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), LARGE).unwrap();
        segments.append(&lines(0..2)).unwrap();
        drop(segments);
        let mut segments = Segments::open(folder.path(), LARGE).unwrap();
        assert_eq!(segments.end(), Position { record: 2, segment: 0, offset: 14 });
        segments.append(&lines(2..3)).unwrap();
        assert_eq!(text(folder.path()), "line 0\nline 1\nline 2\n");
    }

    #[test]
    fn half_a_line_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        Segments::open(folder.path(), LARGE).unwrap().append(&lines(0..2)).unwrap();
        let path = path_of(folder.path(), 0);
        let mut torn = fs::read_to_string(&path).unwrap();
        torn.push_str("{\"half\":");
        fs::write(&path, torn).unwrap();
        let segments = Segments::open(folder.path(), LARGE).unwrap();
        assert_eq!(segments.end().record, 2);
        assert_eq!(text(folder.path()), "line 0\nline 1\n");
    }

    #[test]
    fn segments_are_named_after_their_first_record_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), Limits { segment: 20, total: 60 }).unwrap();
        for n in 0..30 {
            segments.append(&lines(n..n + 1)).unwrap();
        }
        let kept = list(folder.path()).unwrap();
        assert!(kept.len() <= 3 && kept[0] > 0, "{kept:?}");
        let expected: String = lines(kept[0]..30).iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(text(folder.path()), expected);
        assert_eq!(segments.end().record, 30);
    }

    #[test]
    fn a_folder_that_is_none_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Segments::open(&file.path().join("records"), LARGE).unwrap_err().to_string();
        assert!(error.contains("check --ledger") && !error.contains('\n'), "{error}");
    }
}
