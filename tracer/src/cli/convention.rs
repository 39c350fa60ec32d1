//! The file of `--exit-codes`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::record::{Convention, ConventionError};

/// A convention has 256 lines and comments; what is larger than this is some other file.
const LARGEST: u64 = 1 << 20;

/// An input file that is not what it should be.
#[derive(Debug, Error)]
pub enum BadInput {
    /// It cannot be read.
    #[error("can't read the exit codes in {path}: {why}; check --exit-codes")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It is something else.
    #[error("{path} is no exit-code convention: {why}")]
    NotAConvention {
        /// The file.
        path: PathBuf,
        /// The first bad line.
        why: ConventionError,
    },
}

/// Reads it.
///
/// # Errors
///
/// Where it can't be read, or a line is none of a convention.
pub(super) fn read(path: &Path) -> Result<Convention, BadInput> {
    let bytes = read_bounded(path)
        .map_err(|error| BadInput::Unreadable { path: path.to_owned(), why: error.to_string() })?;
    parse(path, &bytes)
}

/// What the file at `path` says, of which these are the bytes.
///
/// # Errors
///
/// Where they are too many or no text, or a line is none of a convention.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Convention, BadInput> {
    let unreadable = |why| BadInput::Unreadable { path: path.to_owned(), why };
    if bytes.len() as u64 > LARGEST {
        return Err(unreadable("larger than a MiB".into()));
    }
    let text = text(bytes).map_err(unreadable)?;
    Convention::parse(text).map_err(|why| BadInput::NotAConvention { path: path.to_owned(), why })
}

/// One byte more than the most, so that more is noticed.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text, without the byte order mark that editors on Windows put before it; else which line is none.
fn text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16 text, and UTF-8 is wanted".into());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("line {line} is not UTF-8 text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_text_is_named() {
        assert_eq!(text(b"42 a\n43 b\n"), Ok("42 a\n43 b\n"));
        assert_eq!(text(b"42 a\n43 \xff\n"), Err("line 2 is not UTF-8 text".into()));
    }

    #[test]
    fn a_file_written_on_windows_is_read() {
        let path = Path::new("codes");
        let plain = parse(path, b"42 pool-exhausted\n").unwrap();
        assert_eq!(parse(path, b"\xef\xbb\xbf42 pool-exhausted\r\n").unwrap(), plain);
        // What PowerShell's `>` writes.
        let refused = parse(path, b"\xff\xfe4\x002\x00").unwrap_err().to_string();
        assert!(refused.contains("UTF-16") && refused.contains("; check --exit-codes"), "{refused}");
    }
}
