//! A cluster that refuses, or is not this machine's: what `trace` and `doctor` say of it.

#[path = "bad_input/identity.rs"]
mod identity;

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use debugtrail_tests::agent::RunningAgent;
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use serde_json::{Value, json};
use xtask::scenario::access::Access;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::pod::{Namespace, create};
use xtask::scenario::trace::Trace;

use identity::Identity;

/// What debugtrail needs where it is given its node's name.
const PODS: &str = "list,watch pods";

/// 401.
pub fn unknown_credentials_are_refused(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let unknown = Identity::with_token(&access, "a-token-of-no-account")?;
    refused(&unknown.access, &["does not know these credentials (401", "renew"])
}

/// 403 on each thing that is needed: the right is named, and how to grant it.
pub fn a_right_that_is_missing_is_named(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let namespace = Namespace::create(&access, "test")?;
    let without_rights = Identity::with_rights(&access, &namespace, &[])?;
    let unnamed = finish(without_rights.access.debugtrail_with(&["trace"]))?;
    complains(&unnamed, &["forbids list on nodes (403", "give --node NAME", "--verb=list --resource=nodes"])?;
    refused(&without_rights.access, &["forbids list on pods (403", "--verb=list --resource=pods"])?;
    drop(without_rights);
    let lister = Identity::with_rights(&access, &namespace, &["list pods"])?;
    refused(&lister.access, &["forbids watch on pods (403", "--verb=watch --resource=pods"])
}

/// 401 and 403 are no end of an agent: it says so, records, and names once it may.
pub fn an_agent_that_is_refused_tries_again(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let folder = tempfile::tempdir()?;
    let unknown = Identity::with_token(&access, "a-token-of-no-account")?;
    let agent = RunningAgent::start(&unknown.access, folder.path())?;
    let said = agent.stderr();
    ensure!(said.contains("does not know these credentials (401") && said.contains("trying again"), "{said}");
    agent.stop()?;

    let patient = Patient::admit(access.clone())?;
    let namespace = Namespace::create(&access, "test")?;
    let mut without_rights = Identity::with_rights(&access, &namespace, &[])?;
    let folder = tempfile::tempdir()?;
    let agent = RunningAgent::start(&without_rights.access, folder.path())?;
    let said = agent.stderr();
    ensure!(said.contains("forbids list on pods (403") && said.contains("trying again"), "{said}");
    // It ends while it is not known whose it is.
    let session = patient.session("meanwhile", 6)?;
    session.end()?;
    patient.tasks.wait_for_exit(&session.id, PATIENCE)?;
    without_rights.allow(&namespace, &[PODS])?;
    let ended = agent.wait_for_session("session_ended", "meanwhile")?;
    let expected = json!({
        "exit_code": 6, "namespace": patient.pod.namespace, "session_kind": "ephemeral",
        "evidence": {"kernel": "full"},
    });
    let wrong = mismatches(&expected, &ended);
    ensure!(wrong.is_empty(), "{}", wrong.join(", "));
    agent.stop().map(drop)
}

/// 403 on what is not needed: `trace` warns where that matters, and goes on.
pub fn rights_that_are_not_needed_may_be_missing(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let namespace = Namespace::create(&access, "test")?;
    let least = Identity::with_rights(&access, &namespace, &[PODS])?;
    // Whether there is such a namespace is not for it to know.
    let said = warnings(&least.access, "may-come-later")?;
    ensure!(said.contains("the API server forbids get on nodes"), "no warning: {said}");
    ensure!(!said.contains("has no namespace"), "it cannot know: {said}");
    Ok(())
}

pub fn a_namespace_that_is_unknown_may_come(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let namespace = Namespace::create(&access, "test")?;
    for (name, warned) in [("may-come-later", true), (namespace.name.as_str(), false)] {
        let said = warnings(&access, name)?;
        let warning = format!("the cluster has no namespace {name}");
        ensure!(said.contains(&warning) == warned, "{name}: {said}");
    }
    Ok(())
}

/// A name that the cluster does not know, and one whose boot id is another machine's.
pub fn another_machines_node_is_refused(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let unknown = access.as_node("nowhere");
    refused(&unknown, &["the cluster has no node nowhere", "kubectl get nodes"])?;
    let elsewhere = Elsewhere::register(&access)?;
    let other = access.as_node(&elsewhere.name);
    refused(&other, &["is another machine: its boot id is 00000000-aaaa", "another --node"])
}

/// Everything is as it should be, and another debugtrail is seen.
pub fn doctor_finds_that_it_can_record(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    // Where a runtime's state is not at a well-known place, its running shims lead to it.
    let _patient = Patient::admit(access.clone())?;
    let trace = Trace::start(&access, &[])?;
    let output = finish(access.debugtrail_with(&["doctor", "--output", "json"]))?;
    let pid = trace.pid();
    trace.stop()?;
    ensure!(output.status.success(), "it ended with {}: {output:?}", output.status);
    let report = report(&output)?;
    ensure!(report["can_witness"] == true && report["exit_code"] == 0, "{report:#}");
    for name in
        ["privileges", "kernel", "programs", "cgroups", "runtime", "API server", "right to watch pods"]
    {
        ensure!(check(&report, name)?["level"] == "ok", "{name}: {report:#}");
    }
    let node = &check(&report, "node")?["what"];
    let expected = format!("this machine is node {}, containerd://", access.node_name);
    ensure!(node.as_str().is_some_and(|what| what.starts_with(&expected)), "{node}");
    // Others may run on this machine as well.
    let others = &check(&report, "other debugtrails")?["what"];
    ensure!(others.as_str().is_some_and(|what| what.contains(&pid.to_string())), "pid {pid}: {others}");
    Ok(())
}

/// What an identity may not do is reported, and all the rest as well.
pub fn doctor_names_missing_rights(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let namespace = Namespace::create(&access, "test")?;
    let lister = Identity::with_rights(&access, &namespace, &["list pods"])?;
    let doctor = ["doctor", "--output", "json", "--node", &access.node_name];
    let output = finish(lister.access.debugtrail_with(&doctor))?;
    ensure!(output.status.code() == Some(5), "it ended with {}: {output:?}", output.status);
    let report = report(&output)?;
    for (name, level) in [
        ("right to list pods", "ok"),
        ("right to watch pods", "failing"),
        ("node", "warning"),
        ("sandboxed runtimes", "warning"),
        ("programs", "ok"),
    ] {
        ensure!(check(&report, name)?["level"] == level, "{name} should be {level}: {report:#}");
    }
    let hint = &check(&report, "right to watch pods")?["hint"];
    ensure!(hint.as_str().is_some_and(|hint| hint.contains("--verb=watch --resource=pods")), "{hint}");
    Ok(())
}

pub fn doctor_names_the_blind_spot_of_a_sandbox(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let class = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "runsc",
        "metadata": {"generateName": "sandbox-"},
    });
    let name = create(&access, &["-o", "jsonpath={.metadata.name}"], &class)?;
    let output = finish(access.debugtrail_with(&["doctor", "--output", "json"]));
    access.kubectl_output(&["delete", "runtimeclass", &name])?;
    let output = output?;
    ensure!(output.status.success(), "a warning is no failure: {output:?}");
    let report = report(&output)?;
    let found = check(&report, "sandboxed runtimes")?;
    let named = found["what"].as_str().is_some_and(|what| what.contains(&name));
    ensure!(found["level"] == "warning" && named, "{found}");
    Ok(())
}

/// What `trace` of this namespace says beside its records; it begins and ends as it should.
fn warnings(access: &Access, namespace: &str) -> Result<String> {
    let mut trace = Trace::start(access, &["--namespace", namespace])?;
    trace.signal(Signal::INT)?;
    let status = trace.wait()?;
    let said = trace.log();
    ensure!(status.success(), "it ended with {status}: {said}");
    Ok(said)
}

/// `trace` of the access's node ends with the cluster's exit code and one line that has these parts.
fn refused(access: &Access, parts: &[&str]) -> Result<()> {
    complains(&finish(access.trace())?, parts)
}

fn complains(output: &Output, parts: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("debugtrail: ")).collect();
    ensure!(output.status.code() == Some(5), "it ended with {}: {said}", output.status);
    ensure!(complaints.len() == 1, "one line was due: {said}");
    for part in parts {
        ensure!(complaints[0].contains(part), "`{part}` is not in: {}", complaints[0]);
    }
    Ok(())
}

/// Runs it to its end, which each of these comes to by itself.
fn finish(mut command: Command) -> Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let ended = xtask::poll::until(PATIENCE, || matches!(child.try_wait(), Ok(Some(_))));
    if !ended {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    ensure!(ended, "it does not end: {output:?}");
    Ok(output)
}

fn report(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| format!("no report: {output:?}"))
}

fn check<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    let mut checks = report["checks"].as_array().into_iter().flatten();
    checks.find(|check| check["check"] == name).with_context(|| format!("no {name} in {report:#}"))
}

/// A node that is another machine; gone when dropped.
struct Elsewhere {
    name: String,
    access: Access,
}

impl Elsewhere {
    fn register(access: &Access) -> Result<Self> {
        let said = [
            "architecture",
            "bootID",
            "containerRuntimeVersion",
            "kernelVersion",
            "kubeProxyVersion",
            "kubeletVersion",
            "machineID",
            "operatingSystem",
            "osImage",
            "systemUUID",
        ];
        let mut info: Value = said.into_iter().map(|name| (name.to_owned(), json!("none"))).collect();
        info["bootID"] = json!("00000000-aaaa-4000-8000-000000000000");
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"generateName": "elsewhere-"},
            "status": {"nodeInfo": info},
        });
        let name = create(access, &["-o", "jsonpath={.metadata.name}"], &node)?;
        Ok(Self { name, access: access.clone() })
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Err(error) = self.access.kubectl_output(&["delete", "node", &self.name]) {
            eprintln!("node {} is left behind: {error:#}", self.name);
        }
    }
}
