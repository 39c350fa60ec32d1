use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{against_runtime, findings, open};
use crate::scenario::folder::Expect;
use crate::scenario::runtime::Task;

fn expect() -> Expect {
    Expect::parse(
        r#"{"truth": {"dbg": "exit 42"},
            "records": [{"type": "session_ended", "container_name": "dbg", "exit_code": 42}]}"#,
    )
    .unwrap()
}

fn ended() -> Value {
    json!({
        "type": "session_ended", "id": "session_ended:a1", "session_id": "a1", "container_id": "containerd://a1",
        "container_name": "dbg", "pod_name": "web", "pod_uid": "u1", "attempt": 0, "exit_code": 42, "signal": null, "container_exit_code": 42,
        "started_boot_ns": "1000", "finished_boot_ns": "3000000001000", "duration_ns": "3000000000000",
        "started_at": "2026-11-23T15:00:00.000000001Z", "finished_at": "2026-11-23T15:50:00.000000001Z",
        "main": {"pid": 7},
    })
}

fn started() -> Value {
    let mut record = ended();
    for (key, value) in [("type", "session_started"), ("id", "session_started:a1")] {
        record[key] = value.into();
    }
    for key in ["exit_code", "container_exit_code", "finished_at", "finished_boot_ns", "duration_ns"] {
        record[key] = Value::Null;
    }
    record
}

fn with(key: &str, value: impl Into<Value>) -> Value {
    let mut record = ended();
    record[key] = value.into();
    record
}

fn found(records: &[Value]) -> Vec<String> {
    let pods = BTreeMap::from([("u1".to_owned(), "web".to_owned())]);
    findings(&expect(), &json!({"attempt": 0}), &pods, records)
}

#[test]
fn records_as_expected() {
    assert_eq!(found(&[started(), ended()]), [""; 0]);
    assert_eq!(found(&[ended()]), [""; 0]);
}

#[test]
fn none_and_two() {
    assert_eq!(found(&[started()]).len(), 2);
    assert_eq!(
        found(&[ended(), ended()]),
        ["session_ended of dbg: there are 2", "session a1: its records are session_ended, session_ended"]
    );
}

#[test]
fn the_end_comes_after_the_start() {
    assert_eq!(found(&[ended(), started()]), ["session a1: its records are session_ended, session_started"]);
}

#[test]
fn the_apis_status_comes_once_and_last() {
    let mut reconciled = ended();
    reconciled["type"] = "session_reconciled".into();
    reconciled["id"] = "session_reconciled:a1".into();
    assert_eq!(found(&[started(), ended(), reconciled.clone()]), [""; 0]);
    for wrong in [
        [reconciled.clone(), ended()].as_slice(),
        &[ended(), reconciled.clone(), reconciled.clone()],
        &[ended(), started(), reconciled],
    ] {
        assert_eq!(found(wrong).len(), 1, "{wrong:?}");
    }
}

#[test]
fn another_field() {
    let mut other = ended();
    other["exit_code"] = 7.into();
    other["container_exit_code"] = 7.into();
    assert_eq!(found(&[other]), ["session_ended of dbg: exit_code: expected 42, found 7"]);
    assert_eq!(found(&[with("pod_name", "db")]), ["session_ended of dbg: pod_name is \"db\", not \"web\""]);
    assert_eq!(
        found(&[with("pod_uid", "u2")]),
        ["session_ended of dbg: pod_uid \"u2\" is of no pod that has sessions"]
    );
    assert_eq!(
        found(&[with("attempt", 1)]),
        ["session_ended of dbg (attempt 1): attempt: expected 0, found 1"]
    );
}

#[test]
fn the_runs_of_a_container_are_expected_one_by_one() {
    let expect = Expect::parse(
        r#"{"truth": {"dbg": "x"}, "records": [
            {"type": "session_ended", "container_name": "dbg", "attempt": 0, "exit_code": 42},
            {"type": "session_ended", "container_name": "dbg", "attempt": 1, "exit_code": 42}]}"#,
    )
    .unwrap();
    let pods = BTreeMap::from([("u1".to_owned(), "web".to_owned())]);
    let mut second = with("attempt", 1);
    for (key, value) in
        [("session_id", "b2"), ("id", "session_ended:b2"), ("container_id", "containerd://b2")]
    {
        second[key] = value.into();
    }
    assert_eq!(findings(&expect, &json!({}), &pods, &[ended(), second.clone()]), [""; 0]);
    second["exit_code"] = 43.into();
    second["container_exit_code"] = 43.into();
    assert_eq!(
        findings(&expect, &json!({}), &pods, &[ended(), second]),
        ["session_ended of dbg (attempt 1): exit_code: expected 42, found 43"]
    );
    assert_eq!(
        findings(&expect, &json!({}), &pods, &[ended()]),
        ["session_ended of dbg (attempt 1): there is none"]
    );
}

#[test]
fn the_attempts_of_a_container_that_is_made_anew_are_counted() {
    let expect = Expect::parse(
        r#"{"made_anew": true, "truth": {"dbg": "x"}, "records": [
            {"type": "session_ended", "container_name": "dbg", "attempt": 0, "exit_code": 42}]}"#,
    )
    .unwrap();
    let pods = BTreeMap::from([("u1".to_owned(), "web".to_owned())]);
    let attempt = |number: u64| {
        let mut record = with("attempt", number);
        for (key, before) in [("session_id", ""), ("id", "session_ended:"), ("container_id", "containerd://")]
        {
            record[key] = format!("{before}a{number}").into();
        }
        record
    };
    let found = |records: &[Value]| findings(&expect, &json!({}), &pods, records);
    assert_eq!(found(&[attempt(0)]), [""; 0]);
    assert_eq!(found(&[attempt(0), attempt(1), attempt(2)]), [""; 0]);
    assert_eq!(found(&[attempt(0), attempt(2)]), ["dbg: its attempts are [Number(0), Number(2)]"]);
}

#[test]
fn a_session_is_open_until_it_ends() {
    assert_eq!(open(&[started()]).count(), 1);
    assert_eq!(open(&[started(), ended()]).count(), 0);
}

#[test]
fn a_container_that_is_no_session() {
    let mut app = ended();
    app["container_name"] = "app".into();
    app["session_id"] = "b2".into();
    app["id"] = "session_ended:b2".into();
    app["container_id"] = "containerd://b2".into();
    assert_eq!(found(&[ended(), app]), ["session_ended of app: this container is no session"]);
}

#[test]
fn other_records_of_a_session_are_not_counted() {
    let said = |container: &str| json!({"type": "session_processes", "session_id": "a1", "container_name": container});
    assert_eq!(found(&[started(), ended(), said("dbg"), said("dbg")]), [""; 0]);
    assert_eq!(
        found(&[ended(), said("app")]),
        ["session_processes of app: this container is no session"],
        "but an ordinary container has no record of any kind"
    );
}

#[test]
fn a_record_that_contradicts_itself() {
    for wrong in [
        with("id", "session_ended:b2"),
        with("container_id", "containerd://b2"),
        with("container_exit_code", 137),
        with("duration_ns", "3000000000001"),
        with("duration_ns", Value::Null),
        with("finished_at", "2026-11-23T15:50:00.000000002Z"),
    ] {
        assert_eq!(found(std::slice::from_ref(&wrong)).len(), 1, "{wrong}");
    }
    let both = with("signal", 9);
    assert_eq!(found(&[both]), ["session_ended of dbg: has an exit code and a signal"]);
}

#[test]
fn an_unknown_start_has_no_duration() {
    let mut unknown = ended();
    unknown["started_at"] = Value::Null;
    unknown["started_boot_ns"] = Value::Null;
    assert_eq!(found(&[unknown.clone()]), ["session_ended of dbg: a duration without a start and an end"]);
    unknown["duration_ns"] = Value::Null;
    assert_eq!(found(&[unknown]), [""; 0]);
}

#[test]
fn a_line_that_is_no_json_is_reported() {
    assert_eq!(found(&[ended(), Value::String("panic".to_owned())]), ["not a record: \"panic\""]);
}

#[test]
fn a_runtime_that_contradicts_is_a_finding() {
    let task = Task {
        pid: Some(7),
        exit_status: Some(42),
        exited_at: Some("2026-11-23T15:50:00.1Z".parse().unwrap()),
        oom: false,
    };
    assert_eq!(against_runtime(&ended(), &task), [""; 0]);
    let other = Task {
        pid: Some(8),
        exit_status: Some(0),
        exited_at: Some("2026-11-23T16:50:00Z".parse().unwrap()),
        oom: false,
    };
    assert_eq!(against_runtime(&ended(), &other).len(), 3);
    // A runtime that was away says nothing of the end.
    let away = Task { pid: Some(7), ..Task::default() };
    assert_eq!(against_runtime(&ended(), &away), [""; 0]);
}
