//! What was done in a session.

use super::*;
use crate::kernel::Members;
use crate::kernel::event::{Executed, Process};
use crate::session::samples::{
    ended, made, member_ended, place, pod, pod_before, program_executed, removed, running, runtime, seconds,
    synced,
};

#[test]
fn processes_are_reported_at_a_review_or_when_many() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    tracker.executed(program_executed(7, "/bin/ls"));
    assert_eq!(said(&tracker.member_ended(member_ended(7))), []);
    assert_eq!(said(&tracker.review(&index, seconds(13))), [Said::Processes(0, 1)]);
    let said_now: Vec<_> = (0..32).flat_map(|pid| said(&tracker.member_ended(member_ended(pid)))).collect();
    assert_eq!(said_now, [Said::Processes(1, 32)]);
}

#[test]
fn processes_wait_for_the_name_and_go_without_a_session() {
    let (mut tracker, mut index) = (Tracker::default(), synced([pod_before()]));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    tracker.member_ended(member_ended(7));
    assert_eq!(said(&tracker.review(&index, seconds(13))), []);
    index.observe(PodEvent::Applied(Box::new(pod())), seconds(13));
    let said_now = said(&tracker.review(&index, seconds(14)));
    assert_eq!(said_now, [Said::Track(77, 77), Said::Started, Said::Processes(0, 1)]);
    let mut other = Tracker::default();
    observe(&mut other, running(), runtime("app"), &index);
    other.member_ended(member_ended(7));
    assert_eq!(said(&other.review(&index, seconds(14))), []);
}

#[test]
fn processes_of_an_ordinary_container_are_not_reported() {
    let policy = Policy { all_containers: true, ..Policy::default() };
    let (mut tracker, index) = (Tracker::new(policy), synced([pod()]));
    observe(&mut tracker, running(), runtime("app"), &index);
    tracker.member_ended(member_ended(7));
    assert_eq!(said(&tracker.review(&index, seconds(13))), []);
    assert_eq!(observe(&mut tracker, removed(ended()), None, &index), [Said::Ended]);
    assert_eq!(close(&mut tracker, &index), [Said::Forget(77)]);
}

#[test]
fn the_main_processs_arguments_are_those_of_its_first_program() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, made(), runtime("dbg"), &index);
    let main = running().main.expect("a main process");
    let process = Process { pid: main.pid, forked: main.forked };
    tracker.executed(Executed { process, at: seconds(11), ..program_executed(0, "/bin/sh") });
    let started = tracker.observe(running(), &place(), None, None, &index, seconds(12));
    let Some(Action::Started(container)) = started.first() else { panic!("{started:?}") };
    assert_eq!(container.main_args.as_ref().map(|args| args.words().len()), Some(2));
}

/// Its entry is read for an event of before its exec, when all of it is over.
#[test]
fn a_short_session_waits_for_its_arguments() {
    let policy = Policy { with_args: true, ..Policy::default() };
    let (mut tracker, index) = (Tracker::new(policy), synced([pod()]));
    assert_eq!(observe(&mut tracker, ended(), runtime("dbg"), &index), [Said::Track(77, 77)]);
    assert_eq!(said(&tracker.read_on(&index, seconds(22))), []);
    let main = running().main.expect("a main process");
    let process = Process { pid: main.pid, forked: main.forked };
    tracker.executed(Executed { process, at: seconds(11), ..program_executed(0, "/bin/sh") });
    let actions = tracker.read_on(&index, seconds(22));
    assert_eq!(said(&actions), [Said::Started, Said::Ended]);
    let Some(Action::Ended(container)) = actions.last() else { panic!("{actions:?}") };
    assert!(container.main_args.is_some());
}

#[test]
fn arguments_that_the_ring_lost_are_not_waited_for() {
    let policy = Policy { with_args: true, ..Policy::default() };
    let (mut tracker, index) = (Tracker::new(policy), synced([pod()]));
    observe(&mut tracker, ended(), runtime("dbg"), &index);
    tracker.ring_read_until(seconds(12));
    assert_eq!(said(&tracker.read_on(&index, seconds(22))), [Said::Started, Said::Ended]);
}

#[test]
fn processes_without_room_are_counted_at_the_end() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    observe(&mut tracker, running(), runtime("dbg"), &index);
    for pid in 0..8200 {
        tracker.executed(Executed { at: seconds(u64::from(pid)), ..program_executed(pid, "/bin/sleep") });
    }
    assert!(tracker.held_bytes() > 0);
    tracker.observe(removed(ended()), &place(), None, None, &index, seconds(22));
    tracker.review(&index, seconds(30));
    let closed = tracker.review(&index, seconds(40));
    let totals = closed.iter().find_map(|action| match action {
        Action::Closed(_, totals) => Some(totals.programs_dropped),
        _ => None,
    });
    assert_eq!((totals, tracker.held_bytes()), (Some(8), 0));
}

/// In a storm of another session the ring may be behind for as long as it lasts.
#[test]
fn a_session_is_not_closed_before_the_ring_was_read_so_far() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    let seen = Observation { members: Members { all: 1, ended: 1, ..Members::default() }, ..ended() };
    tracker.ring_read_until(seconds(29));
    observe(&mut tracker, removed(seen), runtime("dbg"), &index);
    for now in [30, 40, 50] {
        assert_eq!(said(&tracker.review(&index, seconds(now))), []);
    }
    assert_eq!(said(&tracker.member_ended(member_ended(7))), []);
    tracker.ring_read_until(seconds(31));
    assert_eq!(
        said(&tracker.review(&index, seconds(51))),
        [Said::Processes(0, 1), Said::Closed(1), Said::Forget(77)]
    );
}
