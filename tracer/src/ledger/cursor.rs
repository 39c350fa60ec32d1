//! A sink's way through the ledger: every record in order, at least once, each sink at its own speed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::segments::{Position, list, path_of};

/// Which record a sink gets next; kept in a file, so that a restart neither repeats nor skips.
#[derive(Debug)]
pub struct Cursor {
    file: File,
    position: Position,
}

impl Cursor {
    /// The cursor kept at `path`; at the ledger's beginning where none was kept or it can't be made out.
    ///
    /// # Errors
    ///
    /// Where the file can't be made or read.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(LedgerError::unusable(path))?;
        let text = io::read_to_string(&file).map_err(LedgerError::unusable(path))?;
        let position = serde_json::from_str(text.trim()).unwrap_or_default();
        Ok(Self { file, position })
    }

    /// Which record is next.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Takes a step and keeps it. Not synced: after a power loss a few records come twice, by id the same.
    fn advance(&mut self, position: Position) {
        self.position = position;
        let mut text = serde_json::to_string(&position).unwrap_or_default();
        // One write of fixed length, which a reader sees whole.
        text.push_str(&" ".repeat(128_usize.saturating_sub(text.len() + 1)));
        text.push('\n');
        // A full disk is no failure of the sink: the next step keeps both.
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0) {
            tracing::debug!("a cursor can't be kept: {error}");
        }
    }
}

/// Reads a ledger behind a cursor while another thread appends to it.
#[derive(Debug)]
pub struct Follower {
    folder: PathBuf,
    cursor: Cursor,
    open: Option<(u64, BufReader<File>)>,
}

impl Follower {
    /// A follower of the segments in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, cursor: Cursor) -> Self {
        Self { folder, cursor, open: None }
    }

    /// Which record is next.
    #[must_use]
    pub fn position(&self) -> Position {
        self.cursor.position
    }

    /// Gives every record up to `end` to `take`, and steps over each that it took. How many had been removed before
    /// they could be read.
    ///
    /// # Errors
    ///
    /// What `take` said, or what the system says of a segment; the record is given again at the next call.
    pub fn read_to(
        &mut self,
        end: Position,
        mut take: impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut removed = 0;
        while self.cursor.position.record < end.record {
            removed += self.skip_removed()?;
            if self.cursor.position.record >= end.record {
                break;
            }
            let Some(line) = self.next_line()? else { continue };
            take(line.trim_end_matches('\n'))?;
            let at = self.cursor.position;
            let offset = at.offset + line.len() as u64;
            self.cursor.advance(Position { record: at.record + 1, offset, ..at });
        }
        Ok(removed)
    }

    /// The line at the cursor; `None` where the segment ends there, and the next one is entered.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        let at = self.cursor.position;
        let reader = match &mut self.open {
            Some((segment, reader)) if *segment == at.segment => reader,
            stale => {
                let mut file = File::open(path_of(&self.folder, at.segment))?;
                file.seek(SeekFrom::Start(at.offset))?;
                &mut stale.insert((at.segment, BufReader::new(file))).1
            }
        };
        let mut line = String::new();
        if reader.read_line(&mut line)? > 0 {
            return Ok(Some(line));
        }
        self.open = None;
        if at.segment == at.record {
            // Not a next one, but this one again: the writer knows more of it than the file has.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a segment lacks a record"));
        }
        self.cursor.position = Position { segment: at.record, offset: 0, ..at };
        Ok(None)
    }

    /// Goes on with the oldest segment where the cursor's own has been removed; how many records that skips.
    fn skip_removed(&mut self) -> io::Result<u64> {
        let at = self.cursor.position;
        if self.open.as_ref().is_some_and(|(segment, _)| *segment == at.segment)
            || path_of(&self.folder, at.segment).exists()
        {
            return Ok(0);
        }
        let oldest = list(&self.folder)?.into_iter().find(|segment| *segment >= at.record);
        let Some(oldest) = oldest else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the segments are gone"));
        };
        self.cursor.advance(Position { record: oldest, segment: oldest, offset: 0 });
        Ok(oldest - at.record)
    }
}

#[cfg(test)]
mod tests {
    use super::super::segments::{Limits, Segments};
    use super::*;

    fn ledger(limits: Limits) -> (tempfile::TempDir, Segments) {
        let folder = tempfile::tempdir().unwrap();
        let segments = Segments::open(&folder.path().join("records"), limits).unwrap();
        (folder, segments)
    }

    fn follower(folder: &Path) -> Follower {
        let cursor = Cursor::open(&folder.join("stdout.cursor")).unwrap();
        Follower::new(folder.join("records"), cursor)
    }

    fn append(segments: &mut Segments, range: std::ops::Range<u64>) {
        for n in range {
            segments.append(&[format!("line {n}")]).unwrap();
        }
    }

    fn read(follower: &mut Follower, end: Position) -> (Vec<String>, u64) {
        let mut lines = Vec::new();
        let removed = follower.read_to(end, |line| {
            lines.push(line.to_owned());
            Ok(())
        });
        (lines, removed.unwrap())
    }

    fn lines(range: std::ops::Range<u64>) -> Vec<String> {
        range.map(|n| format!("line {n}")).collect()
    }

    #[test]
    fn every_record_once_over_segments_and_restarts() {
        let (folder, mut segments) = ledger(Limits { segment: 20, total: 1 << 20 });
        append(&mut segments, 0..10);
        let mut first = follower(folder.path());
        assert_eq!(read(&mut first, segments.end()), (lines(0..10), 0));
        append(&mut segments, 10..15);
        assert_eq!(read(&mut first, segments.end()), (lines(10..15), 0));
        drop(first);
        append(&mut segments, 15..18);
        assert_eq!(read(&mut follower(folder.path()), segments.end()), (lines(15..18), 0));
    }

    #[test]
    fn a_record_that_was_refused_is_given_again() {
        let (folder, mut segments) = ledger(Limits { segment: 1 << 20, total: 1 << 20 });
        append(&mut segments, 0..3);
        let mut follower = follower(folder.path());
        let mut given = 0;
        let refused = follower.read_to(segments.end(), |_| {
            given += 1;
            if given == 2 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        follower.open = None;
        assert_eq!(read(&mut follower, segments.end()), (lines(1..3), 0));
    }

    #[test]
    fn what_was_removed_before_it_was_read_is_counted() {
        let (folder, mut segments) = ledger(Limits { segment: 20, total: 60 });
        append(&mut segments, 0..30);
        let (read, removed) = read(&mut follower(folder.path()), segments.end());
        assert!(removed > 0);
        assert_eq!(read, lines(removed..30));
    }

    #[test]
    fn a_cursor_that_cannot_be_made_out_begins_at_the_beginning() {
        let (folder, mut segments) = ledger(Limits { segment: 20, total: 1 << 20 });
        append(&mut segments, 0..3);
        std::fs::write(folder.path().join("stdout.cursor"), "{\"rec").unwrap();
        assert_eq!(read(&mut follower(folder.path()), segments.end()), (lines(0..3), 0));
    }
}
