//! The lines of a segment, one at a time: whatever a file holds, no more of it is in memory than a record takes.

use std::io::{self, BufRead, Read};

/// Bytes of the longest line that can be a record.
pub(super) const LONGEST: usize = 4 << 20;

/// A line, and how many bytes of the file it takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Without its end.
    Whole(&'a [u8], u64),
    /// Longer than any record.
    TooLong(u64),
    /// The last one has no end: it was cut off.
    Torn,
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new() }
    }

    /// The next line; `None` at the end.
    pub(super) fn read(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let (mut taken, mut too_long) = (0, false);
        loop {
            let room = LONGEST + 1 - self.line.len();
            let read = (&mut self.reader).take(room as u64).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok((taken > 0).then_some(Line::Torn));
            }
            taken += read as u64;
            // The hole of a file that was truncated under its writer.
            let zeros = self.line.iter().take_while(|byte| **byte == 0).count();
            self.line.drain(..zeros);
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
                return Ok(Some(if too_long {
                    Line::TooLong(taken)
                } else {
                    Line::Whole(&self.line, taken)
                }));
            }
            if self.line.len() > LONGEST {
                too_long = true;
                self.line.clear();
            }
        }
    }
}

/// The text of a line that is a JSON object; `None` where it can't be a record.
pub(super) fn json(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok().filter(|text| text.starts_with('{'))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        while let Some(line) = lines.read().unwrap() {
            all.push(match line {
                Line::Whole(line, bytes) => format!("{} {bytes}", String::from_utf8_lossy(line)),
                Line::TooLong(bytes) => format!("too long {bytes}"),
                Line::Torn => "torn".into(),
            });
        }
        all
    }

    #[test]
    fn lines_come_one_by_one_with_their_bytes() {
        assert_eq!(all(b""), [""; 0]);
        assert_eq!(all(b"ab\n\nc\nd"), ["ab 3", " 1", "c 2", "torn"]);
    }

    #[test]
    fn a_line_that_can_be_no_record_is_passed_over() {
        let long = [vec![b'x'; 3 * LONGEST], b"\nnext\n".to_vec()].concat();
        assert_eq!(all(&long), [format!("too long {}", 3 * LONGEST + 1), "next 5".into()]);
        assert_eq!(all(&long[..LONGEST + 7]), ["torn"]);
    }

    #[test]
    fn a_hole_in_front_of_a_line_is_passed_over() {
        let hole = [vec![0; 2 * LONGEST + 3], b"{}\n".to_vec()].concat();
        assert_eq!(all(&hole), [format!("{{}} {}", hole.len())]);
    }

    #[test]
    fn only_a_json_object_can_be_a_record() {
        assert_eq!(json(b"{\"a\":[1]}"), Some("{\"a\":[1]}"));
        for line in [&b"{\"a\":\"\xff\"}"[..], b"{", b"[]", b"", b"{} {}", b"\0{}"] {
            assert_eq!(json(line), None, "{line:?}");
        }
    }
}
