//! `cargo xtask bench`: builds the bench and what it measures, runs it, and looks whether it left anything.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::progress::{Step, heading};
use crate::tiers::{machine, traces};
use crate::{build, cluster, command, repo, setup};

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Section {
    /// What each hook costs a process of no session, beside an empty program and other tracers.
    Hooks,
    /// Exits by the hundred thousand, outside a session and inside one.
    Storm,
    /// How soon the end of a session is reported, and how right its duration is, beside the API.
    Sessions,
    /// Resident memory at rest.
    Memory,
    /// What each hook costs in instructions, on other kernels in virtual machines.
    Instructions,
}

/// Measures the named sections, all where none is named; the table goes to stdout.
///
/// # Errors
/// When it cannot run here, a part of it fails, or something is left on the machine.
pub fn run(json: Option<&Path>, sections: &[Section]) -> Result<()> {
    machine::check_kernel()?;
    setup::for_bench()?;
    build::run()?;
    build::build_empty_bpf()?;
    build_bench()?;
    let mut bench = Command::new(repo::target().join("release/debugtrail-bench"));
    if let Some(json) = json {
        bench.arg("--json").arg(json);
    }
    for section in sections.iter().filter_map(Section::to_possible_value) {
        bench.arg(section.get_name());
    }
    let result = command::run(&mut bench);
    // A bench that was killed leaves its cluster to the guard.
    cluster::settle()?;
    heading("what is left on the machine");
    traces::check()?;
    result
}

/// The load is linked statically: it also runs in pods, whose image has nothing but it.
fn build_bench() -> Result<()> {
    let step = Step::begin("building the bench (a minute the first time)");
    let package = ["--release", "--package", "debugtrail-bench", "--bin"];
    let mut bench = command::cargo();
    command::run_quietly(bench.arg("build").args(package).arg("debugtrail-bench"), &step)?;
    let mut load = command::cargo();
    load.arg("rustc").args(package).args(["bench-load", "--"]);
    load.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"]);
    command::run_quietly(&mut load, &step)?;
    step.done();
    Ok(())
}
