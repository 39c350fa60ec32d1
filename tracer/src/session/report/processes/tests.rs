use serde_json::{Value, json};

use super::*;
use crate::clock::{ClockState, OffsetHistory, OffsetSample};
use crate::ids::BootId;
use crate::kernel::event::Left;
use crate::kernel::{Members, Observation};
use crate::record::{Convention, WaitStatus, redact::Argv};
use crate::session::samples::{
    ended as ended_seen, member_ended, place, pod, program_executed, removed, running, runtime, seconds,
    synced,
};
use crate::session::{Action, Tracker};

/// 2026-11-23T15:26:00Z at boot.
const BOOTED: i64 = 1_795_447_560_000_000_000;

/// The records of a session in which that happened, as JSON.
fn records_of(happens: impl FnOnce(&mut Tracker) -> Vec<Action>) -> Vec<Value> {
    let index = synced([pod()]);
    let mut tracker = Tracker::default();
    tracker.observe(running(), &place(), None, runtime("dbg"), &index, seconds(12));
    let mut actions = happens(&mut tracker);
    for now in [14, 30, 40] {
        actions.extend(tracker.review(&index, seconds(now)));
    }
    let history = OffsetHistory::new(OffsetSample { boot: seconds(0), offset_ns: BOOTED });
    let clock = ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None };
    let (convention, argv) = (Convention::default(), Argv::Redacted);
    let (index, history, clock, convention) = (&index, &history, &clock, &convention);
    let context =
        Context { index, history, clock, convention, node_name: Some("node1"), argv, page_size: 4096 };
    let json = |action| match action {
        Action::Processes(container, chunk) => {
            Some(serde_json::to_value(processes(&container, chunk, context)))
        }
        Action::Closed(container, totals) => Some(serde_json::to_value(closed(&container, totals, context))),
        _ => None,
    };
    actions.into_iter().filter_map(json).map(|json| json.expect("a record is JSON")).collect()
}

#[test]
fn a_process_has_program_arguments_times_and_end() {
    let records = records_of(|tracker| {
        tracker.executed(program_executed(4250, "/bin/ls"));
        tracker.member_ended(member_ended(4250))
    });
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record["type"], "session_processes");
    assert!(record["id"].as_str().is_some_and(|id| id.ends_with(":0")));
    assert_eq!((&record["container_name"], &record["chunk"]), (&json!("dbg"), &json!(0)));
    assert_eq!(
        record["processes"][0],
        json!({
            "pid": 4250, "pid_in_container": 33, "parent_pid": 4242, "comm": "ls", "exe": "/bin/ls",
            "argv": ["ls", "--token=[redacted]"], "argv_truncated": false,
            "exit_code": 0, "signal": null, "signal_name": null, "core_dumped": false,
            "started_at": "2026-11-23T15:26:12.000000000Z", "finished_at": "2026-11-23T15:26:13.000000000Z",
            "duration_ns": "1000000000", "duration_seconds": 1.0, "started_boot_ns": "12000000000",
            "finished_boot_ns": "13000000000", "entered": null, "left": [], "max_rss_bytes": 1_024_000,
        })
    );
}

#[test]
fn entering_and_leaving_show_and_a_late_end_has_no_time() {
    let end = MemberEnded {
        origin: Origin::Namespace,
        left: Left { cgroup: true, mount_namespace: true },
        late: true,
        status: WaitStatus(9),
        ..member_ended(7)
    };
    let records = records_of(|tracker| tracker.member_ended(end));
    let process = &records[0]["processes"][0];
    assert_eq!(
        process["entered"],
        json!({"by": "mount_namespace", "at": "2026-11-23T15:26:12.000000000Z", "boot_ns": "12000000000"})
    );
    assert_eq!(process["left"], json!(["cgroup", "mount_namespace"]));
    assert_eq!(
        (&process["finished_at"], &process["signal"], &process["exe"]),
        (&json!(null), &json!(9), &json!(null))
    );
}

fn over(members: Members) -> Observation {
    let used =
        Used { processes: 1, cpu_ns: 5_000, minor_faults: 3, major_faults: 1, max_rss_pages: Some(10) };
    let members_used = Used { processes: members.ended, cpu_ns: 700, minor_faults: 2, ..Used::default() };
    Observation { members, main_used: Some(used), members_used, ..removed(ended_seen()) }
}

#[test]
fn a_closed_session_has_totals_and_usage() {
    let records = records_of(|tracker| {
        tracker.member_ended(member_ended(7));
        let members = Members { all: 1, ended: 1, entered: 1, left: 2, runtime: 5, unkept: 0 };
        tracker.observe(over(members), &place(), None, None, &synced([pod()]), seconds(22))
    });
    let closed = records.last().expect("it is closed");
    assert_eq!(closed["type"], "session_closed");
    for (field, value) in [
        ("processes", json!(1)),
        ("recorded", json!(1)),
        ("truncated", json!(false)),
        ("runtime_processes", json!(5)),
        ("entered", json!(1)),
        ("escaped", json!(2)),
        ("closed_at", json!("2026-11-23T15:26:21.000000000Z")),
        (
            "usage",
            json!({"main": {"processes": 1, "cpu_ns": "5000", "minor_faults": 3, "major_faults": 1, "max_rss_bytes": 40960},
                   "session": {"processes": 2, "cpu_ns": "5700", "minor_faults": 5, "major_faults": 1, "max_rss_bytes": 1_024_000}}),
        ),
    ] {
        assert_eq!(closed[field], value, "{field}");
    }
}

#[test]
fn processes_counted_and_not_seen_are_truncated() {
    let members = Members { all: 9, ended: 9, ..Members::default() };
    let happens = |tracker: &mut Tracker| {
        tracker.observe(over(members), &place(), None, None, &synced([pod()]), seconds(22))
    };
    let records = records_of(happens);
    let closed = records.last().expect("it is closed");
    assert_eq!(
        (&closed["processes"], &closed["recorded"], &closed["truncated"]),
        (&json!(9), &json!(0), &json!(true))
    );
}

#[test]
fn processes_without_room_are_truncated() {
    let members = Members { unkept: 3, ..Members::default() };
    let happens = |tracker: &mut Tracker| {
        tracker.observe(over(members), &place(), None, None, &synced([pod()]), seconds(22))
    };
    let records = records_of(happens);
    let closed = records.last().expect("it is closed");
    assert_eq!((&closed["truncated"], &closed["evidence"]["lost_events"]), (&json!(true), &json!(3)));
}

#[test]
fn a_session_is_open_while_a_process_of_it_lives() {
    let members = Members { all: 2, ended: 1, ..Members::default() };
    let happens = |tracker: &mut Tracker| {
        tracker.observe(over(members), &place(), None, None, &synced([pod()]), seconds(22))
    };
    assert_eq!(records_of(happens), Vec::<Value>::new());
}
