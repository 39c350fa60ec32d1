//! Reads what a ledger has reported: one line in memory at a time, whatever the files hold.

use std::io::{self, BufReader};
use std::path::Path;

use super::lines::{Line, Lines, json};
use super::ranges::Ranges;
use super::segments::{list, path_of};
use super::{History, files};
use crate::ids::BootId;
use crate::record::RecordRange;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// What the segments in `records` have reported, and which of their records are missing and not said to be.
pub(super) fn history(records: &Path, boot: BootId) -> io::Result<(History, Vec<RecordRange>)> {
    let (mut history, mut missing) = (History::new(boot), Ranges::default());
    let segments = list(records)?;
    for (n, segment) in segments.iter().enumerate() {
        let next = segments.get(n + 1).copied();
        let read = read_segment(&path_of(records, *segment), *segment, next, &mut history, &mut missing);
        if let Some(next) = next.filter(|next| read < *next) {
            missing.add(RecordRange { first: read, last: next - 1 });
        }
    }
    let mut reported = history.reported_missing().clone();
    Ok((history, missing.iter().flat_map(|range| reported.add(range)).collect()))
}

/// Takes in one segment as far as it can be read; the number of the record behind that.
fn read_segment(
    path: &Path,
    segment: u64,
    next: Option<u64>,
    history: &mut History,
    missing: &mut Ranges,
) -> u64 {
    let mut record = segment;
    let result = files::open_to_read(path).and_then(|file| {
        let mut lines = Lines::new(BufReader::with_capacity(BUFFER, file));
        while let Some(line) = lines.read()? {
            let text = match line {
                Line::Whole(line, _) => std::str::from_utf8(line).ok(),
                Line::TooLong(_) => None,
                Line::Torn => break,
            };
            let known = text.is_some_and(|text| history.read(text));
            // A line of JSON may be of a later version, which is not damage.
            let ours = next.is_none_or(|next| record < next);
            if !known && ours && text.and_then(|text| json(text.as_bytes())).is_none() {
                missing.add(RecordRange { first: record, last: record });
            }
            record += 1;
        }
        Ok(())
    });
    if let Err(error) = result {
        tracing::warn!("{} can't be read to its end: {error}", path.display());
    }
    record
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::clock::ClockState;
    use crate::record::{GapReason, GapRecord, Record, RecordNumber};

    fn gap(records: Vec<RecordRange>) -> String {
        let clock = ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None };
        let number = RecordNumber::test(1);
        let gap = GapRecord { records, ..GapRecord::new(GapReason::LedgerDamaged, &number, clock) };
        Record::Gap(gap).to_json_line().unwrap()
    }

    fn missing(folder: &Path) -> Vec<(u64, u64)> {
        let (_, missing) = history(folder, BootId::new("b0")).unwrap();
        missing.into_iter().map(|range| (range.first, range.last)).collect()
    }

    #[test]
    fn missing_records_are_found_until_reported() {
        let folder = tempfile::tempdir().unwrap();
        let write = |n, bytes: &[u8]| fs::write(path_of(folder.path(), n), bytes).unwrap();
        write(5, b"{\"later\":1}\n\xff\n{}\n{\"torn");
        write(10, b"{}\nnonsense\n");
        write(12, b"{}\n");
        assert_eq!(missing(folder.path()), [(6, 6), (8, 9), (11, 11)]);
        let reported = gap(vec![RecordRange { first: 6, last: 9 }]);
        write(13, format!("{reported}\n").as_bytes());
        assert_eq!(missing(folder.path()), [(11, 11)]);
    }

    #[test]
    fn lines_beyond_the_next_segment_are_no_records() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(path_of(folder.path(), 0), "x\n{}\n".repeat(9)).unwrap();
        fs::write(path_of(folder.path(), 3), "{}\n").unwrap();
        assert_eq!(missing(folder.path()), [(0, 0), (2, 2)]);
    }
}
