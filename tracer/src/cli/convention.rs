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
    let unreadable = |why| BadInput::Unreadable { path: path.to_owned(), why };
    let bytes = read_bounded(path).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(unreadable("larger than a MiB".into()));
    }
    let text = text(&bytes).map_err(|line| unreadable(format!("line {line} is not UTF-8 text")))?;
    Convention::parse(text).map_err(|why| BadInput::NotAConvention { path: path.to_owned(), why })
}

/// One byte more than the most, so that more is noticed.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number of the line that is no text, where there is one.
fn text(bytes: &[u8]) -> Result<&str, usize> {
    std::str::from_utf8(bytes)
        .map_err(|error| 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_is_no_text_is_named_by_its_line() {
        assert_eq!(text(b"42 a\n43 b\n"), Ok("42 a\n43 b\n"));
        assert_eq!(text(b"42 a\n43 \xff\n"), Err(2));
    }
}
