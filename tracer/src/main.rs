//! The binary: parse, dispatch.

use std::process::ExitCode;

use debugtrail::cli;

fn main() -> ExitCode {
    cli::run(cli::parse())
}
