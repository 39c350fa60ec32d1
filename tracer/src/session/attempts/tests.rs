use super::super::container::{Container, Remembered};
use super::super::samples::{pod, pod_ref, seconds, synced};
use super::*;
use crate::clock::ClockState;
use crate::ids::BootId;
use crate::pods::{ContainerState, PodFacts, Terminated};
use crate::record::{Evidence, Identity, KernelEvidence, SessionId, SessionRecord};

/// The `n`th container: first seen at second `10 + n`.
fn run(n: u64) -> Container {
    Container::new(id(n), Some(pod_ref()), seconds(10 + n))
}

fn id(n: u64) -> ContainerId {
    ContainerId::parse(&format!("{n:064x}")).expect("64 hex digits")
}

fn named(name: &str, kind: SessionKind) -> Naming {
    Naming { container_name: Some(name.into()), kind: Some(kind), ..Naming::default() }
}

fn copy() -> Naming {
    named("debugger-x", SessionKind::Copy)
}

/// A pod of whose container `debugger-x` the kubelet has reported nothing.
fn silent() -> PodIndex {
    synced([pod()])
}

/// The kubelet has reported the container `current`, and the one before it.
fn index_with(restart_count: u32, current: Option<u64>, before: Option<u64>) -> PodIndex {
    let url = |n: u64| id(n).url("containerd");
    let ended = |n| Terminated {
        exit_code: 22,
        signal: None,
        reason: None,
        message: None,
        started_at: None,
        finished_at: None,
        container_id: Some(url(n)),
    };
    let status = ContainerStatus {
        name: "debugger-x".into(),
        container_id: current.map(url),
        image_id: None,
        restart_count,
        state: None,
        last_state: before.map(|n| ContainerState::Terminated(ended(n))),
    };
    synced([PodFacts { statuses: vec![status], ..pod() }])
}

/// Attempts of a pod that was there before debugtrail.
fn begun_before() -> Attempts {
    Attempts::default()
}

/// Attempts of a pod whose making was seen.
fn made() -> Attempts {
    let mut attempts = Attempts::default();
    attempts.pod_made(&pod_ref(), seconds(9));
    attempts
}

#[test]
fn runs_of_a_pod_seen_being_made_count_from_zero() {
    let mut attempts = made();
    for n in 0..3 {
        assert_eq!(attempts.number(&run(u64::from(n)), &copy(), &silent()), Some(n));
    }
}

#[test]
fn names_and_pods_count_for_themselves() {
    let mut attempts = made();
    assert_eq!(attempts.number(&run(0), &copy(), &silent()), Some(0));
    assert_eq!(attempts.number(&run(1), &named("other", SessionKind::Copy), &silent()), Some(0));
    let elsewhere = Container::new(id(2), Some(PodRef::new("another-pod")), seconds(12));
    attempts.pod_made(&PodRef::new("another-pod"), seconds(9));
    assert_eq!(attempts.number(&elsewhere, &copy(), &silent()), Some(0));
}

#[test]
fn in_a_pod_that_was_there_before_only_the_kubelet_knows() {
    let mut attempts = begun_before();
    assert_eq!(attempts.number(&run(0), &copy(), &silent()), None);
    assert_eq!(attempts.number(&run(1), &copy(), &silent()), None);
    // It names the run before as the current one: this one is next.
    assert_eq!(attempts.number(&run(2), &copy(), &index_with(6, Some(1), Some(0))), Some(7));
    assert_eq!(attempts.number(&run(3), &copy(), &silent()), Some(8));
}

#[test]
fn the_kubelets_count_of_the_very_container_wins() {
    assert_eq!(made().number(&run(5), &copy(), &index_with(4, Some(5), Some(3))), Some(4));
    assert_eq!(made().number(&run(5), &copy(), &index_with(4, Some(6), Some(5))), Some(3));
}

#[test]
fn a_status_from_before_the_boot_prevents_counting_from_zero() {
    assert_eq!(made().number(&run(5), &copy(), &index_with(4, Some(3), None)), None);
    assert_eq!(made().number(&run(5), &copy(), &index_with(1, None, None)), None);
    assert_eq!(made().number(&run(5), &copy(), &index_with(0, None, None)), Some(0));
}

#[test]
fn counting_goes_on_from_an_earlier_debugtrail() {
    let clock = ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None };
    let evidence = Evidence::of_kernel(KernelEvidence::Full);
    let started = SessionRecord {
        identity: Identity { attempt: Some(6), ..Identity::default() },
        ..SessionRecord::started(SessionId::of_container(&id(0)), evidence, clock)
    };
    let mut remembered = run(0);
    remembered.remember(Remembered {
        started,
        reported: true,
        processes: crate::session::Reported::default(),
    });
    let mut attempts = begun_before();
    assert_eq!(attempts.number(&remembered, &copy(), &silent()), Some(6));
    assert_eq!(attempts.number(&run(1), &copy(), &silent()), Some(7));
}

#[test]
fn an_ephemeral_container_is_the_first_whatever_is_known() {
    let session = named("dbg", SessionKind::Ephemeral);
    assert_eq!(begun_before().number(&run(0), &session, &silent()), Some(0));
}

/// CRI-O makes one anew, under another id, for as long as its program can't be started; the kubelet counts none of them.
#[test]
fn an_ephemeral_container_that_is_made_anew_is_another_attempt() {
    let session = named("dbg", SessionKind::Ephemeral);
    let mut attempts = begun_before();
    for n in 0..5 {
        assert_eq!(attempts.number(&run(n), &session, &silent()), Some(n as u32));
    }
    // Another of the same pod counts for itself.
    assert_eq!(attempts.number(&run(7), &named("dbg-2", SessionKind::Ephemeral), &silent()), Some(0));
}

#[test]
fn one_that_is_named_after_its_successor_is_not_numbered() {
    let mut attempts = made();
    assert_eq!(attempts.number(&run(1), &copy(), &silent()), Some(0));
    assert_eq!(attempts.number(&run(0), &copy(), &silent()), None);
    assert_eq!(attempts.number(&run(2), &copy(), &silent()), Some(1));
}

#[test]
fn after_a_loss_only_the_kubelet_knows() {
    let mut attempts = made();
    assert_eq!(attempts.number(&run(0), &copy(), &silent()), Some(0));
    attempts.doubt();
    assert_eq!(attempts.number(&run(1), &copy(), &silent()), None);
    assert_eq!(attempts.number(&run(2), &copy(), &index_with(3, Some(1), None)), Some(4));
}

#[test]
fn a_pod_missing_from_a_synced_index_is_forgotten_in_time() {
    let mut attempts = made();
    attempts.forget_gone(&PodIndex::new(), seconds(10_000));
    attempts.forget_gone(&synced([pod()]), seconds(10_000));
    attempts.forget_gone(&synced([]), seconds(9 + 89));
    assert_eq!(attempts.pods.len(), 1);
    attempts.forget_gone(&synced([]), seconds(9 + 90));
    assert_eq!(attempts.pods.len(), 0);
}

#[test]
fn past_the_limit_the_oldest_pod_is_forgotten() {
    let mut attempts = Attempts::default();
    for n in 0..=KEPT_PODS as u64 {
        attempts.pod_made(&PodRef::new(n.to_string()), seconds(n));
    }
    assert_eq!(attempts.pods.len(), KEPT_PODS);
    assert!(!attempts.pods.contains_key(&PodRef::new("0")));
}
