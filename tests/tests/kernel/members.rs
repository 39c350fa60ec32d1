//! What is done in a session: programs, who comes and goes, what it takes.

#[path = "members/coming_and_going.rs"]
mod coming_and_going;
#[path = "members/programs.rs"]
mod programs;
#[path = "members/usage.rs"]
mod usage;

use std::process::Child;

use debugtrail::kernel::{LoadOptions, Observation};

use crate::support::{RingEvents, TestCgroup, Tracer, wait};

/// A tracer that reads arguments, and a session in which a script runs to its end.
fn session(script: &str) -> (RingEvents, Observation) {
    let mut tracer = Tracer::with(LoadOptions { with_args: true, ..LoadOptions::default() });
    let cgroup = TestCgroup::new("members");
    tracer.track(&cgroup);
    let mut main = cgroup.main("/bin/sh", &["-c", script]);
    over(&mut tracer, &cgroup, &mut main)
}

/// Waits for the end of a session, and takes all that was reported.
fn over(tracer: &mut Tracer, cgroup: &TestCgroup, main: &mut Child) -> (RingEvents, Observation) {
    wait(main);
    let seen = tracer.await_entry(cgroup.id, |seen| {
        seen.end.is_some() && seen.main_used.is_some() && seen.members_used.processes == seen.members.all
    });
    (tracer.read_ring(), seen)
}
