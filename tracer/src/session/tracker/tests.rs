mod found_running;
mod processes;

use proptest::prelude::*;

use super::super::samples::{
    CGROUP, ended, id, made, place, pod, pod_before, pod_ref, removed, running, runtime, sandbox, seconds,
    synced,
};
use super::*;
use crate::ids::PodRef;
use crate::kernel::EndSeen;
use crate::pods::{ContainerFacts, DebugPod, PodEvent, PodFacts};
use crate::record::{KindBy, SessionKind, SessionRecord};

/// What actions come down to.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Forget(u64),
    Settle(u64),
    Track(u64, u64),
    Started,
    Ended,
    Processes(u64, usize),
    Closed(u64),
    GaveUp,
    Foreign,
}

fn said(actions: &[Action]) -> Vec<Said> {
    let say = |action: &Action| match action {
        Action::Forget(cgroup) | Action::Release(cgroup) => Said::Forget(cgroup.0),
        Action::Settle(cgroup) => Said::Settle(cgroup.0),
        Action::Track { cgroup, root } => Said::Track(cgroup.0, root.0),
        Action::Started(_) => Said::Started,
        Action::Ended(_) => Said::Ended,
        Action::Processes(_, chunk) => Said::Processes(chunk.n, chunk.processes.len()),
        Action::Closed(_, totals) => Said::Closed(totals.reported.processes),
        Action::GaveUp(_) => Said::GaveUp,
        Action::Foreign(_) => Said::Foreign,
    };
    actions.iter().map(say).collect()
}

fn observe(
    tracker: &mut Tracker,
    seen: Observation,
    facts: Option<RuntimeFacts>,
    index: &PodIndex,
) -> Vec<Said> {
    said(&tracker.observe(seen, &place(), None, facts, index, seconds(12)))
}

/// Reviews until a session whose processes have all ended must be closed.
fn close(tracker: &mut Tracker, index: &PodIndex) -> Vec<Said> {
    assert_eq!(said(&tracker.review(index, seconds(30))), []);
    said(&tracker.review(index, seconds(40)))
}

#[test]
fn a_session_is_tracked_started_ended_and_forgotten() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    assert_eq!(observe(&mut tracker, made(), runtime("dbg"), &index), [Said::Track(77, 77)]);
    assert_eq!(observe(&mut tracker, running(), None, &index), [Said::Started]);
    assert_eq!(tracker.live().count(), 1);
    assert_eq!(observe(&mut tracker, ended(), None, &index), [Said::Ended]);
    assert_eq!(tracker.live().count(), 0);
    assert_eq!(observe(&mut tracker, removed(ended()), None, &index), []);
    assert_eq!(close(&mut tracker, &index), [Said::Closed(0), Said::Forget(77)]);
    assert_eq!(tracker.cgroups().count(), 0);
}

#[test]
fn a_session_that_is_over_at_once_says_all_in_order() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    assert_eq!(
        observe(&mut tracker, removed(ended()), runtime("dbg"), &index),
        [Said::Track(77, 77), Said::Started, Said::Ended]
    );
}

#[test]
fn ordinary_init_and_pause_containers_are_forgotten_at_once() {
    let index = synced([pod()]);
    for facts in [runtime("app"), runtime("init"), sandbox()] {
        let mut tracker = Tracker::default();
        assert_eq!(observe(&mut tracker, made(), facts, &index), [Said::Settle(77), Said::Forget(77)]);
        assert_eq!(tracker.cgroups().count(), 0);
    }
}

#[test]
fn a_cgroup_of_no_container_is_forgotten_at_once() {
    let mut tracker = Tracker::default();
    let actions = tracker.observe(
        made(),
        &Place::of("/system.slice/ssh.service"),
        None,
        None,
        &synced([]),
        seconds(12),
    );
    assert_eq!(said(&actions), [Said::Forget(77)]);
}

#[test]
fn an_end_before_its_name_is_reported_with_the_name() {
    let mut tracker = Tracker::default();
    let mut index = synced([pod_before()]);
    // The kernel need not keep it: nothing more can happen there.
    assert_eq!(observe(&mut tracker, removed(ended()), runtime("dbg"), &index), [Said::Forget(77)]);
    assert_eq!(tracker.undecided_ends().count(), 1);
    index.observe(PodEvent::Applied(Box::new(pod())), seconds(13));
    assert_eq!(said(&tracker.review(&index, seconds(13))), [Said::Track(77, 77), Said::Started, Said::Ended]);
    assert_eq!(tracker.undecided_ends().count(), 0);
}

#[test]
fn without_the_api_only_a_session_reports_its_end() {
    let mut index = PodIndex::new();
    for (facts, reports) in [(runtime("app"), 0), (runtime("dbg"), 1)] {
        let mut tracker = Tracker::default();
        observe(&mut tracker, removed(ended()), facts, &index);
        assert_eq!(said(&tracker.review(&index, seconds(86_400))), []);
        index = synced([pod()]);
        let all = said(&tracker.review(&index, seconds(86_401)));
        assert_eq!(all.iter().filter(|said| **said == Said::Ended).count(), reports);
        assert_eq!(said(&tracker.review(&index, seconds(86_402))), []);
        index.lost();
        index = PodIndex::new();
    }
}

#[test]
fn an_unresolved_container_is_recorded_without_a_kind() {
    let mut tracker = Tracker::default();
    let index = synced([]);
    observe(&mut tracker, removed(ended()), None, &index);
    let actions = tracker.review(&index, seconds(30));
    let Some(Action::Ended(container)) = actions.iter().find(|action| matches!(action, Action::Ended(_)))
    else {
        panic!("{actions:?}");
    };
    let naming = container.naming().expect("what is known of its name");
    assert_eq!((naming.kind, naming.container_name.as_deref()), (None, None));
    assert_eq!(naming.pod_uid, Some(pod().uid));
}

#[test]
fn a_container_without_a_main_process_is_a_start_error() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, made(), runtime("dbg"), &index);
    assert_eq!(observe(&mut tracker, removed(made()), None, &index), [Said::Ended]);
    assert_eq!(close(&mut tracker, &index), [Said::Closed(0), Said::Forget(77)]);
    assert_eq!(tracker.cgroups().count(), 0);
}

#[test]
fn a_vanished_empty_cgroup_ends_as_a_start_error() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, made(), runtime("dbg"), &index);
    assert_eq!(said(&tracker.vanished(CGROUP, &index, seconds(13))), [Said::Ended]);
    assert_eq!(said(&tracker.vanished(CGROUP, &index, seconds(14))), []);
}

/// Others can make and remove a cgroup, too.
#[test]
fn an_empty_unknown_cgroup_is_no_session() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    let empty = Observation { entered: false, ..made() };
    assert_eq!(observe(&mut tracker, empty, None, &index), []);
    assert_eq!(said(&tracker.review(&index, seconds(30))), []);
    assert_eq!(said(&tracker.vanished(CGROUP, &index, seconds(31))), [Said::Forget(77)]);
    assert_eq!(said(&tracker.review(&index, seconds(60))), []);
    assert_eq!(tracker.undecided(), 0);
}

/// A session's id is no secret to those inside.
#[test]
fn a_second_cgroup_with_a_sessions_id_is_none_of_it() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    for (n, path) in [(90, format!("/x{}", made().path)), (91, made().path.replace("/besteffort", ""))] {
        let second = Observation { cgroup: CgroupId(n), path: path.clone(), ..running() };
        let actions = tracker.observe(second, &Place::of(&path), None, None, &index, seconds(13));
        assert_eq!(said(&actions), [Said::Forget(n)], "{path}");
    }
    assert_eq!(observe(&mut tracker, removed(ended()), None, &index), [Said::Ended]);
    assert_eq!(close(&mut tracker, &index), [Said::Closed(0), Said::Forget(77)]);
    // Nor once it is over.
    let again = Observation { cgroup: CgroupId(92), ..ended() };
    assert_eq!(observe(&mut tracker, again, runtime("dbg"), &index), [Said::Forget(92)]);
}

#[test]
fn cgroups_that_a_session_makes_and_removes_are_not_kept() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    let below = Place::Container { pod: pod_ref(), container_id: id(), inner: true };
    let seen =
        |tracker: &mut Tracker, seen| said(&tracker.observe(seen, &below, None, None, &index, seconds(12)));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    for n in 100..110 {
        let child = Observation { cgroup: CgroupId(n), ..made() };
        assert_eq!(seen(&mut tracker, child.clone()), [Said::Track(n, 77)]);
        assert_eq!(seen(&mut tracker, removed(child)), [Said::Forget(n)]);
    }
    assert_eq!(tracker.cgroups().collect::<Vec<_>>(), [CGROUP]);
    assert_eq!(observe(&mut tracker, removed(ended()), None, &index), [Said::Ended]);
    assert_eq!(close(&mut tracker, &index), [Said::Closed(0), Said::Forget(77)]);
}

#[test]
fn a_cgroup_below_may_hold_the_main_process() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, made(), runtime("dbg"), &index);
    let path = format!("{}/container", made().path);
    let below = Observation { cgroup: CgroupId(78), path: path.clone(), ..running() };
    let actions = tracker.observe(below, &Place::of(&path), None, None, &index, seconds(12));
    assert_eq!(said(&actions), [Said::Track(78, 77), Said::Started]);
}

#[test]
fn the_runtime_is_asked_until_it_gives_the_init_pid() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    assert_eq!(tracker.asks_runtime(&made(), &place()), Some(&id()));
    let early = runtime("dbg").map(|facts| RuntimeFacts { init_pid: None, ..facts });
    observe(&mut tracker, made(), early, &index);
    // The programs of a main process's start may have been skipped.
    assert_eq!(tracker.asks_runtime(&made(), &place()), Some(&id()));
    assert_eq!(tracker.asks_runtime(&removed(made()), &place()), None);
    assert_eq!(tracker.asks_runtime(&running(), &place()), Some(&id()));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    assert_eq!(tracker.asks_runtime(&running(), &place()), None);
    assert_eq!(tracker.asks_runtime(&made(), &Place::Pod { pod: pod_ref() }), None);
}

/// On 7.3 the kernel may skip the programs of its exec and of its exit; the one of its freeing it does not.
#[test]
fn an_unseen_main_process_is_known_from_the_runtime() {
    use crate::ids::Pid;
    use crate::kernel::LastSeen;
    let index = synced([pod()]);
    let last = |pid| LastSeen {
        pid: Pid(pid),
        forked: seconds(11),
        freed: seconds(21),
        status: crate::record::WaitStatus(42 << 8),
    };
    for (pid, ends) in [(4242, true), (4243, false)] {
        let mut tracker = Tracker::default();
        let seen = Observation { last: Some(last(pid)), ..made() };
        let said = observe(&mut tracker, seen, runtime("dbg"), &index);
        assert_eq!(said.contains(&Said::Ended), ends, "pid {pid}: {said:?}");
    }
}

#[test]
fn a_loss_is_noted_in_every_session_that_is_not_closed() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    tracker.lost(3);
    let actions = tracker.observe(ended(), &place(), None, None, &index, seconds(22));
    let [Action::Ended(container)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!(container.lost_events, 3);
    // Processes of it may live on.
    tracker.lost(2);
    assert_eq!(tracker.open().map(|open| open.lost_events).collect::<Vec<_>>(), [5]);
    observe(&mut tracker, removed(ended()), None, &index);
    close(&mut tracker, &index);
    assert_eq!(tracker.open().count(), 0);
}

/// A copy's container is restarted while it is undecided: its runs are numbered in the order in which they
/// came, whatever their ids.
#[test]
fn the_runs_of_a_copy_are_numbered_in_their_order() {
    let mut tracker = Tracker::default();
    let container = |n: u64| ContainerId::parse(&format!("{:064x}", 9 - n)).expect("64 hex digits");
    let own = Observation { cgroup: CgroupId(1), ..made() };
    tracker.observe(own, &Place::Pod { pod: pod_ref() }, None, None, &PodIndex::new(), seconds(9));
    for n in 0..3 {
        let place = Place::Container { pod: pod_ref(), container_id: container(n), inner: false };
        let seen = Observation { cgroup: CgroupId(2 + n), ..removed(ended()) };
        tracker.observe(seen, &place, None, runtime("debugger-x"), &PodIndex::new(), seconds(10 + n));
    }
    let debugger = ContainerFacts { name: "debugger-x".into(), image: None };
    let debug = Some(DebugPod { kind: SessionKind::Copy, by: KindBy::Inferred });
    let copy = PodFacts { containers: vec![debugger], ephemeral_containers: Vec::new(), debug, ..pod() };
    let actions = tracker.review(&synced([copy]), seconds(20));
    let ends = actions.iter().filter_map(|action| match action {
        Action::Ended(container) => Some((container.id.clone(), container.attempt)),
        _ => None,
    });
    let expected = [(container(0), Some(0)), (container(1), Some(1)), (container(2), Some(2))];
    assert_eq!(ends.collect::<Vec<_>>(), expected);
}

#[test]
fn past_the_limit_the_oldest_undecided_is_given_up() {
    let (mut tracker, index) = (Tracker::default(), PodIndex::new());
    let mut gave_up = 0;
    for n in 0..=KEPT_UNDECIDED as u64 {
        let container = ContainerId::parse(&format!("{n:064x}")).expect("64 hex digits");
        let place = Place::Container { pod: PodRef::new("p"), container_id: container, inner: false };
        let seen = Observation { cgroup: CgroupId(n), ..removed(ended()) };
        let actions = tracker.observe(seen, &place, None, None, &index, seconds(n));
        gave_up += said(&actions).iter().filter(|said| **said == Said::GaveUp).count();
    }
    assert_eq!(gave_up, 1);
    assert_eq!(tracker.undecided_ends().map(|container| container.first_seen).min(), Some(seconds(1)));
}

proptest! {
    /// However the statements of kernel, runtime and API interleave, a session starts once, ends once, in
    /// this order, and leaves nothing.
    #[test]
    fn one_start_one_end_whatever_the_order(
        steps in prop::collection::vec(0usize..3, 0..12),
        named_at in 0usize..12,
        listed_at in 0usize..12,
        status in 0i32..256,
    ) {
        let mut tracker = Tracker::default();
        let mut index = synced([pod_before()]);
        let mut all = Vec::new();
        let end = EndSeen { at: seconds(21), late: false, status: crate::record::WaitStatus(status << 8), oom_victim: false };
        let stages = [made(), running(), Observation { end: Some(end), ..running() }];
        let mut stage = 0;
        for (n, step) in steps.iter().enumerate() {
            if n == listed_at {
                index.observe(PodEvent::Applied(Box::new(pod())), seconds(12));
                all.extend(said(&tracker.review(&index, seconds(12))));
            }
            stage = stage.max(*step);
            let facts = if n >= named_at { runtime("dbg") } else { None };
            all.extend(observe(&mut tracker, stages[stage].clone(), facts, &index));
        }
        index.observe(PodEvent::Applied(Box::new(pod())), seconds(12));
        all.extend(observe(&mut tracker, removed(stages[2].clone()), runtime("dbg"), &index));
        for now in [12, 30, 40] {
            all.extend(said(&tracker.review(&index, seconds(now))));
        }
        let is_report = |said: &Said| matches!(said, Said::Started | Said::Ended | Said::Closed(_));
        let reports: Vec<_> = all.into_iter().filter(is_report).collect();
        prop_assert_eq!(reports, [Said::Started, Said::Ended, Said::Closed(0)]);
        prop_assert_eq!(tracker.cgroups().count(), 0);
    }
}
