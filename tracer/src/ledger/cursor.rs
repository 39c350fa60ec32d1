//! A sink's way through the ledger: every record in order, at least once, each sink at its own speed. What is
//! missing or can't be read is passed over and named; whatever a file holds, the way goes on.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::lines::{Line, Lines, json};
use super::segments::{MOST, Position, list, path_of};
use super::{LedgerError, files};
use crate::record::RecordRange;

/// Bytes of the cursor's file.
const LENGTH: usize = 128;

/// Which record a sink gets next; kept in a file, so that a restart neither repeats nor skips.
#[derive(Debug)]
pub struct Cursor {
    file: File,
    position: Position,
}

impl Cursor {
    /// The cursor kept at `path`; at the `oldest` record where none was kept or it can't be made out.
    ///
    /// # Errors
    ///
    /// Where the file can't be made or read.
    pub fn open(path: &Path, oldest: u64) -> Result<Self, LedgerError> {
        let file = files::open(path).map_err(LedgerError::unusable(path))?;
        let mut bytes = Vec::new();
        // A longer file is none of ours.
        (&file).take(2 * LENGTH as u64).read_to_end(&mut bytes).map_err(LedgerError::unusable(path))?;
        let kept = position(&bytes);
        if kept.is_none() {
            if !bytes.is_empty() {
                tracing::warn!("{} is no cursor: stdout gets again what the ledger has", path.display());
            }
            file.set_len(0).map_err(LedgerError::unusable(path))?;
        }
        Ok(Self { file, position: kept.unwrap_or(Position::at(oldest)) })
    }

    /// Which record is next.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Keeps where it is. Not synced: after a power loss a few records come twice, by id the same.
    fn keep(&self) {
        let mut text = serde_json::to_string(&self.position).unwrap_or_default();
        // One write of fixed length, which a reader sees whole.
        text.push_str(&" ".repeat(LENGTH.saturating_sub(text.len() + 1)));
        text.push('\n');
        // A full disk is no failure of the sink: the next step keeps both.
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0) {
            tracing::debug!("a cursor can't be kept: {error}");
        }
    }
}

/// The position that a cursor's file holds; `None` where there can't be such a one.
fn position(bytes: &[u8]) -> Option<Position> {
    let position: Position = serde_json::from_slice(bytes.trim_ascii()).ok()?;
    let Position { record, segment, offset } = position;
    let can_be = record < MOST && segment <= record && offset < MOST && (offset > 0 || segment == record);
    can_be.then_some(position)
}

/// What a follower says of records that it can't give.
pub trait Skipped {
    /// These are missing.
    fn missing(&self, records: RecordRange);

    /// Whether all of that is reported durably. Until then no step is kept: after a crash it is found again.
    fn all_reported(&self) -> bool;
}

/// Reads a ledger behind a cursor while another thread appends to it.
#[derive(Debug)]
pub struct Follower {
    folder: PathBuf,
    cursor: Cursor,
}

/// An open segment.
struct Segment {
    lines: Lines<BufReader<File>>,
    /// Where the next one begins, where there is one.
    next: Option<u64>,
}

impl Follower {
    /// A follower of the segments in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, cursor: Cursor) -> Self {
        Self { folder, cursor }
    }

    /// Which record is next.
    #[must_use]
    pub fn position(&self) -> Position {
        self.cursor.position
    }

    /// Gives every record up to `end` to `take`, steps over each that it took, and says what can't be given.
    ///
    /// # Errors
    ///
    /// What `take` said; the record is given again at the next call.
    pub fn read_to(
        &mut self,
        end: Position,
        skipped: &impl Skipped,
        mut take: impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        // Opened anew each time: what a reader has read ahead may not have been durable.
        let mut open = self.enter();
        while self.cursor.position.record < end.record {
            let Some((line, bytes)) = open.as_mut().and_then(|segment| segment.line(self.cursor.position))
            else {
                self.go_on(end, skipped);
                open = self.enter();
                continue;
            };
            let at = self.cursor.position;
            match line.and_then(json) {
                Some(text) => take(text)?,
                None => skipped.missing(RecordRange { first: at.record, last: at.record }),
            }
            self.cursor.position = Position { record: at.record + 1, offset: at.offset + bytes, ..at };
            self.keep(skipped);
        }
        self.keep(skipped);
        Ok(())
    }

    fn keep(&self, skipped: &impl Skipped) {
        if skipped.all_reported() {
            self.cursor.keep();
        }
    }

    /// The segment at the cursor; `None` where it is gone, or shorter than it was.
    fn enter(&mut self) -> Option<Segment> {
        let at = self.cursor.position;
        let path = path_of(&self.folder, at.segment);
        let opened = files::open_to_read(&path).and_then(|mut file| {
            if file.metadata()?.len() < at.offset {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut before = [b'\n'];
            if at.offset > 0 {
                file.read_exact_at(&mut before, at.offset - 1)?;
            }
            if before != *b"\n" {
                tracing::warn!("{} was exchanged: stdout gets all of it", path.display());
                self.cursor.position = Position::at(at.segment);
            }
            file.seek(SeekFrom::Start(self.cursor.position.offset))?;
            Ok(file)
        });
        let file = opened.ok()?;
        let next = list(&self.folder).unwrap_or_default().into_iter().find(|next| *next > at.segment);
        Some(Segment { lines: Lines::new(BufReader::new(file)), next })
    }

    /// Goes on in the next segment that there is, or where the records end: what is between is missing.
    fn go_on(&mut self, end: Position, skipped: &impl Skipped) {
        let at = self.cursor.position;
        let after = |segment: &u64| *segment > at.segment && *segment <= end.segment;
        let next = list(&self.folder).unwrap_or_default().into_iter().find(after);
        let next = next.map_or(end, Position::at);
        if next.record > at.record {
            skipped.missing(RecordRange { first: at.record, last: next.record - 1 });
        }
        self.cursor.position = next;
    }
}

impl Segment {
    /// The line at the cursor and its bytes in the file: `None` where the segment has no more, no text where no record can
    /// be so long.
    fn line(&mut self, at: Position) -> Option<(Option<&[u8]>, u64)> {
        if self.next.is_some_and(|next| at.record >= next) {
            return None;
        }
        match self.lines.read() {
            Ok(Some(Line::Whole(line, bytes))) => Some((Some(line), bytes)),
            Ok(Some(Line::TooLong(bytes))) => Some((None, bytes)),
            Ok(Some(Line::Torn) | None) => None,
            Err(error) => {
                tracing::warn!("a segment of the ledger can't be read to its end: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::super::segments::{Limits, Segments};
    use super::*;

    /// Says what is missing, and that it is reported.
    struct SkippedRecords {
        missing: RefCell<Vec<(u64, u64)>>,
        durable: Cell<bool>,
    }

    impl Skipped for SkippedRecords {
        fn missing(&self, records: RecordRange) {
            self.missing.borrow_mut().push((records.first, records.last));
        }
        fn all_reported(&self) -> bool {
            self.durable.get()
        }
    }

    const LARGE: Limits = Limits { segment: 1 << 20, total: 1 << 20 };
    /// Three records a segment.
    const SMALL: Limits = Limits { segment: 21, total: 1 << 20 };

    fn ledger(limits: Limits) -> (tempfile::TempDir, Segments) {
        let folder = tempfile::tempdir().unwrap();
        let segments = Segments::open(&folder.path().join("records"), limits).unwrap();
        (folder, segments)
    }

    fn follower(folder: &Path) -> Follower {
        let cursor = Cursor::open(&folder.join("stdout.cursor"), 0).unwrap();
        Follower::new(folder.join("records"), cursor)
    }

    fn append(segments: &mut Segments, range: std::ops::Range<u64>) {
        for n in range {
            segments.append(&[line(n)]).unwrap();
        }
    }

    fn line(n: u64) -> String {
        format!("{{\"n\":{n}}}")
    }

    fn read_by(follower: &mut Follower, end: Position, skipped: &SkippedRecords) -> Vec<String> {
        let mut lines = Vec::new();
        let result = follower.read_to(end, skipped, |line| {
            lines.push(line.to_owned());
            Ok(())
        });
        result.unwrap();
        lines
    }

    /// What is given, and what is said to be missing.
    fn read(follower: &mut Follower, end: Position) -> (Vec<String>, Vec<(u64, u64)>) {
        let skipped = SkippedRecords { missing: RefCell::default(), durable: Cell::new(true) };
        let lines = read_by(follower, end, &skipped);
        (lines, skipped.missing.into_inner())
    }

    fn lines(range: std::ops::Range<u64>) -> Vec<String> {
        range.map(line).collect()
    }

    fn segment(folder: &tempfile::TempDir, n: u64) -> PathBuf {
        path_of(&folder.path().join("records"), n)
    }

    #[test]
    fn every_record_once_over_segments_and_restarts() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..10);
        let mut first = follower(folder.path());
        assert_eq!(read(&mut first, segments.end()), (lines(0..10), vec![]));
        append(&mut segments, 10..15);
        assert_eq!(read(&mut first, segments.end()), (lines(10..15), vec![]));
        drop(first);
        append(&mut segments, 15..18);
        assert_eq!(read(&mut follower(folder.path()), segments.end()), (lines(15..18), vec![]));
    }

    #[test]
    fn a_record_that_was_refused_is_given_again() {
        let (folder, mut segments) = ledger(LARGE);
        append(&mut segments, 0..3);
        let mut follower = follower(folder.path());
        let mut given = 0;
        let skipped = SkippedRecords { missing: RefCell::default(), durable: Cell::new(true) };
        let refused = follower.read_to(segments.end(), &skipped, |_| {
            given += 1;
            if given == 2 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(read(&mut follower, segments.end()), (lines(1..3), vec![]));
    }

    #[test]
    fn records_removed_before_they_were_read_are_named() {
        let (folder, mut segments) = ledger(Limits { segment: 21, total: 70 });
        append(&mut segments, 0..30);
        let oldest = segments.oldest();
        assert!(oldest > 0);
        let (given, missing) = read(&mut follower(folder.path()), segments.end());
        assert_eq!((given, missing), (lines(oldest..30), vec![(0, oldest - 1)]));
    }

    #[test]
    fn a_step_over_missing_records_waits_for_their_report() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..9);
        std::fs::remove_file(segment(&folder, 3)).unwrap();
        let skipped = SkippedRecords { missing: RefCell::default(), durable: Cell::new(true) };
        assert_eq!(
            read_by(&mut follower(folder.path()), Position { record: 3, ..segments.end() }, &skipped).len(),
            3
        );
        skipped.durable.set(false);
        let mut first = follower(folder.path());
        assert_eq!(read_by(&mut first, segments.end(), &skipped), lines(6..9));
        // As if it was killed: it is found again.
        let again = read(&mut follower(folder.path()), segments.end());
        assert_eq!(again, (lines(6..9), vec![(3, 5)]));
        assert_eq!(read(&mut follower(folder.path()), segments.end()), (vec![], vec![]));
    }

    #[test]
    fn a_cursor_that_cannot_be_made_out_begins_with_what_is_there() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..3);
        let far = "{\"record\":18446744073709551615,\"segment\":0,\"offset\":1}";
        let behind = "{\"record\":1,\"segment\":2,\"offset\":0}";
        let long = "x".repeat(100_000);
        for text in ["{\"rec", far, behind, "\u{0}\u{0}", &long, "{\"record\":2,\"segment\":0,\"offset\":0}"]
        {
            std::fs::write(folder.path().join("stdout.cursor"), text).unwrap();
            assert_eq!(
                read(&mut follower(folder.path()), segments.end()),
                (lines(0..3), vec![]),
                "{text:.60}"
            );
            assert_eq!(read(&mut follower(folder.path()), segments.end()), (vec![], vec![]), "{text:.60}");
        }
    }

    #[test]
    fn a_cursor_in_the_middle_of_a_line_gives_the_segment_again() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..7);
        std::fs::write(folder.path().join("stdout.cursor"), "{\"record\":4,\"segment\":3,\"offset\":9}")
            .unwrap();
        assert_eq!(read(&mut follower(folder.path()), segments.end()), (lines(3..7), vec![]));
    }

    #[test]
    fn a_truncated_or_changed_segment_costs_its_own_records() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..12);
        // The second has one line and a half, the third a byte that is no UTF-8, the fourth a hole.
        std::fs::write(segment(&folder, 3), "{\"n\":3}\n{\"n\"").unwrap();
        std::fs::write(segment(&folder, 6), b"{\"n\":6}\n{\"n\":\"\xff\"}\n{\"n\":8}\n").unwrap();
        std::fs::write(segment(&folder, 9), b"\0\0\0\0\0\0\0\0{\"n\":9}\n").unwrap();
        let (given, missing) = read(&mut follower(folder.path()), segments.end());
        let expected = [lines(0..4), lines(6..7), lines(8..10)].concat();
        assert_eq!((given, missing), (expected, vec![(4, 5), (7, 7), (10, 11)]));
    }

    #[test]
    fn a_foreign_segment_costs_the_others_nothing() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..9);
        // More lines than there is room for before the next one.
        std::fs::write(segment(&folder, 3), "{}\n".repeat(1000)).unwrap();
        let (given, missing) = read(&mut follower(folder.path()), segments.end());
        let expected = [lines(0..3), vec!["{}".to_owned(); 3], lines(6..9)].concat();
        assert_eq!((given, missing), (expected, vec![]));
    }

    #[test]
    fn a_folder_that_was_emptied_is_passed_over() {
        let (folder, mut segments) = ledger(SMALL);
        append(&mut segments, 0..7);
        let mut follower = follower(folder.path());
        read(&mut follower, Position { record: 4, ..segments.end() });
        std::fs::remove_dir_all(folder.path().join("records")).unwrap();
        append(&mut segments, 7..9);
        assert_eq!(read(&mut follower, segments.end()), (lines(7..9), vec![(4, 6)]));
    }
}
