use super::*;
use crate::clock::{OffsetHistory, OffsetSample};
use crate::ids::{BootId, BootNanos, ContainerId};
use crate::record::{ApiEvidence, KernelEvidence, KindBy, NamedBy, Record, RuntimeEvidence, WaitStatus};

const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";

fn session_id() -> SessionId {
    SessionId::of_container(&ContainerId::parse(ID).unwrap())
}

fn clock() -> ClockState {
    ClockState { boot_id: BootId::new("b0"), synchronized: Some(true), max_error_us: Some(1200) }
}

fn identity() -> Identity {
    Identity {
        namespace: Some("default".into()),
        pod_name: Some("web".into()),
        pod_uid: Some(PodUid::new("78089609-1111-4222-8333-444455556666")),
        container_name: Some("dbg".into()),
        container_id: Some(format!("containerd://{ID}")),
        attempt: Some(0),
        image: Some("local/busybox:1".into()),
        image_id: None,
        target_container: Some("app".into()),
        node_name: Some("node1".into()),
        session_kind: Some(SessionKind::Ephemeral),
    }
}

/// The wall clock reads 2026-11-23T15:26:54.123456789Z at a boot time of 1000 s.
fn history() -> OffsetHistory {
    let offset_ns = 1_795_447_614_123_456_789 - 1_000_000_000_000;
    OffsetHistory::new(OffsetSample { boot: BootNanos(1_000_000_000_000), offset_ns })
}

/// Scenario 05, as the design shows it.
#[test]
fn an_ended_session_in_the_order_of_the_schema() {
    let evidence = Evidence {
        named_by: Some(NamedBy::Runtime),
        kind_by: Some(KindBy::Declared),
        runtime: Some(RuntimeEvidence { init_pid: Some(Pid(26623)), agrees: Some(true) }),
        ..Evidence::of_kernel(KernelEvidence::Full)
    };
    let exit = Exit::observed(WaitStatus(10752), false);
    let start = BootNanos(1_000_000_000_000);
    let record = SessionRecord {
        identity: identity(),
        times: history().session_times(Some(start), Some(BootNanos(start.0 + 10_003_547_422))),
        main: Some(MainProcess {
            pid: Pid(26623),
            pid_in_container: Some(Pid(31)),
            comm: Some("sh".into()),
            exe: Some("/bin/busybox".into()),
            argv: None,
            argv_truncated: None,
        }),
        ..SessionRecord::ended(session_id(), exit, evidence, clock())
    };
    let expected = [
        r#"{"schema":"debugtrail.dev/record/v1","type":"session_ended","id":"session_ended:ID","session_id":"ID","#,
        r#""namespace":"default","pod_name":"web","pod_uid":"78089609-1111-4222-8333-444455556666","#,
        r#""container_name":"dbg","container_id":"containerd://ID","attempt":0,"image":"local/busybox:1","image_id":null,"#,
        r#""target_container":"app","node_name":"node1","session_kind":"ephemeral","#,
        r#""exit_code":42,"signal":null,"signal_name":null,"core_dumped":false,"container_exit_code":42,"#,
        r#""exit_class":"ERROR","exit_meaning":null,"killed_by":null,"cause":null,"#,
        r#""started_at":"2026-11-23T15:26:54.123456789Z","finished_at":"2026-11-23T15:27:04.127004211Z","#,
        r#""duration_ns":"10003547422","duration_seconds":10.003547422,"#,
        r#""started_boot_ns":"1000000000000","finished_boot_ns":"1010003547422","#,
        r#""main":{"pid":26623,"pid_in_container":31,"comm":"sh","exe":"/bin/busybox","argv":null,"argv_truncated":null},"#,
        r#""requested_by":null,"#,
        r#""evidence":{"kernel":"full","named_by":"runtime","kind_by":"declared","#,
        r#""runtime":{"init_pid":26623,"agrees":true},"api":null,"pod":null,"disagreements":[],"lost_events":0},"#,
        r#""clock":{"boot_id":"b0","synchronized":true,"max_error_us":1200}}"#,
    ];
    let line = Record::Session(Box::new(record)).to_json_line().unwrap();
    assert_eq!(line, expected.concat().replace("ID", ID));
}

#[test]
fn a_started_session_has_every_field_and_no_end() {
    let record = SessionRecord {
        times: history().session_times(Some(BootNanos(1_000_000_000_000)), None),
        ..SessionRecord::started(session_id(), Evidence::of_kernel(KernelEvidence::Full), clock())
    };
    let started = serde_json::to_value(&record).unwrap();
    let ended = SessionRecord::ended(
        session_id(),
        Exit::unknown(),
        Evidence::of_kernel(KernelEvidence::StartOnly),
        clock(),
    );
    let ended = serde_json::to_value(&ended).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&started), keys(&ended));
    for field in ["exit_code", "signal", "core_dumped", "container_exit_code", "exit_class", "finished_at"] {
        assert!(started[field].is_null(), "{field}");
    }
    assert_eq!(started["started_at"], "2026-11-23T15:26:54.123456789Z");
    assert_eq!(started["id"], format!("session_started:{ID}"));
    assert_eq!(ended["exit_class"], "UNKNOWN");
}

#[test]
fn the_apis_status_is_evidence_and_no_fact() {
    let api = ApiEvidence {
        exit_code: Some(128),
        reason: Some("StartError".into()),
        agrees: None,
        ..ApiEvidence::default()
    };
    let evidence = Evidence { api: Some(api), ..Evidence::of_kernel(KernelEvidence::None) };
    let record = SessionRecord::ended(session_id(), Exit::start_error(), evidence, clock());
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["exit_class"], "START_ERROR");
    assert!(json["exit_code"].is_null() && json["container_exit_code"].is_null());
    assert_eq!(json["evidence"]["api"]["exit_code"], 128);
    assert_eq!(json["evidence"]["kernel"], "none");
}
