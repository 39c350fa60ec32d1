//! Running `bench-load`.

use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use xtask::{command, repo};

/// What its exit code says when all went well, so that no other way to end looks the same.
pub const DONE: u8 = 42;

/// Worker processes: one for each CPU.
#[must_use]
pub fn workers() -> u64 {
    available_parallelism().map_or(1, |count| count.get() as u64)
}

/// Children that exit at once, on all CPUs.
///
/// # Errors
/// When one of them could not be made.
pub fn forks(count: u64) -> Result<()> {
    run(&["forks", &count.to_string(), &workers().to_string(), "0"])
}

/// Children that are vforked and exec a program that exits at once, on all CPUs.
///
/// # Errors
/// As [`forks`].
pub fn execs(count: u64) -> Result<()> {
    run(&["execs", &count.to_string(), &workers().to_string(), "0"])
}

/// Moves between cgroups and makes and removes one; `folder` has `a` and `b`.
///
/// # Errors
/// When a step of it fails.
pub fn cgroups(count: u64, folder: &str) -> Result<()> {
    run(&["cgroups", &count.to_string(), folder])
}

/// [`forks`] in the background.
///
/// # Errors
/// When it cannot be started.
pub fn start_forks(count: u64) -> Result<Child> {
    let mut load = program();
    load.args(["forks", &count.to_string(), &workers().to_string(), "0"]).stdin(Stdio::null());
    load.spawn().context("cannot start bench-load")
}

/// Waits for what [`start_forks`] started.
///
/// # Errors
/// As [`forks`].
pub fn finish(mut load: Child) -> Result<()> {
    let status = load.wait()?;
    ensure!(status.success(), "bench-load ended with {status}");
    Ok(())
}

fn run(arguments: &[&str]) -> Result<()> {
    command::output(program().args(arguments)).map(drop)
}

fn program() -> Command {
    Command::new(repo::bench_load_binary())
}
