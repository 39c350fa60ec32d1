//! Sessions that ran before this agent did.

use super::*;
use crate::clock::{ClockState, SessionTimes};
use crate::ids::BootId;
use crate::kernel::MainSeen;
use crate::record::{Evidence, KernelEvidence, SessionId};
use crate::session::samples::{ended, id, place, pod, running, runtime, seconds, synced};

/// The session as an agent that is gone now saw it begin, at second 11.
fn remembered(reported: bool) -> Remembered {
    let clock = ClockState { boot_id: BootId::new("b0"), synchronized: None, max_error_us: None };
    let evidence = Evidence::of_kernel(KernelEvidence::Full);
    let started = SessionRecord {
        times: SessionTimes { started_boot_ns: Some(seconds(11)), ..SessionTimes::default() },
        ..SessionRecord::started(SessionId::of_container(&id()), evidence, clock)
    };
    Remembered { started, reported, processes: Reported::default() }
}

fn found_running(seen: Observation) -> Observation {
    let main = seen.main.map(|main| MainSeen { execed: None, ..main });
    Observation { found_running: true, main, ..seen }
}

#[test]
fn a_session_found_running_reports_no_start() {
    let (mut tracker, index) = (Tracker::default(), synced([pod()]));
    assert_eq!(
        observe(&mut tracker, found_running(running()), runtime("dbg"), &index),
        [Said::Track(77, 77)]
    );
    assert_eq!(observe(&mut tracker, found_running(ended()), None, &index), [Said::Ended]);
}

#[test]
fn a_remembered_start_is_reported_once() {
    let index = synced([pod()]);
    for (reported, expected) in
        [(true, vec![Said::Track(77, 77)]), (false, vec![Said::Track(77, 77), Said::Started])]
    {
        let mut tracker = Tracker::default();
        tracker.remember([remembered(reported)]);
        assert_eq!(observe(&mut tracker, found_running(running()), runtime("dbg"), &index), expected);
        assert!(tracker.take_remembered().is_empty() && tracker.follows(&id()));
        let actions = tracker.observe(found_running(ended()), &place(), None, None, &index, seconds(21));
        let [Action::Ended(container)] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!(container.execed(), Some(seconds(11)));
    }
}

#[test]
fn remembered_sessions_that_are_not_found_are_given_back() {
    let mut tracker = Tracker::default();
    tracker.remember([remembered(true)]);
    assert_eq!(tracker.take_remembered().len(), 1);
    assert!(!tracker.follows(&id()));
}
