use super::super::samples::{id, pod, pod_ref, seconds, synced};
use super::*;
use crate::clock::{ClockState, WallTime};
use crate::ids::{BootId, Pid, PodUid};
use crate::pods::{ContainerState, PodEnding, PodEvent, Terminated};
use crate::record::{Evidence, Exit, Identity, KernelEvidence, MainProcess, Synthetic, WaitStatus};

fn clock() -> ClockState {
    ClockState { boot_id: BootId::new("b0"), synchronized: Some(true), max_error_us: None }
}

/// The end of `dbg`, exit 49, of which the API has said nothing yet.
fn ended() -> SessionRecord {
    let evidence = Evidence { named_by: Some(NamedBy::Runtime), ..Evidence::of_kernel(KernelEvidence::Full) };
    SessionRecord {
        identity: Identity {
            namespace: Some("default".into()),
            pod_name: Some("web".into()),
            pod_uid: Some(PodUid::new(pod_ref().as_str())),
            container_name: Some("dbg".into()),
            session_kind: Some(SessionKind::Ephemeral),
            ..Identity::default()
        },
        ..SessionRecord::ended(
            SessionId::of_container(&id()),
            Exit::observed(WaitStatus(49 << 8), false),
            evidence,
            clock(),
        )
    }
}

fn unresolved() -> SessionRecord {
    let identity = Identity { pod_uid: ended().identity.pod_uid, ..Identity::default() };
    SessionRecord { identity, evidence: Evidence::of_kernel(KernelEvidence::Full), ..ended() }
}

/// The pod once the kubelet has reported the container's id and, where `end` says so, its end.
fn pod_with_status(end: Option<(i32, &str)>) -> PodFacts {
    let terminated = |(exit_code, reason): (i32, &str)| {
        ContainerState::Terminated(Terminated {
            exit_code,
            signal: None,
            reason: Some(reason.into()),
            message: None,
            started_at: None,
            finished_at: None,
            container_id: Some(id().url("containerd")),
        })
    };
    let status = ContainerStatus {
        name: "dbg".into(),
        container_id: Some(id().url("containerd")),
        image_id: None,
        restart_count: 3,
        state: end.map(terminated),
        last_state: None,
    };
    PodFacts { statuses: vec![status], ..pod() }
}

fn reconciler(record: SessionRecord) -> Reconciler {
    let mut reconciler = Reconciler::default();
    reconciler.ended(Box::new(record), seconds(20));
    reconciler
}

#[test]
fn the_apis_status_is_added_once() {
    let mut reconciler = reconciler(ended());
    let mut index = synced([pod()]);
    assert_eq!(reconciler.reconcile(&index, seconds(21)), []);
    index.observe(PodEvent::Applied(Box::new(pod_with_status(Some((49, "Error"))))), seconds(22));
    let given = reconciler.reconcile(&index, seconds(22));
    let api = given[0].evidence.api.clone().unwrap();
    assert_eq!((api.exit_code, api.agrees, api.synthetic), (Some(49), Some(true), None));
    assert_eq!((given.len(), &given[0].exit), (1, &ended().exit));
    assert_eq!((reconciler.reconcile(&index, seconds(23)), reconciler.waiting()), (Vec::new(), 0));
}

#[test]
fn an_invented_code_does_not_agree_and_is_named() {
    let given =
        reconciler(ended()).reconcile(&synced([pod_with_status(Some((255, "Unknown")))]), seconds(21));
    let api = given[0].evidence.api.clone().unwrap();
    assert_eq!(
        (api.exit_code, api.agrees, api.synthetic),
        (Some(255), Some(false), Some(Synthetic::Unknown))
    );
}

/// As Kubernetes 1.35 leaves the status of a pod that its kubelet has evicted.
#[test]
fn a_lost_containers_end_counts_where_it_ran_once() {
    let mut lost = pod_with_status(Some((137, "ContainerStatusUnknown")));
    let status = &mut lost.statuses[0];
    (status.container_id, status.restart_count) = (None, 1);
    status.last_state = status
        .state
        .replace(ContainerState::Waiting { reason: Some("ContainerCreating".into()), message: None });
    let Some(ContainerState::Terminated(end)) = &mut status.last_state else { panic!("{status:?}") };
    end.container_id = None;
    let index = synced([lost]);
    let given = reconciler(ended()).reconcile(&index, seconds(21));
    let api = given[0].evidence.api.clone().unwrap();
    let made_up = Some(Synthetic::ContainerStatusUnknown);
    assert_eq!((api.exit_code, api.agrees, api.synthetic), (Some(137), Some(false), made_up));
    let mut of_a_copy = ended();
    of_a_copy.identity.session_kind = Some(SessionKind::Copy);
    assert_eq!(reconciler(of_a_copy).reconcile(&index, seconds(21)), []);
}

#[test]
fn a_late_name_waits_for_the_end_and_then_comes_alone() {
    let mut reconciler = reconciler(unresolved());
    assert_eq!(reconciler.reconcile(&synced([pod()]), seconds(21)), []);
    let index = synced([pod_with_status(None)]);
    assert_eq!(reconciler.reconcile(&index, seconds(30)), []);
    assert_eq!(reconciler.reconcile(&index, seconds(39)), []);
    let given = reconciler.reconcile(&index, seconds(40));
    assert_eq!(given[0].identity.container_name.as_deref(), Some("dbg"));
    assert_eq!(given[0].identity.session_kind, Some(SessionKind::Ephemeral));
    assert_eq!((given[0].evidence.named_by, given[0].evidence.api.clone()), (Some(NamedBy::Api), None));
    assert_eq!(reconciler.waiting(), 0);
}

#[test]
fn name_and_end_come_in_one_record() {
    let given =
        reconciler(unresolved()).reconcile(&synced([pod_with_status(Some((49, "Error")))]), seconds(21));
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].evidence.api.as_ref().and_then(|api| api.agrees), Some(true));
    assert_eq!(given[0].identity.target_container.as_deref(), Some("app"));
    assert_eq!(given[0].identity.attempt, Some(3));
}

/// The kubelet writes the container's status and the pod's reason one after the other.
#[test]
fn a_stop_by_the_runtime_waits_for_the_pods_reason() {
    let stopped = || {
        let mut record = SessionRecord { cause: Some("runtime_stop".into()), ..ended() };
        record.times.finished_at = Some(WallTime("2026-11-24T10:00:07.5Z".parse().unwrap()));
        record
    };
    let status = || pod_with_status(Some((137, "Error")));
    let mut reconciler = reconciler(stopped());
    assert_eq!(reconciler.reconcile(&synced([status()]), seconds(21)), []);
    let ending = PodEnding {
        since: Some("2026-11-24T10:00:07Z".parse().unwrap()),
        reason: Some("Evicted".into()),
        ..PodEnding::default()
    };
    let evicted = PodFacts { ending: Some(ending), ..status() };
    let given = reconciler.reconcile(&synced([evicted]), seconds(22));
    assert_eq!(given[0].cause.as_deref(), Some("evicted"));
    assert!(given[0].evidence.api.is_some() && given[0].evidence.pod.is_some());
}

#[test]
fn a_stop_by_the_runtime_without_a_reason_comes_in_the_end() {
    let record = SessionRecord { cause: Some("runtime_stop".into()), ..ended() };
    let (mut reconciler, index) = (reconciler(record), synced([pod_with_status(Some((137, "Error")))]));
    assert_eq!(reconciler.reconcile(&index, seconds(21)), []);
    let given = reconciler.reconcile(&index, seconds(31));
    assert_eq!(given[0].cause.as_deref(), Some("runtime_stop"));
}

#[test]
fn another_containers_end_says_nothing() {
    let mut other = pod_with_status(Some((1, "Error")));
    for status in &mut other.statuses {
        let another = "containerd://".to_owned() + &"0".repeat(64);
        status.container_id = Some(another.clone());
        if let Some(ContainerState::Terminated(end)) = &mut status.state {
            end.container_id = Some(another);
        }
    }
    assert_eq!(reconciler(ended()).reconcile(&synced([other]), seconds(21)), []);
}

#[test]
fn a_complete_end_is_not_kept_and_an_old_one_given_up() {
    let mut complete = ended();
    complete.evidence.api = Some(crate::record::ApiEvidence::default());
    assert_eq!(reconciler(complete).waiting(), 0);
    let mut reconciler = reconciler(ended());
    reconciler.reconcile(&synced([pod()]), seconds(20 + 3599));
    assert_eq!(reconciler.waiting(), 1);
    reconciler.reconcile(&synced([pod()]), seconds(20 + 3600));
    assert_eq!(reconciler.waiting(), 0);
}

fn ended_in(n: u64, argv: Option<Vec<String>>) -> Box<SessionRecord> {
    let session = ContainerId::parse(&format!("{n:064x}")).unwrap();
    let main = MainProcess {
        pid: Pid(1),
        pid_in_container: None,
        comm: None,
        exe: None,
        argv_truncated: argv.as_ref().map(|_| false),
        argv,
    };
    Box::new(SessionRecord {
        main: Some(main),
        ..SessionRecord::ended(
            SessionId::of_container(&session),
            Exit::unknown(),
            Evidence::of_kernel(KernelEvidence::None),
            clock(),
        )
    })
}

#[test]
fn only_so_many_wait() {
    let mut reconciler = Reconciler::default();
    for n in 0..=KEPT as u64 {
        reconciler.ended(ended_in(n, None), seconds(n));
    }
    assert_eq!((reconciler.waiting(), reconciler.given_up()), (KEPT, 1));
}

#[test]
fn only_so_many_bytes_wait() {
    let mut reconciler = Reconciler::default();
    for n in 0..1000 {
        reconciler.ended(ended_in(n, Some(vec![String::new(); 1000])), seconds(n));
        assert!(reconciler.held_bytes() <= KEPT_BYTES);
    }
    assert!((300..400).contains(&reconciler.waiting()), "{}", reconciler.waiting());
    // The same one again takes no more.
    let held = reconciler.held_bytes();
    reconciler.ended(ended_in(999, Some(vec![String::new(); 1000])), seconds(1000));
    assert_eq!(reconciler.held_bytes(), held);
    reconciler.reconcile(&synced([pod()]), seconds(1001 + 3600));
    assert_eq!((reconciler.waiting(), reconciler.held_bytes()), (0, 0));
}
