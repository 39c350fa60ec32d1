use serde_json::{Value, json};

use super::super::samples::{
    ended as ended_seen, id, made, place, pod, removed, running, runtime, seconds, synced,
};
use super::super::{Action, Tracker};
use super::*;
use crate::clock::OffsetSample;
use crate::ids::BootId;
use crate::kernel::{EndSeen, Observation};
use crate::pods::PodFacts;
use crate::record::WaitStatus;

/// 2026-11-23T15:26:00Z at boot.
const BOOTED: i64 = 1_795_447_560_000_000_000;

/// The record of the end of the session whose cgroup ends as `seen`.
fn record(seen: Observation, pod: PodFacts) -> Value {
    let index = synced([pod]);
    let mut tracker = Tracker::default();
    let actions =
        tracker.observe(seen, &place(), Some("/bin/busybox".into()), runtime("dbg"), &index, seconds(30));
    record_of(&actions, &index)
}

fn record_of(actions: &[Action], index: &PodIndex) -> Value {
    let report = actions.iter().find_map(|action| match action {
        Action::Ended(container) => Some(container),
        _ => None,
    });
    let history = OffsetHistory::new(OffsetSample { boot: seconds(0), offset_ns: BOOTED });
    let clock = ClockState { boot_id: BootId::new("b0"), synchronized: Some(true), max_error_us: Some(1200) };
    let convention = Convention::parse("42 connection-pool-exhausted warning").expect("a convention");
    let context = Context {
        index,
        history: &history,
        clock: &clock,
        convention: &convention,
        node_name: Some("node1"),
        argv: Argv::Redacted,
        page_size: 4096,
    };
    serde_json::to_value(ended(report.expect("an end"), context)).expect("a record is JSON")
}

#[track_caller]
fn assert_fields(record: &Value, expected: &Value) {
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&record[field], value, "{field} of {record:#}");
    }
}

#[test]
fn an_exit_code_with_all_that_is_known() {
    let expected = json!({
        "schema": "debugtrail.dev/record/v1", "type": "session_ended", "id": format!("session_ended:{}", id()),
        "session_id": id().as_str(), "namespace": "default", "pod_name": "web",
        "pod_uid": "78089609-4f5d-4a7e-8b6e-6b2a3f1c0d9e", "container_name": "dbg",
        "container_id": format!("containerd://{}", id()), "attempt": 0, "target_container": "app", "image": "busybox:1",
        "image_id": null, "node_name": "node1", "session_kind": "ephemeral",
        "exit_code": 42, "signal": null, "signal_name": null, "core_dumped": false, "container_exit_code": 42,
        "exit_class": "ERROR", "exit_meaning": {"name": "connection-pool-exhausted", "severity": "warning"},
        "killed_by": null, "cause": null,
        "started_at": "2026-11-23T15:26:11.000000000Z", "finished_at": "2026-11-23T15:26:21.000000000Z",
        "duration_ns": "10000000000", "duration_seconds": 10.0,
        "started_boot_ns": "11000000000", "finished_boot_ns": "21000000000",
        "main": {"pid": 4242, "pid_in_container": 31, "comm": "sh", "exe": "/bin/busybox", "argv": null, "argv_truncated": null},
        "requested_by": null,
        "evidence": {"kernel": "full", "named_by": "runtime", "kind_by": "declared",
                     "runtime": {"init_pid": 4242, "agrees": true}, "api": null, "pod": null,
                     "disagreements": [], "lost_events": 0},
        "clock": {"boot_id": "b0", "synchronized": true, "max_error_us": 1200},
    });
    assert_eq!(record(ended_seen(), pod()), expected);
}

#[test]
fn a_sigkill_of_the_oom_killer_is_its_own_class() {
    for (oom_victim, class) in [(true, "OOM"), (false, "SIGKILL")] {
        let end = EndSeen { status: WaitStatus(9), oom_victim, ..ended_seen().end.expect("an end") };
        let record = record(Observation { end: Some(end), ..running() }, pod());
        assert_fields(
            &record,
            &json!({"exit_code": null, "signal": 9, "signal_name": "SIGKILL", "container_exit_code": 137, "exit_class": class}),
        );
    }
}

#[test]
fn a_start_error_has_no_main_process_and_no_times() {
    assert_fields(
        &record(removed(made()), pod()),
        &json!({"exit_class": "START_ERROR", "exit_code": null, "signal": null, "container_exit_code": null,
                "core_dumped": null, "main": null, "started_at": null, "finished_at": null, "duration_ns": null}),
    );
}

#[test]
fn a_session_found_running_has_an_end_and_no_start() {
    let mut seen = Observation { found_running: true, ..ended_seen() };
    seen.main.as_mut().expect("a main process").execed = None;
    let record = record(seen, pod());
    assert_fields(
        &record,
        &json!({"exit_code": 42, "started_at": null, "started_boot_ns": null, "duration_ns": null,
                "duration_seconds": null, "finished_at": "2026-11-23T15:26:21.000000000Z"}),
    );
    assert_eq!(record["evidence"]["kernel"], "exit_only");
}

#[test]
fn an_end_before_the_programs_has_no_time() {
    let mut seen = Observation { found_running: true, ..ended_seen() };
    seen.main.as_mut().expect("a main process").execed = None;
    seen.end.as_mut().expect("an end").late = true;
    let record = record(seen, pod());
    assert_fields(
        &record,
        &json!({"exit_code": 42, "finished_at": null, "finished_boot_ns": null, "duration_ns": null}),
    );
    assert_eq!(record["evidence"]["kernel"], "exit_only");
}

#[test]
fn after_lost_events_an_unseen_start_is_unknown() {
    let index = synced([pod()]);
    let mut tracker = Tracker::default();
    tracker.observe(made(), &place(), None, runtime("dbg"), &index, seconds(12));
    tracker.lost(1);
    let actions = tracker.observe(removed(made()), &place(), None, None, &index, seconds(22));
    assert_fields(
        &record_of(&actions, &index),
        &json!({"exit_class": "UNKNOWN", "exit_code": null, "main": null, "started_at": null}),
    );
}

#[test]
fn an_unknown_main_process_has_an_unknown_end() {
    let seen = Observation { found_running: true, ..removed(made()) };
    let record = record(seen, pod());
    assert_fields(&record, &json!({"exit_class": "UNKNOWN", "exit_code": null, "signal": null}));
    assert_eq!(record["evidence"]["kernel"], "none");
}

#[test]
fn the_kubelets_count_of_restarts_is_the_attempt() {
    let status = ContainerStatus {
        name: "dbg".into(),
        container_id: Some(id().url("containerd")),
        image_id: None,
        restart_count: 7,
        state: None,
        last_state: None,
    };
    let pod = PodFacts { statuses: vec![status], ..pod() };
    assert_fields(&record(ended_seen(), pod), &json!({"attempt": 7}));
}

#[test]
fn a_runtime_that_names_another_init_process_disagrees() {
    let mut seen = ended_seen();
    seen.main.as_mut().expect("a main process").pid = crate::ids::Pid(999);
    assert_eq!(record(seen, pod())["evidence"]["runtime"], json!({"init_pid": 4242, "agrees": false}));
}
