use super::super::samples::{id, pod, seconds, synced};
use super::*;
use crate::clock::{ClockState, SessionTimes};
use crate::ids::BootId;
use crate::pods::{PodEvent, PodIndex};

/// 2026-11-23T15:26:54Z.
const DOWN: i64 = 1_795_447_614;

fn wall(second: i64) -> WallTime {
    WallTime::from_unix_nanos(i128::from(second) * 1_000_000_000 + 500_000_000)
}

fn clock(boot: &str) -> ClockState {
    ClockState { boot_id: BootId::new(boot), synchronized: None, max_error_us: None }
}

/// Away from [`DOWN`] for a minute.
fn interval() -> Option<(WallTime, WallTime)> {
    Some((wall(DOWN), wall(DOWN + 60)))
}

fn started() -> SessionRecord {
    let evidence = Evidence { named_by: Some(NamedBy::Runtime), ..Evidence::of_kernel(KernelEvidence::Full) };
    SessionRecord {
        identity: Identity {
            pod_uid: Some(pod().uid),
            container_name: Some("dbg".into()),
            session_kind: Some(SessionKind::Ephemeral),
            ..Identity::default()
        },
        times: SessionTimes {
            started_at: Some(wall(DOWN - 10)),
            started_boot_ns: Some(seconds(90)),
            ..SessionTimes::default()
        },
        ..SessionRecord::started(SessionId::of_container(&id()), evidence, clock("b0"))
    }
}

/// The pod with `dbg`'s end at that second, exit 46.
fn ended_at(second: i64) -> PodFacts {
    let end = Terminated {
        exit_code: 46,
        signal: None,
        reason: Some("Error".into()),
        message: None,
        started_at: None,
        finished_at: jiff::Timestamp::from_second(second).ok(),
        container_id: Some(id().url("containerd")),
    };
    let status = ContainerStatus {
        name: "dbg".into(),
        container_id: Some(id().url("containerd")),
        image_id: None,
        restart_count: 0,
        state: Some(ContainerState::Terminated(end)),
        last_state: None,
    };
    PodFacts { statuses: vec![status], ..pod() }
}

fn away(gone: Vec<SessionRecord>) -> Away {
    Away::new(interval(), gone, HashSet::new(), Policy::default())
}

fn follows_none(_: &ContainerId) -> bool {
    false
}

#[test]
fn a_session_of_the_downtime_is_reported_once_from_the_api() {
    let mut away = away(Vec::new());
    let index = synced([ended_at(DOWN + 5)]);
    let ends = away.ends(&index, follows_none, seconds(100));
    assert_eq!(ends.len(), 1);
    let record = ends[0].clone().record(clock("b0"), Some("node1"));
    assert_eq!(record.evidence.kernel, KernelEvidence::None);
    assert_eq!(record.evidence.api.as_ref().and_then(|api| api.exit_code), Some(46));
    assert_eq!((&record.exit, record.times.clone()), (&Exit::unknown(), SessionTimes::default()));
    assert_eq!(record.identity.target_container.as_deref(), Some("app"));
    assert_eq!((record.identity.node_name.as_deref(), record.identity.attempt), (Some("node1"), Some(0)));
    assert_eq!(away.ends(&index, follows_none, seconds(101)), []);
}

#[test]
fn ends_outside_of_the_downtime_are_not_reported() {
    for second in [DOWN - 1, DOWN + 61] {
        let index = synced([ended_at(second)]);
        assert_eq!(away(Vec::new()).ends(&index, follows_none, seconds(100)), [], "at {second}");
    }
    let index = synced([ended_at(DOWN + 5)]);
    assert_eq!(away(Vec::new()).ends(&index, |_| true, seconds(100)), [], "the kernel has it");
    let mut away = away(Vec::new());
    away.reported(&SessionId::of_container(&id()));
    assert_eq!(away.ends(&index, follows_none, seconds(100)), [], "it was reported");
    assert_eq!(Away::default().ends(&index, follows_none, seconds(100)), [], "the first agent here");
}

#[test]
fn an_ordinary_container_is_reported_only_on_request() {
    let mut pod = ended_at(DOWN + 5);
    pod.statuses[0].name = "app".into();
    let index = synced([pod]);
    assert_eq!(away(Vec::new()).ends(&index, follows_none, seconds(100)), []);
    let all = Policy { all_containers: true, ..Policy::default() };
    let mut away = Away::new(interval(), [], HashSet::new(), all);
    assert_eq!(away.ends(&index, follows_none, seconds(100)).len(), 1);
}

#[test]
fn a_session_that_was_live_keeps_its_start() {
    let mut away = away(vec![started()]);
    let ends = away.ends(&synced([ended_at(DOWN + 5)]), follows_none, seconds(100));
    assert_eq!(ends.len(), 1);
    let record = ends[0].clone().record(clock("b0"), None);
    assert_eq!(record.evidence.kernel, KernelEvidence::StartOnly);
    assert_eq!(record.times.started_boot_ns, Some(seconds(90)));
    assert_eq!(record.evidence.api.as_ref().and_then(|api| api.exit_code), Some(46));
    assert_eq!((record.times.finished_at, record.times.duration_ns), (None, None));
}

#[test]
fn with_a_silent_api_the_end_is_reported_without_it() {
    let mut away = away(vec![started()]);
    let mut index = PodIndex::new();
    assert_eq!(away.ends(&index, follows_none, seconds(100)), [], "not synced");
    index.observe(PodEvent::RelistStarted, seconds(100));
    index.observe(PodEvent::RelistDone, seconds(100));
    assert_eq!(away.ends(&index, follows_none, seconds(100)), []);
    assert_eq!(away.ends(&index, follows_none, seconds(129)), []);
    let ends = away.ends(&index, follows_none, seconds(130));
    assert_eq!((ends.len(), ends[0].evidence.api.clone()), (1, None));
    assert_eq!((away.ends(&index, follows_none, seconds(200)), away.open().count()), (Vec::new(), 0));
}

#[test]
fn after_a_reboot_the_old_boots_clock_is_not_quoted() {
    let record = UnseenEnd::of(started()).record(clock("b1"), None);
    assert_eq!((record.times.started_at, record.times.started_boot_ns), (Some(wall(DOWN - 10)), None));
    assert_eq!((record.evidence.kernel, &record.exit), (KernelEvidence::StartOnly, &Exit::unknown()));
}

fn session(n: usize) -> SessionId {
    SessionId::of_container(&ContainerId::parse(&format!("{n:064x}")).unwrap())
}

#[test]
fn reported_ends_are_remembered_while_others_are_awaited() {
    let mut away = away(Vec::new());
    (0..100).for_each(|n| away.reported(&session(n)));
    assert_eq!(away.kept(), 100);
    let index = synced([pod()]);
    away.ends(&index, follows_none, seconds(200));
    away.ends(&index, follows_none, BootNanos(seconds(200).0 + LOOKED_FOR.as_nanos() as u64 - 1));
    assert_eq!(away.kept(), 100);
    away.ends(&index, follows_none, BootNanos(seconds(200).0 + LOOKED_FOR.as_nanos() as u64));
    (0..100).for_each(|n| away.reported(&session(n)));
    assert_eq!(away.kept(), 0);
}

#[test]
fn too_many_reported_ends_stop_the_search() {
    let mut away = away(Vec::new());
    (0..KEPT_REPORTED).for_each(|n| away.reported(&session(n)));
    (0..KEPT_REPORTED).for_each(|n| away.reported(&session(n)));
    assert_eq!(away.kept(), KEPT_REPORTED);
    away.reported(&session(KEPT_REPORTED));
    assert_eq!(away.kept(), 0);
    // It might be one of those.
    assert_eq!(away.ends(&synced([ended_at(DOWN + 30)]), follows_none, seconds(200)), []);
}
