//! Ends of processes among others.

use std::io::ErrorKind;
use std::process::Command;
use std::time::{Duration, Instant};

use debugtrail_tests::clone::{self, Birth, Reaped};

use super::run;
use crate::support::{ENDING, TestCgroup, Tracer, wait};

#[test]
fn a_main_process_that_only_lives_a_moment() {
    let mut tracer = Tracer::new();
    for _ in 0..50 {
        let (status, _) = run(&mut tracer, "/bin/true", &[]);
        assert_eq!(status.0, 0);
    }
}

#[test]
fn many_at_once_are_each_seen() {
    let mut tracer = Tracer::new();
    let cgroups: Vec<TestCgroup> = (0..32).map(|_| TestCgroup::new("many")).collect();
    let mut mains: Vec<_> = cgroups
        .iter()
        .enumerate()
        .map(|(code, cgroup)| cgroup.main("/bin/sh", &["-c", &format!("exit {code}")]))
        .collect();
    for (code, (cgroup, main)) in cgroups.iter().zip(&mut mains).enumerate() {
        let status = wait(main);
        let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
        assert_eq!(status.0, (code as i32) << 8);
        assert_eq!(seen.end.map(|end| end.status), Some(status));
    }
    let events = tracer.read_ring();
    for cgroup in &cgroups {
        assert_eq!(events.ends_in(cgroup), 1);
    }
}

#[test]
fn a_container_that_never_execs_has_no_main_process() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("never");
    // What a runtime's init does when the command is not found: enter, and end without an exec.
    let failed = cgroup.try_spawn(Command::new("/no/such/command"), true);
    assert!(failed.is_err());
    cgroup.remove();
    let seen = tracer.await_entry(cgroup.id, |seen| seen.removed.is_some());
    assert!(seen.entered);
    assert_eq!((seen.main, seen.end), (None, None));
}

#[test]
fn a_child_of_vfork_is_a_member_and_not_the_end() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("vfork");
    tracer.track(&cgroup);
    let status = wait(&mut cgroup.main(ENDING, &["vfork"]));
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), 14 << 8));
    let events = tracer.read_ring();
    assert_eq!(events.ends_in(&cgroup), 1);
    assert_eq!(events.members.iter().map(|member| member.status.0).collect::<Vec<_>>(), [13 << 8]);
}

#[test]
fn a_daemon_outlives_its_main_process() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("daemon");
    tracer.track(&cgroup);
    // Forked twice, in a session of its own, until this test ends its standard input.
    let script = "(setsid sh -c 'read line; exit 19' <&3 &) 3<&0; exit 20";
    let mut main = cgroup.main("/bin/sh", &["-c", script]);
    let input = main.stdin.take();
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), 20 << 8));
    let mut events = tracer.read_ring();
    assert_eq!(events.ends_in(&cgroup), 1);
    let of_daemon =
        |code: i32| move |member: &debugtrail::kernel::event::MemberEnded| member.status.0 == code;
    assert!(!events.members.iter().any(of_daemon(19 << 8)), "{events:?}");
    drop(input);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !events.members.iter().any(of_daemon(19 << 8)) {
        assert!(Instant::now() < deadline, "the daemon's end was not reported");
        std::thread::yield_now();
        events = tracer.read_ring();
    }
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut tracer = Tracer::new();
    // Another process of this machine may get the pid first.
    let reused = (0..50).any(|_| {
        let (first, second) = (TestCgroup::new("first"), TestCgroup::new("second"));
        tracer.track(&first);
        let mut main = first.main("/bin/sh", &["-c", "exit 15"]);
        let pid = main.id();
        wait(&mut main);
        tracer.read_ring();
        // SAFETY: the child only ends.
        let stranger = unsafe { clone::run(Birth { pid: Some(pid), cgroup: None }, || 16) };
        let again = second.clone_into_as(Some(pid), "/bin/sh", &["-c", "exit 17"]);
        let (stranger, again) = match (stranger, again) {
            (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::AlreadyExists => return false,
            (stranger, again) => (stranger.expect("a stranger"), again.expect("another main process")),
        };
        assert_eq!((stranger, again), (Reaped { pid, status: 16 << 8 }, Reaped { pid, status: 17 << 8 }));
        let end_in = |cgroup: &TestCgroup| {
            let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
            (seen.main.map(|main| main.pid.0), seen.end.map(|end| end.status.0))
        };
        assert_eq!(end_in(&first), (Some(pid), Some(15 << 8)));
        assert_eq!(end_in(&second), (Some(pid), Some(17 << 8)));
        let events = tracer.read_ring();
        assert_eq!((events.ends_in(&first), events.ends_in(&second), events.members), (0, 1, Vec::new()));
        true
    });
    assert!(reused, "the pid was always taken");
}
