use proptest::prelude::*;

use super::*;
use crate::clock::{ClockState, ClockStep, OffsetHistory, OffsetSample, SessionTimes};
use crate::ids::{BootId, BootNanos, ContainerId, Pid};
use crate::record::{
    AgentIdentity, Evidence, ExitMeaning, GapReason, KernelEvidence, RecordNumber, SessionId, Severity,
    StopReason, WaitStatus,
};

const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";

fn clock() -> ClockState {
    ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None }
}

fn session_id() -> SessionId {
    SessionId::of_container(&ContainerId::parse(ID).unwrap())
}

fn evidence() -> Evidence {
    Evidence::of_kernel(KernelEvidence::Full)
}

fn wall(unix_nanos: i128) -> WallTime {
    WallTime::from_unix_nanos(unix_nanos)
}

fn times(start: u64, end: Option<u64>) -> SessionTimes {
    let history =
        OffsetHistory::new(OffsetSample { boot: BootNanos(0), offset_ns: 1_795_447_614_123_456_789 });
    history.session_times(Some(BootNanos(start)), end.map(BootNanos))
}

fn named(pod: &str) -> Identity {
    Identity {
        namespace: Some("default".into()),
        pod_name: Some(pod.into()),
        container_name: Some("dbg".into()),
        ..Identity::default()
    }
}

fn ended(status: i32, oom_victim: bool) -> Record {
    let exit = Exit::observed(WaitStatus(status), oom_victim);
    let record = SessionRecord::ended(session_id(), exit, evidence(), clock());
    let record = SessionRecord { identity: named("web"), times: times(0, Some(10_003_547_422)), ..record };
    Record::Session(Box::new(record))
}

fn shown(record: &Record) -> String {
    row(record).expect("something to show")
}

fn words(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[test]
fn a_session_from_start_to_end() {
    let record = SessionRecord::started(session_id(), evidence(), clock());
    let record = SessionRecord { identity: named("web"), times: times(0, None), ..record };
    let started = shown(&Record::Session(Box::new(record)));
    assert_eq!(words(&header()), ["TIME (UTC)", "WHAT", "NAMESPACE/POD/CONTAINER", "HOW", "LASTED"]);
    assert_eq!(words(&started), ["15:26:54.123Z", "started", "default/web/dbg"]);
    assert_eq!(
        words(&shown(&ended(42 << 8, false))),
        ["15:27:04.127Z", "ended", "default/web/dbg", "exit 42", "10.003s"]
    );
}

#[test]
fn columns_stand_below_their_names() {
    let (header, row) = (header(), shown(&ended(9, false)));
    assert_eq!(header.find("NAMESPACE"), row.find("default/web/dbg"));
    assert_eq!(header.find("HOW"), row.find("SIGKILL"));
    assert_eq!((header.len(), row.len()), (WIDTH, WIDTH));
}

#[test]
fn ends_in_words() {
    let how = |status, victim| end_in_words(&Exit::observed(WaitStatus(status), victim));
    assert_eq!(how(0, false), "exit 0");
    assert_eq!(how(137 << 8, false), "exit 137");
    assert_eq!(how(9, false), "SIGKILL");
    assert_eq!(how(9, true), "OOM killed");
    assert_eq!(how(0x8b, false), "SIGSEGV, core");
    assert_eq!(how(33, false), "signal 33");
    assert_eq!(end_in_words(&Exit::start_error()), "never started");
    assert_eq!(end_in_words(&Exit::unknown()), "unknown");
    assert_eq!(end_in_words(&Exit::default()), "");
}

#[test]
fn an_end_shows_meaning_killer_and_cause() {
    let how = |status, change: fn(&mut SessionRecord)| {
        let Record::Session(mut record) = ended(status, false) else { panic!("a session's record") };
        change(&mut record);
        words(&shown(&Record::Session(record)))[3].to_owned()
    };
    let killer = |place, comm: &str| KilledBy {
        place,
        comm: Some(comm.into()),
        pid: Some(Pid(7)),
        kernel: None,
        oom_limit: None,
    };
    let of_kernel =
        |kernel, oom_limit| KilledBy { kernel: Some(kernel), oom_limit, comm: None, pid: None, place: None };
    assert_eq!(
        how(42 << 8, |record| {
            let name = "connection-pool-exhausted".to_owned();
            record.exit_meaning = Some(ExitMeaning { name, severity: Severity::Warning });
        }),
        "exit 42 connection-pool-exhausted"
    );
    let by = |killer: KilledBy| {
        let Record::Session(record) = ended(9, false) else { panic!("a session's record") };
        let record = SessionRecord { killed_by: Some(killer), ..*record };
        words(&shown(&Record::Session(Box::new(record))))[3].to_owned()
    };
    assert_eq!(by(killer(Some(KillerPlace::Host), "bash")), "SIGKILL by host: bash");
    assert_eq!(by(killer(Some(KillerPlace::Runtime), "runc")), "SIGKILL by runtime");
    assert_eq!(by(killer(None, "sh")), "SIGKILL by ?: sh");
    assert_eq!(by(of_kernel(KernelKill::CgroupKill, None)), "SIGKILL by cgroup.kill");
    assert_eq!(killer_in_words(&of_kernel(KernelKill::Oom, Some(OomLimit::Pod))), ": pod's limit");
    assert_eq!(
        how(15, |record| {
            let runtime = Some(KillerPlace::Runtime);
            record.killed_by =
                Some(KilledBy { place: runtime, pid: None, comm: None, kernel: None, oom_limit: None });
            record.cause = Some("deadline_exceeded".into());
        }),
        "SIGTERM (deadline exceeded)"
    );
}

#[test]
fn long_names_lose_their_middle() {
    let record = SessionRecord::started(session_id(), evidence(), clock());
    let identity = named("a-deployment-with-a-very-long-name-indeed-6c5d8f7b9c-x2k4q");
    let line = shown(&Record::Session(Box::new(SessionRecord { identity, ..record })));
    assert_eq!(words(&line), ["?", "started", "default/a-deploymen…6c5d8f7b9c-x2k4q/dbg"]);
    assert!(line.chars().count() <= WIDTH);
}

#[test]
fn a_session_without_a_name_goes_by_its_id() {
    let record = SessionRecord::started(session_id(), evidence(), clock());
    let line = shown(&Record::Session(Box::new(record)));
    assert_eq!(words(&line)[2], "a24ec411d2fbb5a3c5d…79685746352413021fff");
}

#[test]
fn a_name_cannot_move_the_cursor() {
    let record = SessionRecord::started(session_id(), evidence(), clock());
    let line = shown(&Record::Session(Box::new(SessionRecord { identity: named("\x1b[2Jweb"), ..record })));
    assert_eq!(words(&line)[2], "default/\\u{1b}[2Jweb/dbg");
}

#[test]
fn columns_stand_below_their_names_whatever_a_name_has() {
    let Record::Session(record) = ended(9, false) else { panic!("a session's record") };
    for pod in [
        "漢字漢字",
        "web\u{202e}gpj",
        "a\u{200b}b",
        "e\u{301}",
        "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字",
    ] {
        let line =
            shown(&Record::Session(Box::new(SessionRecord { identity: named(pod), ..*record.clone() })));
        let how = line.find("SIGKILL").expect("how it ended");
        assert_eq!(Some(visible::width(&line[..how])), header().find("HOW"), "{line}");
        assert_eq!(visible::width(&line), WIDTH, "{line}");
        assert!(!line.chars().any(visible::is_hidden), "{line:?}");
    }
}

proptest! {
    #[test]
    fn what_is_fitted_keeps_to_its_columns(text in any::<String>(), width in 0..60usize) {
        let fitted = fit(&text, width);
        prop_assert!(visible::width(&fitted) <= width.max(1), "{fitted:?}");
        prop_assert!(!fitted.chars().any(visible::is_hidden));
    }
}

#[test]
fn gaps_agents_and_clock_steps() {
    let agent = AgentIdentity {
        node_name: Some("node1".into()),
        version: "0.1.0".into(),
        kernel_release: "6.18.44".into(),
        pid: Pid(7),
    };
    let at = wall(1_795_447_614_123_456_789);
    let started = AgentRecord::started(agent.clone(), &RecordNumber::test(0), BootNanos(1), at, clock());
    assert_eq!(
        words(&shown(&Record::Agent(started))),
        ["15:26:54.123Z", "agent started", "node node1", "debugtrail 0.1.0"]
    );
    let stopped = AgentRecord::stopped(
        agent,
        StopReason::Interrupted,
        &RecordNumber::test(1),
        BootNanos(2),
        at,
        clock(),
    );
    assert_eq!(
        words(&shown(&Record::Agent(stopped))),
        ["15:26:54.123Z", "agent stopped", "node node1", "interrupted"]
    );
    let gap = GapRecord {
        to_at: Some(at),
        from_boot_ns: Some(BootNanos(0)),
        to_boot_ns: Some(BootNanos(1_500_000)),
        lost: Some(12),
        sessions: vec![session_id()],
        ..GapRecord::new(GapReason::RingFull, &RecordNumber::test(2), clock())
    };
    assert_eq!(
        words(&shown(&Record::Gap(gap))),
        ["15:26:54.123Z", "gap", "1 session may lack evidence", "ring full, 12 lost", "1ms"]
    );
    let step = ClockStep {
        after_boot: BootNanos(4),
        boot: BootNanos(5),
        before: at,
        after: wall(0),
        step_ns: -3_600_000_000_000,
    };
    let step = ClockStepRecord::new(&step, Some("node1".into()), &RecordNumber::test(3), clock());
    assert_eq!(
        words(&shown(&Record::ClockStep(step))),
        ["00:00:00.000Z", "clock stepped", "node node1", "back by 1h00m"]
    );
}

#[test]
fn durations_keep_to_their_column() {
    let shown = duration;
    assert_eq!(shown(999), "0us");
    assert_eq!(shown(9_999_999), "9ms");
    assert_eq!(shown(59_999_000_000), "59.999s");
    assert_eq!(shown(61_000_000_000), "1m01s");
    assert_eq!(shown(7_260_000_000_000), "2h01m");
    assert_eq!(shown(90_000_000_000_000), "1d01h");
    assert!(shown(u64::MAX).len() <= LASTED);
}

#[test]
fn the_apis_status_is_shown_only_where_it_differs() {
    let reconciled = |api: ApiEvidence| {
        let Record::Session(ended) = ended(49 << 8, false) else { panic!("a session's record") };
        let evidence = Evidence { api: Some(api), ..evidence() };
        row(&Record::Session(Box::new(SessionRecord { evidence, ..*ended }.reconciled(clock()))))
    };
    let api = |exit_code, agrees| ApiEvidence {
        exit_code: Some(exit_code),
        agrees: Some(agrees),
        reason: Some("Unknown".into()),
        synthetic: (!agrees).then_some(crate::record::Synthetic::Unknown),
        ..ApiEvidence::default()
    };
    assert_eq!(reconciled(api(49, true)), None);
    assert_eq!(
        words(&reconciled(api(255, false)).unwrap()),
        ["15:27:04.127Z", "API says", "default/web/dbg", "255 (Unknown), made up"]
    );
}
