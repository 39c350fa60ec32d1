//! `cargo xtask test`: the tiers, each with all that it needs.

use std::fmt;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cluster::Runtime;
use crate::progress::{Step, heading};
use crate::{build, cluster, command, interrupt, matrix, repo, setup, times};

pub(crate) mod machine;
mod runtimes;
pub(crate) mod traces;

/// A tier of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Pure code: needs no root.
    Unit,
    /// The eBPF programs on the running kernel.
    Kernel,
    /// Real containers through containerd and runc or crun.
    Containers,
    /// Real debug sessions on the embedded Kubernetes.
    Cluster,
    /// The attacks among the cluster tier's tests, alone.
    Hostile,
    /// The scenarios on an embedded Kubernetes with other container runtimes: containerd 2 and CRI-O.
    Runtimes,
    /// The kernel and the containers tier on other kernels, from 5.10 on, in virtual machines.
    Matrix,
}

/// Those that run where none is named: all tests. The attacks are among the cluster tier's.
const ALL: [Tier; 6] =
    [Tier::Unit, Tier::Kernel, Tier::Containers, Tier::Cluster, Tier::Runtimes, Tier::Matrix];

/// How much of a tier is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What each change is tried on: none of the tiers was named.
    Sample,
    /// All of it, and what is written of it is written.
    Whole,
}

/// What of the tiers is run.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Choice {
    #[command(flatten)]
    guests: matrix::Choice,
    /// In the runtimes tier only this container runtime; can be given several times
    #[arg(long = "runtime", value_name = "NAME", value_enum)]
    runtimes: Vec<Runtime>,
}

/// Runs the tiers, all where none is named; the later ones also after one has failed.
///
/// # Errors
/// When a tier fails or can't run, or something is left on the machine.
pub fn run(tiers: &[Tier], choice: &Choice) -> Result<()> {
    // Without names it is a test of the tree as it stands, which then stands as before.
    let extent = if tiers.is_empty() { Extent::Sample } else { Extent::Whole };
    let tiers = if tiers.is_empty() { &ALL } else { tiers };
    heading("what it needs, and debugtrail itself");
    setup::run()?;
    build::run()?;
    let failed = run_each(tiers, choice, extent)?;
    let left = if tiers.iter().any(|&tier| tier != Tier::Unit) {
        heading("what is left on the machine");
        traces::check()
    } else {
        Ok(())
    };
    times::print();
    left?;
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Gives the names of those that failed.
fn run_each(tiers: &[Tier], choice: &Choice, extent: Extent) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    let mut ahead = None;
    for &tier in tiers {
        if tier == Tier::Cluster && tiers.contains(&Tier::Runtimes) {
            ahead = runtimes::build_ahead(&choice.runtimes);
        }
        if let (Tier::Runtimes, Some(ahead)) = (tier, &mut ahead) {
            ahead.wait()?;
        }
        heading(&format!("{tier} tier"));
        if let Err(error) = run_one(tier, choice, extent) {
            eprintln!("{tier} tier: {error:#}");
            failed.push(tier.to_string());
        }
        if interrupt::interrupted() {
            bail!("interrupted");
        }
    }
    Ok(failed)
}

fn run_one(tier: Tier, choice: &Choice, extent: Extent) -> Result<()> {
    machine::check(tier)?;
    if matches!(tier, Tier::Kernel | Tier::Cluster | Tier::Hostile | Tier::Matrix) {
        build::build_other_bpf()?;
    }
    if tier == Tier::Matrix {
        return matrix::run(&choice.guests, extent);
    }
    if matches!(tier, Tier::Cluster | Tier::Hostile) {
        setup::prometheus::install()?;
    }
    if tier == Tier::Runtimes {
        return runtimes::run(&choice.runtimes, extent);
    }
    build_tests(tier)?;
    let result = command::run(&mut cargo_test(tier));
    // A test binary that was killed leaves its cluster to the guard.
    cluster::settle()?;
    result
}

/// So that the time of the build stands by itself.
fn build_tests(tier: Tier) -> Result<()> {
    let step = Step::begin(&format!("building the tests of the {tier} tier"));
    command::run_quietly(cargo_test_of(tier).arg("--no-run"), &step)?;
    step.done();
    Ok(())
}

fn cargo_test(tier: Tier) -> Command {
    let mut cargo = cargo_test_of(tier);
    match tier {
        Tier::Unit => {}
        Tier::Hostile => drop(cargo.args(["--", "--test-threads=1", "hostile::"])),
        _ => drop(cargo.args(["--", "--test-threads=1"])),
    }
    cargo
}

fn cargo_test_of(tier: Tier) -> Command {
    let mut cargo = command::cargo();
    cargo.env("DEBUGTRAIL_BIN", repo::debugtrail_binary());
    if tier == Tier::Unit {
        cargo.args(["test", "--workspace", "--exclude", "debugtrail-tests", "--no-fail-fast"]);
    } else {
        let binary = if tier == Tier::Hostile { Tier::Cluster } else { tier };
        cargo.args(["test", "--package", "debugtrail-tests", "--test", &binary.to_string()]);
    }
    cargo
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unit => "unit",
            Self::Kernel => "kernel",
            Self::Containers => "containers",
            Self::Cluster => "cluster",
            Self::Hostile => "hostile",
            Self::Runtimes => "runtimes",
            Self::Matrix => "matrix",
        })
    }
}
