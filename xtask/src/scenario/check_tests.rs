use serde_json::{Value, json};

use super::{against_runtime, findings};
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
        "container_name": "dbg", "pod_name": "web", "exit_code": 42, "signal": null, "container_exit_code": 42,
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
    findings(&expect(), &json!({"pod_name": "web"}), records)
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
fn another_field() {
    let mut other = ended();
    other["exit_code"] = 7.into();
    other["container_exit_code"] = 7.into();
    assert_eq!(found(&[other]), ["session_ended of dbg: exit_code: expected 42, found 7"]);
    assert_eq!(
        found(&[with("pod_name", "db")]),
        ["session_ended of dbg: pod_name: expected \"web\", found \"db\""]
    );
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
fn what_else_is_said_of_a_session_is_not_counted() {
    let said = |container: &str| json!({"type": "session_reconciled", "session_id": "a1", "container_name": container});
    assert_eq!(found(&[started(), ended(), said("dbg"), said("dbg")]), [""; 0]);
    assert_eq!(
        found(&[ended(), said("app")]),
        ["session_reconciled of app: this container is no session"],
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
fn what_is_no_json_is_told() {
    assert_eq!(found(&[ended(), Value::String("panic".to_owned())]), ["not a record: \"panic\""]);
}

#[test]
fn the_runtime_has_a_word() {
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
}
