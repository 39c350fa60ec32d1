//! `cargo xtask demo`: one real debug session, from nothing to its record, and everything taken down again.

use anyhow::{Result, bail};

use crate::cluster::{BUSYBOX_IMAGE, Cluster, Options};
use crate::progress::heading;
use crate::scenario::access::Access;
use crate::scenario::folder::Scenario;
use crate::scenario::run::{self, Outcome};
use crate::scenario::{self, report};
use crate::tiers::traces;
use crate::{build, interrupt, setup};

mod words;

/// The scenario that is shown.
const SCENARIO: &str = "05";

/// Runs the demo: on an embedded cluster, or, only where `use_cluster` says so, on the current kubeconfig's.
///
/// # Errors
/// When a step fails, the record is not as the scenario expects, or something is left behind.
pub fn run(use_cluster: bool, keep: bool) -> Result<()> {
    println!("debugtrail: how every Kubernetes debug session ended, as the kernel saw it.");
    println!("This demo runs one for real, shows its record, and leaves nothing behind.");
    let scenario = Scenario::find(&scenario::folder(), SCENARIO)?;
    if use_cluster { on_current_cluster(&scenario) } else { on_embedded_cluster(&scenario, keep) }
}

fn on_current_cluster(scenario: &Scenario) -> Result<()> {
    heading("1/4 The cluster of your kubeconfig");
    let access = Access::current()?;
    println!("context {}, node {} (this machine)", access.context()?, access.node_name);
    println!("The demo makes a namespace of its own there and deletes it afterwards.");
    println!(
        "Its pod uses the image {BUSYBOX_IMAGE}, imagePullPolicy Never: the node has to have it already."
    );
    heading("2/4 What the build needs");
    setup::for_build()?;
    heading("3/4 Build");
    build::run()?;
    let outcome = session(scenario, &access);
    println!("\nThe demo's namespace is being deleted, and debugtrail trace has ended.");
    judge(&outcome?)
}

fn on_embedded_cluster(scenario: &Scenario, keep: bool) -> Result<()> {
    heading("1/4 What it needs");
    setup::run()?;
    heading("2/4 Build");
    build::run()?;
    heading("3/4 A real single-node Kubernetes");
    if let Some(kept) = Cluster::attach()? {
        println!("The cluster that `cargo xtask cluster up` left running is used, and stays.");
        return judge(&session(scenario, &Access::embedded(&kept))?);
    }
    // Registered before the cluster, so that on Ctrl-C it prints after the cluster is down.
    let final_check = interrupt::on_exit(|| {
        if let Err(error) = traces::check() {
            eprintln!("error: {error:#}");
        }
    });
    let cluster = Cluster::up(&Options { keep, ..Options::default() })?;
    let outcome = session(scenario, &Access::embedded(&cluster));
    if keep {
        final_check.disarm();
        println!(
            "\nThe cluster stays up, as you asked: export KUBECONFIG={}",
            cluster.kubeconfig().display()
        );
        println!("To end it: cargo xtask cluster down");
        return judge(&outcome?);
    }
    heading("Taking everything down; left on the machine is");
    let down = cluster.down();
    final_check.disarm();
    let left = traces::check();
    judge(&outcome?)?;
    down.and(left)
}

/// Runs the scenario and shows what came of it.
fn session(scenario: &Scenario, access: &Access) -> Result<Outcome> {
    heading("4/4 A debug session");
    let outcome = run::run(scenario, access, &|step| println!("  {step}"))?;
    for session in &outcome.sessions {
        let Some(record) = &session.record else { continue };
        heading("The record, for a person");
        println!("{}", words::words(record));
        heading("The record, as `debugtrail trace --output json` writes it (one line there)");
        println!("{}", serde_json::to_string_pretty(record)?);
    }
    heading("Beside what the API says");
    println!("{}", report::text(&outcome));
    Ok(outcome)
}

fn judge(outcome: &Outcome) -> Result<()> {
    if !outcome.findings.is_empty() {
        bail!("the record is not as it must be:\n  {}", outcome.findings.join("\n  "));
    }
    println!("the record is as it must be");
    Ok(())
}
