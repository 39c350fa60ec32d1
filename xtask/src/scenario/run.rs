//! Runs one scenario for real: pod, run.sh, and then truth, API and record of every session.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::access::Access;
use super::api::ApiView;
use super::check;
use super::folder::Scenario;
use super::pod::{Namespace, Pod};
use super::runtime::{Task, Tasks};
use super::script::Script;
use super::trace::Trace;
use crate::cluster::BUSYBOX_IMAGE;

/// How long after run.sh a record or the API's last word may take. Only a lost one takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One session of a scenario, from all sides.
#[derive(Debug)]
pub struct Session {
    /// The debug container.
    pub container: String,
    /// How it ends, in the scenario's words.
    pub truth: String,
    /// The runtime's own word, where it is asked and ever started it.
    pub task: Option<Task>,
    /// The API's last word.
    pub api: ApiView,
    /// Its `session_ended`.
    pub record: Option<Value>,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// In the order of the containers' names.
    pub sessions: Vec<Session>,
    /// What is not as expected; empty when all is.
    pub findings: Vec<String>,
}

/// Who tells of a scenario's sessions: a `debugtrail trace`, or the DaemonSet's log.
pub trait Witness {
    /// Waits until it has told how this session of a pod ended.
    ///
    /// # Errors
    /// When `timeout` passes before.
    fn wait_for_end(&self, pod: &Pod, container: &str, timeout: Duration) -> Result<()>;

    /// All that it has told, once nothing more is to come.
    ///
    /// # Errors
    /// When it does not end as it should.
    fn finish(self) -> Result<Vec<Value>>;
}

impl Witness for Trace {
    fn wait_for_end(&self, _only_pod: &Pod, container: &str, timeout: Duration) -> Result<()> {
        self.wait_for_session("session_ended", container, timeout).map(drop)
    }

    fn finish(self) -> Result<Vec<Value>> {
        self.stop()
    }
}

/// Runs a scenario with a tracer of its own; `say` is told each step as it begins.
///
/// # Errors
/// When it cannot be run to its end. Records that are not as expected are findings, no errors.
pub fn run(scenario: &Scenario, access: &Access, say: &dyn Fn(&str)) -> Result<Outcome> {
    say("debugtrail trace attaches to the kernel");
    run_before(Trace::start(access, &[])?, scenario, access, say)
}

/// Runs a scenario before a witness that is there already.
///
/// # Errors
/// As [`run`].
pub fn run_before(
    witness: impl Witness,
    scenario: &Scenario,
    access: &Access,
    say: &dyn Fn(&str),
) -> Result<Outcome> {
    let tasks = access.runtime_socket.as_deref().map(Tasks::listen).transpose()?;
    let namespace = Namespace::create(access, "scenario")?;
    say(&format!("a pod starts in namespace {}", namespace.name));
    let pod = Pod::run(access, &namespace.name, &scenario.folder.join("pod.yaml"))?;
    let script = Script::read(scenario, &pod)?;
    say(&format!("a person types:\n{}", script.typed()));
    script.run(access)?;
    say("the sessions end, and the API gets to know");
    let mut findings = wait_for_all(scenario, &witness, &pod);
    let records: Vec<Value> = witness.finish()?.into_iter().filter(|record| is_of(record, &pod)).collect();
    findings.extend(check::findings(&scenario.expect, &identity(access, &pod), &records));
    let sessions = sessions(scenario, &pod, tasks.as_ref(), &records);
    findings.extend(sessions.iter().flat_map(|session| match (&session.record, &session.task) {
        (Some(record), Some(task)) => check::against_runtime(record, task),
        _ => Vec::new(),
    }));
    Ok(Outcome { sessions, findings })
}

/// Waits for every session's record and for the API's last word on it.
fn wait_for_all(scenario: &Scenario, witness: &impl Witness, pod: &Pod) -> Vec<String> {
    let mut findings = Vec::new();
    for container in scenario.expect.truth.keys() {
        let record = witness.wait_for_end(pod, container, PATIENCE);
        let last_word =
            |object: &Value, deleted: bool| ApiView::of(object, container, deleted).is_final().then_some(());
        let word = pod.wait_for(&format!("the API's last word on {container}"), PATIENCE, last_word);
        findings.extend([record.err(), word.err()].into_iter().flatten().map(|error| format!("{error:#}")));
    }
    findings
}

/// Keeps this pod's records, and what is no record at all.
fn is_of(record: &Value, pod: &Pod) -> bool {
    !record.is_object()
        || record["pod_uid"] == pod.uid.as_str()
        || record["namespace"] == pod.namespace.as_str()
}

/// What is true of every record of the pod's debug containers.
fn identity(access: &Access, pod: &Pod) -> Value {
    json!({
        "schema": "debugtrail.dev/record/v1",
        "namespace": pod.namespace,
        "pod_name": pod.name,
        "pod_uid": pod.uid,
        "image": BUSYBOX_IMAGE,
        "node_name": access.node_name,
        "session_kind": "ephemeral",
    })
}

fn sessions(scenario: &Scenario, pod: &Pod, tasks: Option<&Tasks>, records: &[Value]) -> Vec<Session> {
    let session = |(container, truth): (&String, &String)| {
        let ends =
            |record: &&Value| record["type"] == "session_ended" && record["container_name"] == **container;
        let record = records.iter().find(ends).cloned();
        let id = record.as_ref().and_then(|record| record["session_id"].as_str());
        let task = id.zip(tasks).and_then(|(id, tasks)| tasks.last_word(id, PATIENCE));
        Session {
            container: container.clone(),
            truth: truth.clone(),
            task,
            api: pod.api_view(container),
            record,
        }
    };
    scenario.expect.truth.iter().map(session).collect()
}
