//! Runs one scenario for real: pod, run.sh, and then truth, API and record of every session.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::access::Access;
use super::api::ApiView;
use super::folder::{Scenario, SessionKind};
use super::pod::{Namespace, Pod};
use super::record_source::RecordSource;
use super::runtime::{Task, Tasks};
use super::script::Script;
use super::trace::Trace;
use super::watch::Watch;
use super::{check, processes, reconciled};
use crate::cluster::BUSYBOX_IMAGE;

/// How long after run.sh a record or the API's final status may take. Only a lost one takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One session of a scenario, from all sides.
#[derive(Debug)]
pub struct Session {
    /// The debug container.
    pub container: String,
    /// How it ends, in the scenario's words.
    pub truth: String,
    /// What the runtime says, where it is asked and ever started it.
    pub task: Option<Task>,
    /// The API's final status.
    pub api: ApiView,
    /// Its `session_ended`.
    pub record: Option<Value>,
    /// Its `session_reconciled`.
    pub reconciled: Option<Value>,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// In the order of the containers' names, and of their runs.
    pub sessions: Vec<Session>,
    /// What is not as expected; empty when all is.
    pub findings: Vec<String>,
}

/// Runs a scenario with a tracer of its own; `say` gets each step as it begins.
///
/// # Errors
/// When it cannot be run to its end. Records that are not as expected are findings, no errors.
pub fn run(scenario: &Scenario, access: &Access, say: &dyn Fn(&str)) -> Result<Outcome> {
    // One before may have been interrupted.
    access.make_whole()?;
    say("debugtrail trace attaches to the kernel");
    run_before(Trace::start(access, &[])?, scenario, access, say)
}

/// Runs a scenario with a source of records that is there already. What it stops of the embedded cluster's
/// node runs again afterwards.
///
/// # Errors
/// As [`run`].
pub fn run_before(
    source: impl RecordSource,
    scenario: &Scenario,
    access: &Access,
    say: &dyn Fn(&str),
) -> Result<Outcome> {
    let outcome = steps(source, scenario, access, say);
    if !scenario.expect.alone {
        return outcome;
    }
    match (outcome, access.make_whole()) {
        (outcome, Ok(())) => outcome,
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(also)) => bail!("{error:#}\nand the cluster is not whole again: {also:#}"),
    }
}

fn steps(
    source: impl RecordSource,
    scenario: &Scenario,
    access: &Access,
    say: &dyn Fn(&str),
) -> Result<Outcome> {
    let tasks = access.runtime_socket.as_deref().map(Tasks::listen).transpose()?;
    let namespace = Namespace::create(access, "scenario")?;
    say(&format!("a pod starts in namespace {}", namespace.name));
    let pod = Pod::run(access, &namespace.name, &scenario.folder.join("pod.yaml"))?;
    let script = Script::read(scenario, access, &pod)?;
    say(&format!("a person types:\n{}", script.typed()));
    script.run(access)?;
    say("the sessions end, and the API gets to know");
    let waited = wait_for_all(scenario, access, &source, &pod);
    let records = of(&namespace.name, &pod.watch, source.finish()?);
    let (kind, pods) = (scenario.expect.session_kind, session_pods(scenario, &pod));
    let identity = identity(access, &pod, kind, scenario.expect.made_anew);
    let mut findings = check::findings(&scenario.expect, &identity, &pods, &records);
    findings.extend(processes::findings(&scenario.expect.processes, &records));
    let sessions = sessions(scenario, &pod.watch, tasks.as_ref(), &records);
    findings.extend(sessions.iter().flat_map(|session| against_others(session, tasks.as_ref())));
    findings.extend(waited.err().map(|error| format!("{error:#}")));
    Ok(Outcome { sessions, findings })
}

/// Waits for the end of every session, and for all that the API says of it.
fn wait_for_all(scenario: &Scenario, access: &Access, source: &impl RecordSource, pod: &Pod) -> Result<()> {
    let here = |record: &Value| record["namespace"] == pod.namespace.as_str();
    let is_end = |record: &Value| record["type"] == "session_ended";
    for wanted in scenario.expect.records.iter().filter(|record| is_end(record)) {
        source.wait_until(&check::about(wanted), PATIENCE, &mut |records| {
            records.iter().any(|record| here(record) && check::is_meant(wanted, record))
        })?;
    }
    // A cause may come without the API's status of the container.
    for wanted in scenario.expect.records.iter().filter(|record| record["type"] == "session_reconciled") {
        source.wait_until(&check::about(wanted), PATIENCE, &mut |records| {
            records.iter().any(|record| here(record) && check::is_meant(wanted, record))
        })?;
    }
    let mut ends = Vec::new();
    source.wait_until("the end of every session that began", PATIENCE, &mut |records| {
        ends = records.iter().filter(|record| here(record) && is_end(record)).cloned().collect();
        !check::open(records).any(here)
    })?;
    if scenario.expect.made_anew {
        return Ok(());
    }
    for ended in &ends {
        pod.watch.wait_until_final(ended, PATIENCE)?;
        if pod.watch.view(ended).end.is_some() && ended["evidence"]["api"].is_null() {
            let what = format!("the API's status after {}", check::about(ended));
            source.wait_until(&what, PATIENCE, &mut |records| reconciled_of(ended, records).is_some())?;
        }
    }
    let is_closed = |record: &&Value| record["type"] == "session_closed";
    let mut closed = scenario.expect.records.iter().filter(is_closed).peekable();
    if access.keeps_cgroups && closed.peek().is_some() {
        let (name, namespace) = (pod.name.as_str(), pod.namespace.as_str());
        access.kubectl_output(&["delete", "pod", name, "--namespace", namespace, "--wait=false"])?;
    }
    for wanted in closed {
        source.wait_until(&check::about(wanted), PATIENCE, &mut |records| {
            records.iter().any(|record| here(record) && check::is_meant(wanted, record))
        })?;
    }
    Ok(())
}

fn reconciled_of<'a>(ended: &Value, records: &'a [Value]) -> Option<&'a Value> {
    records
        .iter()
        .find(|record| record["type"] == "session_reconciled" && record["session_id"] == ended["session_id"])
}

/// Keeps this namespace's records, and what is no record at all.
fn of(namespace: &str, watch: &Watch, records: Vec<Value>) -> Vec<Value> {
    let pods = watch.pods();
    let is_ours = |record: &Value| {
        !record.is_object()
            || record["namespace"] == namespace
            || record["pod_uid"].as_str().is_some_and(|uid| pods.contains_key(uid))
    };
    records.into_iter().filter(is_ours).collect()
}

/// The pods that sessions may run in: the scenario's own, or those that were made beside it.
fn session_pods(scenario: &Scenario, pod: &Pod) -> BTreeMap<String, String> {
    let is_own = scenario.expect.session_kind == SessionKind::Ephemeral;
    pod.watch.pods().into_iter().filter(|(uid, _)| (*uid == pod.uid) == is_own).collect()
}

/// What is true of every record of the scenario's sessions.
fn identity(access: &Access, pod: &Pod, kind: SessionKind, is_made_anew: bool) -> Value {
    let mut identity = json!({
        "schema": "debugtrail.dev/record/v1",
        "namespace": pod.namespace,
        "image": BUSYBOX_IMAGE,
        "node_name": access.node_name,
        "session_kind": kind,
    });
    if kind == SessionKind::Ephemeral && !is_made_anew {
        identity["attempt"] = 0.into();
    }
    identity
}

fn sessions(scenario: &Scenario, watch: &Watch, tasks: Option<&Tasks>, records: &[Value]) -> Vec<Session> {
    let mut sessions = Vec::new();
    for (container, truth) in &scenario.expect.truth {
        let session = |record: Option<&Value>| {
            let id = record.and_then(|record| record["session_id"].as_str());
            Session {
                container: container.clone(),
                truth: truth.clone(),
                task: id.zip(tasks).and_then(|(id, tasks)| tasks.final_state(id, PATIENCE)),
                api: record.map(|record| watch.view(record)).unwrap_or_default(),
                record: record.cloned(),
                reconciled: record.and_then(|record| reconciled_of(record, records)).cloned(),
            }
        };
        let is_end =
            |record: &&Value| record["type"] == "session_ended" && record["container_name"] == **container;
        let mut ends = records.iter().filter(is_end).peekable();
        if ends.peek().is_none() {
            sessions.push(session(None));
        }
        sessions.extend(ends.map(|end| session(Some(end))));
    }
    sessions
}

/// What is wrong with a session's records by what the runtime and the API say.
fn against_others(session: &Session, tasks: Option<&Tasks>) -> Vec<String> {
    let Some(record) = &session.record else { return Vec::new() };
    let mut found = reconciled::findings(record, session.reconciled.as_ref(), &session.api);
    if let Some(task) = &session.task {
        found.extend(check::against_runtime(record, task));
        if task.exit_status.is_none() && tasks.is_some_and(Tasks::is_listening) {
            found.push(format!("{}: the runtime says nothing of it", check::about(record)));
        }
    }
    found
}
