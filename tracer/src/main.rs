//! The binary: parse, dispatch.

use std::process::ExitCode;

use clap::Parser;
use debugtrail::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
