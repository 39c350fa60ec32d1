//! Why nothing can be written any more.

use std::io;

use thiserror::Error;

/// Records that cannot be written. A reader that went away is none.
#[derive(Debug, Error)]
#[error("cannot write the output: {0}; make room where it goes to, or send it elsewhere")]
pub struct OutputError(pub io::Error);
