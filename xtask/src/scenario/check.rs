//! Do the records fit what a scenario expects? Pure.
//!
//! Beside the scenario's own expectations stand those that every scenario implies: the identity of the pod is
//! right in every record, a session ends exactly once, and containers that are no session have no record. What the
//! records say of the API is for [`super::reconciled`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::folder::Expect;
use super::matcher::mismatches;
use super::runtime::Task;

/// How far the runtime's clock reading at the reaping may lie from the kernel's at the end. They differ by scheduling,
/// which has no bound; an offset gone wrong is seen all the same.
const REAPING_SECONDS: i64 = 5;

/// The records that say how a session began or ended. What else is said of a session
/// (`session_reconciled`, ...) comes when it comes.
pub fn sessions(records: &[Value]) -> impl Iterator<Item = &Value> {
    records.iter().filter(|record| record["type"] == "session_started" || record["type"] == "session_ended")
}

/// Every record that is about a session.
pub fn of_sessions(records: &[Value]) -> impl Iterator<Item = &Value> {
    records.iter().filter(|record| record["type"].as_str().is_some_and(|kind| kind.starts_with("session_")))
}

/// The records of which a session has one each, with all fields of a session.
fn one_per_session(records: &[Value]) -> impl Iterator<Item = &Value> {
    const TYPES: [&str; 3] = ["session_started", "session_ended", "session_reconciled"];
    records.iter().filter(|record| record["type"].as_str().is_some_and(|kind| TYPES.contains(&kind)))
}

/// What is wrong with the records of one scenario; empty when all is as expected. `identity` is a partial record
/// that each session record has to fit, `pods` are those that sessions may run in: names by UID.
#[must_use]
pub fn findings(
    expect: &Expect,
    identity: &Value,
    pods: &BTreeMap<String, String>,
    records: &[Value],
) -> Vec<String> {
    let mut found = Vec::new();
    for wanted in &expect.records {
        found.extend(one(wanted, records));
    }
    for record in of_sessions(records) {
        let container = record["container_name"].as_str().unwrap_or_default();
        if !expect.truth.contains_key(container) {
            found.push(format!("{}: this container is no session", about(record)));
        }
    }
    for record in one_per_session(records) {
        let about = about(record);
        let lines = mismatches(identity, record).into_iter().chain(pod_differs(pods, record));
        found.extend(lines.chain(contradictions(record)).map(|line| format!("{about}: {line}")));
    }
    found.extend(ends_once(records));
    if expect.made_anew {
        found.extend(expect.truth.keys().filter_map(|container| miscounted(container, records)));
    }
    found.extend(
        records.iter().filter(|record| !record.is_object()).map(|line| format!("not a record: {line}")),
    );
    found
}

/// Whether a record is the one that `wanted` means: type, container and, where it is given, the attempt.
#[must_use]
pub fn is_meant(wanted: &Value, record: &Value) -> bool {
    record["type"] == wanted["type"]
        && record["container_name"] == wanted["container_name"]
        && (!wanted["attempt"].is_number() || record["attempt"] == wanted["attempt"])
}

/// The sessions whose start was reported and whose end was not.
pub fn open(records: &[Value]) -> impl Iterator<Item = &Value> {
    let of = |kind: &'static str| records.iter().filter(move |record| record["type"] == kind);
    of("session_started")
        .filter(move |start| !of("session_ended").any(|end| end["session_id"] == start["session_id"]))
}

/// What is wrong with a `session_ended`, by what the runtime says of the same container.
#[must_use]
pub fn against_runtime(record: &Value, task: &Task) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |field: &str, said: &Value, runtime: Option<u32>| {
        if said.as_u64() != runtime.map(u64::from) {
            found
                .push(format!("{}: {field}: the runtime says {runtime:?}, the record {said}", about(record)));
        }
    };
    same("main.pid", &record["main"]["pid"], task.pid);
    if task.exit_status.is_some() {
        same("container_exit_code", &record["container_exit_code"], task.exit_status);
    }
    if let (Some(finished), Some(exited)) = (time(&record["finished_at"]), task.exited_at)
        && exited.duration_since(finished).as_secs().abs() > REAPING_SECONDS
    {
        found.push(format!(
            "{}: finished_at: the runtime says {exited}, the record {finished}",
            about(record)
        ));
    }
    found
}

/// Which record a finding is about.
pub(super) fn about(record: &Value) -> String {
    let word = |key: &str| record[key].as_str().unwrap_or("?").to_owned();
    let attempt = record["attempt"].as_u64().filter(|attempt| *attempt > 0);
    let attempt = attempt.map(|attempt| format!(" (attempt {attempt})")).unwrap_or_default();
    format!("{} of {}{attempt}", word("type"), word("container_name"))
}

fn one(wanted: &Value, records: &[Value]) -> Vec<String> {
    let given: Vec<&Value> = records.iter().filter(|record| is_meant(wanted, record)).collect();
    let about = about(wanted);
    match given.as_slice() {
        [record] => mismatches(wanted, record).into_iter().map(|line| format!("{about}: {line}")).collect(),
        [] => vec![format!("{about}: there is none")],
        more => vec![format!("{about}: there are {}", more.len())],
    }
}

fn pod_differs(pods: &BTreeMap<String, String>, record: &Value) -> Option<String> {
    let uid = record["pod_uid"].as_str().unwrap_or_default();
    match pods.get(uid) {
        None => Some(format!("pod_uid {} is of no pod that has sessions", record["pod_uid"])),
        Some(name) if record["pod_name"] == name.as_str() => None,
        Some(name) => Some(format!("pod_name is {}, not {name:?}", record["pod_name"])),
    }
}

/// The attempts of a container that is made anew are 0, 1, 2 and so on, in the order in which they end.
fn miscounted(container: &str, records: &[Value]) -> Option<String> {
    let ends = records
        .iter()
        .filter(|record| record["type"] == "session_ended" && record["container_name"] == *container);
    let attempts: Vec<&Value> = ends.map(|record| &record["attempt"]).collect();
    let is_counted = (0_u64..).zip(&attempts).all(|(number, attempt)| **attempt == number);
    (!is_counted).then(|| format!("{container}: its attempts are {attempts:?}"))
}

/// Each session starts at most once, ends exactly once, is reconciled at most once, and in this order.
fn ends_once(records: &[Value]) -> Vec<String> {
    let mut order: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in one_per_session(records) {
        let kind = record["type"].as_str().unwrap_or_default();
        order.entry(record["session_id"].as_str().unwrap_or("null")).or_default().push(kind);
    }
    let wrong = |kinds: &[&str]| {
        let after_start = kinds.strip_prefix(&["session_started"]).unwrap_or(kinds);
        !matches!(after_start, ["session_ended"] | ["session_ended", "session_reconciled"])
    };
    order
        .into_iter()
        .filter(|(_, kinds)| wrong(kinds))
        .map(|(session, kinds)| format!("session {session}: its records are {}", kinds.join(", ")))
        .collect()
}

/// Where a record contradicts itself.
#[must_use]
pub fn contradictions(record: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let id = format!("{}:{}", word(&record["type"]), word(&record["session_id"]));
    if record["id"] != id.as_str() {
        found.push(format!("id is {}, not {id}", record["id"]));
    }
    if !record["container_id"].is_null()
        && !word(&record["container_id"]).ends_with(&word(&record["session_id"]))
    {
        found.push(format!("container_id {} is not of this session", record["container_id"]));
    }
    let (code, signal) = (record["exit_code"].as_i64(), record["signal"].as_i64());
    if code.is_some() && signal.is_some() {
        found.push("has an exit code and a signal".to_owned());
    }
    let shown = code.or(signal.map(|signal| 128 + signal));
    if record["container_exit_code"].as_i64() != shown {
        found.push(format!("container_exit_code is {}, not {shown:?}", record["container_exit_code"]));
    }
    found.extend(times(record));
    found
}

/// The boot times, the duration and the wall times say the same, to the nanosecond.
fn times(record: &Value) -> Option<String> {
    let boot = |key: &str| word(&record[key]).parse::<i128>().ok();
    let said = boot("duration_ns");
    let (Some(from), Some(to)) = (boot("started_boot_ns"), boot("finished_boot_ns")) else {
        return said.map(|_| "a duration without a start and an end".to_owned());
    };
    let ran = to - from;
    let wall = time(&record["finished_at"])?.as_nanosecond() - time(&record["started_at"])?.as_nanosecond();
    (said != Some(ran) || wall != ran)
        .then(|| format!("boot times differ by {ran} ns, wall times by {wall} ns, duration_ns is {said:?}"))
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
