//! `cargo xtask test`: the tiers, each with all that it needs.

use std::fmt;
use std::process::Command;

use anyhow::{Result, bail};

use crate::matrix::{Choice, Table};
use crate::progress::heading;
use crate::{build, cluster, command, interrupt, matrix, repo, setup};

pub(crate) mod machine;
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
    /// The kernel and the containers tier on other kernels, from 5.10 on, in virtual machines.
    Matrix,
}

/// Those that run where none is named: all tests. The attacks are among the cluster tier's.
const ALL: [Tier; 5] = [Tier::Unit, Tier::Kernel, Tier::Containers, Tier::Cluster, Tier::Matrix];

/// Runs the tiers, all where none is named; the later ones also after one has failed. `guests` is
/// about the matrix tier.
///
/// # Errors
/// When a tier fails or can't run, or something is left on the machine.
pub fn run(tiers: &[Tier], guests: &Choice) -> Result<()> {
    // Without names it is a test of the tree as it stands, which then stands as before.
    let table = if tiers.is_empty() { Table::Keep } else { Table::Write };
    let tiers = if tiers.is_empty() { &ALL } else { tiers };
    setup::run()?;
    build::run()?;
    let mut failed = Vec::new();
    for &tier in tiers {
        heading(&format!("{tier} tier"));
        if let Err(error) = run_one(tier, guests, table) {
            eprintln!("{tier} tier: {error:#}");
            failed.push(tier.to_string());
        }
        if interrupt::interrupted() {
            bail!("interrupted");
        }
    }
    if tiers.iter().any(|&tier| tier != Tier::Unit) {
        heading("what is left on the machine");
        traces::check()?;
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn run_one(tier: Tier, guests: &Choice, table: Table) -> Result<()> {
    machine::check(tier)?;
    if matches!(tier, Tier::Kernel | Tier::Cluster | Tier::Hostile | Tier::Matrix) {
        build::build_other_bpf()?;
    }
    if tier == Tier::Matrix {
        return matrix::run(guests, table);
    }
    if matches!(tier, Tier::Cluster | Tier::Hostile) {
        setup::prometheus::install()?;
    }
    let result = command::run(&mut cargo_test(tier));
    // A test binary that was killed leaves its cluster to the guard.
    cluster::settle()?;
    result
}

fn cargo_test(tier: Tier) -> Command {
    let mut cargo = command::cargo();
    cargo.env("DEBUGTRAIL_BIN", repo::debugtrail_binary());
    if tier == Tier::Unit {
        cargo.args(["test", "--workspace", "--exclude", "debugtrail-tests", "--no-fail-fast"]);
    } else {
        let binary = if tier == Tier::Hostile { Tier::Cluster } else { tier };
        cargo.args(["test", "--package", "debugtrail-tests", "--test", &binary.to_string()]);
        cargo.args(["--", "--test-threads=1"]);
        if tier == Tier::Hostile {
            cargo.arg("hostile::");
        }
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
            Self::Matrix => "matrix",
        })
    }
}
