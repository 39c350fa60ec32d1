//! `cargo xtask demo`: one real debug session, from nothing to its record, and everything taken down again.

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::{BUSYBOX_IMAGE, Cluster, Options, leftovers};
use crate::progress::heading;
use crate::scenario::access::Access;
use crate::scenario::folder::Scenario;
use crate::scenario::run::{self, Outcome};
use crate::scenario::{self, report};
use crate::{build, interrupt, setup};

mod words;

/// The scenario that is shown.
const SCENARIO: &str = "05";

/// Runs the demo: on an embedded cluster, or, only where `use_cluster` says so, on the current kubeconfig's.
///
/// # Errors
/// When a step fails, the record is not as the scenario expects, or something is left behind.
pub fn run(use_cluster: bool, keep: bool) -> Result<()> {
    println!("debugtrail: how every Kubernetes debug session ended, witnessed by the kernel.");
    println!("This demo runs one for real, shows its record, and leaves nothing behind.");
    heading("1/4 What it needs");
    setup::run()?;
    heading("2/4 Build");
    build::run()?;
    let scenario = Scenario::find(&scenario::folder(), SCENARIO)?;
    if use_cluster { on_current_cluster(&scenario) } else { on_embedded_cluster(&scenario, keep) }
}

fn on_current_cluster(scenario: &Scenario) -> Result<()> {
    heading("3/4 The cluster of your kubeconfig");
    let access = Access::current()?;
    println!("context {}, node {} (this machine)", access.context()?, access.node_name);
    println!("The demo makes a namespace of its own there and deletes it afterwards.");
    println!(
        "Its pod uses the image {BUSYBOX_IMAGE}, imagePullPolicy Never: the node has to have it already."
    );
    let outcome = session(scenario, &access);
    println!("\nThe demo's namespace is being deleted; debugtrail trace has ended.");
    judge(&outcome?)
}

fn on_embedded_cluster(scenario: &Scenario, keep: bool) -> Result<()> {
    heading("3/4 A real single-node Kubernetes");
    if let Some(kept) = Cluster::attach()? {
        println!("The cluster that `cargo xtask cluster up` left running is used, and stays.");
        return judge(&session(scenario, &Access::embedded(&kept))?);
    }
    // Registered before the cluster, so that on Ctrl-C it speaks after the cluster is down.
    let last_word = interrupt::on_exit(say_what_is_left);
    let cluster = Cluster::up(&Options { keep })?;
    let outcome = session(scenario, &Access::embedded(&cluster));
    if keep {
        last_word.disarm();
        println!(
            "\nThe cluster stays up, as you asked: export KUBECONFIG={}",
            cluster.kubeconfig().display()
        );
        println!("To end it: cargo xtask cluster down");
        return judge(&outcome?);
    }
    heading("Taking everything down");
    let down = cluster.down().context("the cluster is not down");
    drop(last_word);
    judge(&outcome?)?;
    down?;
    let left = leftovers()?;
    ensure!(left.is_empty(), "left behind; `cargo xtask cluster down` removes it: {}", left.join(", "));
    Ok(())
}

/// Runs the scenario and shows what came of it.
fn session(scenario: &Scenario, access: &Access) -> Result<Outcome> {
    heading("4/4 A debug session");
    let script = std::fs::read_to_string(scenario.folder.join("run.sh"))?;
    let outcome = run::run(scenario, access, &|step| {
        println!("  {step}");
        if step == run::SCRIPT {
            println!("{}", commands(&script));
        }
    })?;
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
    println!("\nThe record is as it must be.");
    Ok(())
}

/// The lines of a script that a person would type.
fn commands(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.starts_with("#!") && !line.starts_with("source "));
    let lines: Vec<String> =
        lines.filter(|line| !line.is_empty()).map(|line| format!("      {line}")).collect();
    lines.join("\n")
}

fn say_what_is_left() {
    match leftovers() {
        Ok(left) if left.is_empty() => {
            println!("Everything is taken down: no process, mount, cgroup or network link is left.");
        }
        Ok(left) => eprintln!("left behind; `cargo xtask cluster down` removes it: {}", left.join(", ")),
        Err(error) => eprintln!("cannot see whether anything is left: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn a_person_types_neither_shebang_nor_source() {
        let script = "#!/usr/bin/env bash\nsource lib.sh\n\nkubectl debug web \\\n    -- true\n";
        assert_eq!(commands(script), "      kubectl debug web \\\n          -- true");
    }
}
