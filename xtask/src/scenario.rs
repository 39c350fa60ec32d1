//! Scenarios: what a person runs, and the records it must give. Run by tests, by the demo and by
//! `cargo xtask scenario` alike.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::cluster::{Cluster, Options, Runtime};
use crate::{build, repo, setup};

pub mod access;
pub mod api;
pub mod check;
pub mod feed;
pub mod folder;
pub mod matcher;
pub mod pod;
pub mod processes;
pub mod reconciled;
pub mod record_source;
pub mod report;
pub mod run;
pub mod runtime;
pub mod script;
pub mod trace;
pub mod watch;

use access::Access;
use folder::Scenario;

/// Runs one scenario for a person: on the kept cluster where there is one, else on one that is taken down after it.
/// `runtime` is about the latter.
///
/// # Errors
/// When it cannot be run, or gives other records than it must.
pub fn run_one(name: &str, runtime: Option<Runtime>) -> Result<()> {
    let scenario = Scenario::find(&folder(), name)?;
    let kept = Cluster::attach()?;
    let there = kept.as_ref().map(Cluster::runtime);
    if let (Some(there), Some(wanted)) = (there, runtime)
        && there != wanted
    {
        bail!("the cluster that is up runs on {}: cargo xtask cluster down", there.name());
    }
    let runtime = there.or(runtime).unwrap_or_default();
    setup::for_cluster(runtime)?;
    // Who names a binary has built it.
    if repo::debugtrail_under_test() == repo::debugtrail_binary() {
        build::run()?;
    }
    let (cluster, is_kept) = match kept {
        Some(cluster) => (cluster, true),
        None => (Cluster::up(&Options { runtime, ..Options::default() })?, false),
    };
    let scenario = scenario.on(runtime)?;
    println!("{}: {}\n", scenario.name, scenario.title);
    let outcome = run::run(&scenario, &Access::embedded(&cluster), &|step| println!("  {step}"));
    if !is_kept {
        cluster.down()?;
    }
    let outcome = outcome?;
    println!("{}", report::text(&outcome));
    if !outcome.findings.is_empty() {
        bail!("{} is not as expected:\n  {}", scenario.name, outcome.findings.join("\n  "));
    }
    println!("\nAll as expected.");
    Ok(())
}

/// Lists the scenarios.
///
/// # Errors
/// When a folder cannot be read.
pub fn list() -> Result<()> {
    for scenario in Scenario::all(&folder())? {
        println!("{:<26} {}", scenario.name, scenario.title);
    }
    Ok(())
}

/// Where the scenarios lie.
#[must_use]
pub fn folder() -> PathBuf {
    repo::root().join("scenarios")
}
