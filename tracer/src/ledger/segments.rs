//! The records' files: lines are only ever added at the end of the newest one; the oldest goes when room is short.
//!
//! They may be removed, truncated or exchanged at any time, as a log rotation does. What is missing then is
//! given to whoever asks for it, and writing goes on in a new file.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{Line, Lines};
use super::{LedgerError, files};
use crate::record::RecordRange;

/// More records than any ledger gets; a file with a higher number is none of its.
pub(super) const MOST: u64 = 1 << 53;

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

impl Position {
    /// At the beginning of a segment.
    pub(super) fn at(segment: u64) -> Self {
        Self { record: segment, segment, offset: 0 }
    }
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
    /// The newest; `None` where the next record begins one.
    file: Option<File>,
    /// What is durable; everything below it stays as it is.
    end: Position,
    /// The number of the oldest record that was not removed for newer ones.
    oldest: u64,
    missing: Vec<RecordRange>,
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
        files::folder(folder).map_err(unusable(folder))?;
        let segments = list(folder).map_err(unusable(folder))?;
        segments.iter().for_each(|segment| files::tighten_file(&path_of(folder, *segment)));
        let oldest = segments.first().copied().unwrap_or(0);
        let (file, end) = match segments.last() {
            Some(newest) => {
                let path = path_of(folder, *newest);
                let (file, end) = open_newest(&path, *newest).map_err(unusable(&path))?;
                (Some(file), end)
            }
            None => (None, Position::default()),
        };
        Ok(Self { folder: folder.to_owned(), limits, file, end, oldest, missing: Vec::new() })
    }

    /// Behind the last durable record.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The number of the oldest record that was not removed for newer ones.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Goes on with the number `record` in a new segment: those before it were here once, or so a sink knows.
    pub(super) fn go_on_at(&mut self, record: u64) {
        if record > self.end.record {
            self.missing.push(RecordRange { first: self.end.record, last: record - 1 });
        }
        self.file = None;
        self.end = Position::at(record);
    }

    /// Records that turned out to be missing since the last call.
    pub(super) fn take_missing(&mut self) -> Vec<RecordRange> {
        std::mem::take(&mut self.missing)
    }

    /// Adds lines, durably: all of them, or none where it fails.
    ///
    /// # Errors
    ///
    /// What the system said; a full disk above all. The same lines can be given again.
    pub fn append(&mut self, lines: &[String]) -> io::Result<()> {
        self.find_damage()?;
        if self.file.is_none() || self.end.offset >= self.limits.segment {
            self.begin_segment()?;
        }
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        let Some(mut file) = self.file.as_ref() else { return Err(io::ErrorKind::NotFound.into()) };
        file.seek(SeekFrom::Start(self.end.offset))?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a line must not stay in front of the next try.
            let _next_try = file.set_len(self.end.offset);
            return Err(error);
        }
        self.end.offset += bytes.len() as u64;
        self.end.record += lines.len() as u64;
        Ok(())
    }

    /// Whether the newest segment is still what it was; goes on in another one where it is not.
    fn find_damage(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let open = file.metadata()?;
        let same = match fs::symlink_metadata(path_of(&self.folder, self.end.segment)) {
            Ok(named) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let (length, offset) = (open.len(), self.end.offset);
        if same && length >= offset {
            // What is behind the last record is not the ledger's.
            return if length > offset { file.set_len(offset) } else { Ok(()) };
        }
        let kept = if same {
            let (records, bytes) = whole_lines(file)?;
            file.set_len(bytes)?;
            records
        } else {
            0
        };
        let what = if same { "truncated" } else { "removed or exchanged" };
        let (first, next) = (self.end.segment + kept, self.end.record);
        tracing::error!(
            "{} was {what} by another program: the ledger goes on in a new file; see the gap record",
            path_of(&self.folder, self.end.segment).display()
        );
        if first < next {
            self.missing.push(RecordRange { first, last: next - 1 });
        }
        self.file = None;
        self.end = Position::at(next);
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        files::folder(&self.folder)?;
        self.make_room()?;
        let path = path_of(&self.folder, self.end.record);
        let file = files::create_new(&path).or_else(|error| self.make_way(&path, error))?;
        File::open(&self.folder)?.sync_all()?;
        self.file = Some(file);
        self.end = Position::at(self.end.record);
        Ok(())
    }

    /// What has the name of the next segment is not the ledger's, unless a try that failed has left it empty.
    fn make_way(&self, path: &Path, error: io::Error) -> io::Result<File> {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        let empty = files::open(path).and_then(|file| Ok((file.metadata()?.len() == 0).then_some(file)));
        if let Ok(Some(file)) = empty {
            return Ok(file);
        }
        let aside = path.with_extension("foreign");
        fs::rename(path, &aside)?;
        tracing::warn!("{} is not the ledger's, and is {} now", path.display(), aside.display());
        files::create_new(path)
    }

    /// Removes the oldest segments until one more fits.
    fn make_room(&mut self) -> io::Result<()> {
        let segments = list(&self.folder)?;
        let sizes: Vec<u64> = segments
            .iter()
            .map(|segment| fs::metadata(path_of(&self.folder, *segment)).map_or(0, |meta| meta.len()))
            .collect();
        let mut total: u64 = sizes.iter().sum();
        for (n, (segment, size)) in segments.iter().zip(sizes).enumerate() {
            if total + self.limits.segment <= self.limits.total || *segment == self.end.segment {
                break;
            }
            fs::remove_file(path_of(&self.folder, *segment))?;
            total -= size;
            self.oldest = segments.get(n + 1).copied().unwrap_or(self.end.record);
        }
        Ok(())
    }
}

/// The segments in a folder, by the number of their first record, oldest first. What has not the name that a segment has,
/// or is no regular file, is none.
///
/// # Errors
///
/// Where the folder can't be read.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(number_of);
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            segments.extend(number);
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().filter(|number| *number < MOST)
}

/// Where the segment that begins with a record is.
pub(super) fn path_of(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:020}.jsonl"))
}

/// A segment to append to, and where its records end.
fn open_newest(path: &Path, segment: u64) -> io::Result<(File, Position)> {
    let file = files::open(path)?;
    let (records, offset) = whole_lines(&file)?;
    if file.metadata()?.len() != offset {
        file.set_len(offset)?;
        file.sync_all()?;
    }
    Ok((file, Position { record: segment + records, segment, offset }))
}

/// How many whole lines a file has, and where the last one ends.
fn whole_lines(mut file: &File) -> io::Result<(u64, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(BufReader::new(file));
    let (mut records, mut length) = (0, 0);
    while let Some(line) = lines.read()? {
        if let Line::Whole(_, bytes) | Line::TooLong(bytes) = line {
            records += 1;
            length += bytes;
        }
    }
    Ok((records, length))
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
    fn appended_records_are_there_after_a_restart() {
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
    fn segments_are_named_by_first_record_and_the_oldest_goes() {
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

    fn missing(segments: &mut Segments) -> Vec<(u64, u64)> {
        segments.take_missing().into_iter().map(|range| (range.first, range.last)).collect()
    }

    #[test]
    fn truncated_records_are_missing_and_writing_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), LARGE).unwrap();
        segments.append(&lines(0..5)).unwrap();
        // As copytruncate does, and then in the middle of a line.
        let truncate = |segment, length| {
            let file = fs::OpenOptions::new().write(true).open(path_of(folder.path(), segment)).unwrap();
            file.set_len(length).unwrap();
        };
        truncate(0, 0);
        segments.append(&lines(5..8)).unwrap();
        assert_eq!(missing(&mut segments), [(0, 4)]);
        truncate(5, 10);
        segments.append(&lines(8..9)).unwrap();
        assert_eq!(missing(&mut segments), [(6, 7)]);
        assert_eq!(text(folder.path()), "line 5\nline 8\n");
        assert_eq!(list(folder.path()).unwrap(), [0, 5, 8]);
        assert_eq!(Segments::open(folder.path(), LARGE).unwrap().end().record, 9);
    }

    #[test]
    fn removed_or_exchanged_records_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        let records = folder.path().join("records");
        let mut segments = Segments::open(&records, LARGE).unwrap();
        segments.append(&lines(0..3)).unwrap();
        fs::remove_dir_all(&records).unwrap();
        segments.append(&lines(3..5)).unwrap();
        assert_eq!(missing(&mut segments), [(0, 2)]);
        fs::rename(path_of(&records, 3), records.join("3.1")).unwrap();
        fs::write(path_of(&records, 3), "foreign\n").unwrap();
        segments.append(&lines(5..6)).unwrap();
        assert_eq!(missing(&mut segments), [(3, 4)]);
        assert_eq!(text(&records), "foreign\nline 5\n");
    }

    #[test]
    fn bytes_added_by_others_are_not_the_ledgers() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), LARGE).unwrap();
        segments.append(&lines(0..1)).unwrap();
        let mut added = fs::OpenOptions::new().append(true).open(path_of(folder.path(), 0)).unwrap();
        added.write_all(b"longer than what comes next\n").unwrap();
        segments.append(&lines(1..2)).unwrap();
        assert_eq!((text(folder.path()), missing(&mut segments)), ("line 0\nline 1\n".into(), vec![]));
    }

    #[test]
    fn an_entry_that_only_looks_like_a_segment_is_none() {
        let folder = tempfile::tempdir().unwrap();
        Segments::open(folder.path(), LARGE).unwrap().append(&lines(0..1)).unwrap();
        for name in ["7.jsonl", "18446744073709551615.jsonl", "99999999999999999999.jsonl", "x.jsonl"] {
            fs::write(folder.path().join(name), "x\n").unwrap();
        }
        // In the next one's way.
        fs::create_dir(path_of(folder.path(), 1)).unwrap();
        let mut segments = Segments::open(folder.path(), Limits { segment: 1, total: 1 << 20 }).unwrap();
        assert_eq!(segments.end().record, 1);
        segments.append(&lines(1..2)).unwrap();
        assert_eq!(list(folder.path()).unwrap(), [0, 1]);
        assert_eq!(text(folder.path()), "line 0\nline 1\n");
    }

    #[test]
    fn numbers_go_on_where_a_sink_is_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), LARGE).unwrap();
        segments.append(&lines(0..2)).unwrap();
        segments.go_on_at(7);
        segments.append(&lines(7..8)).unwrap();
        assert_eq!(missing(&mut segments), [(2, 6)]);
        assert_eq!((list(folder.path()).unwrap(), segments.end().record), (vec![0, 7], 8));
    }

    #[test]
    fn a_file_in_the_folders_place_is_an_error_with_a_hint() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Segments::open(&file.path().join("records"), LARGE).unwrap_err().to_string();
        assert!(error.contains("check --ledger") && !error.contains('\n'), "{error}");
    }
}
