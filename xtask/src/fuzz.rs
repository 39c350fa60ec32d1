//! `cargo xtask fuzz`: the parsers of bytes from outside, for some time.

use anyhow::Result;

use crate::{command, setup};

/// Feeds every parser for so many seconds, all at once, and says how many cases that were.
///
/// # Errors
/// When one of them panics: the smallest input that makes it is shown.
pub fn run(seconds: u64) -> Result<()> {
    setup::run()?;
    let mut cargo = command::cargo();
    cargo.env("DEBUGTRAIL_FUZZ_SECONDS", seconds.to_string());
    cargo.args(["test", "--package", "debugtrail", "--test", "outside_bytes", "--", "--nocapture", "fuzz_"]);
    command::run(&mut cargo)
}
