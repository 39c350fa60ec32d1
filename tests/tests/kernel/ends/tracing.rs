//! Ends of processes that another process has stopped: by ptrace, by the freezer.

use std::fs;
use std::time::{Duration, Instant};

use debugtrail::kernel::{Killer, Observation};
use debugtrail::record::WaitStatus;

use crate::support::{ENDING, TestCgroup, Tracer, wait};

/// Traces a main process with ptrace, sends it SIGTERM and delivers another signal instead, or none.
fn traced(instead: i32) -> (WaitStatus, Observation) {
    let (tracer, cgroup) = (Tracer::new(), TestCgroup::new("traced"));
    let mut main = cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line; exit 18"]);
    let pid = main.id() as i32;
    // SAFETY: system calls on a child of this thread; the status is on this stack.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0), 0);
        assert_eq!(libc::kill(pid, libc::SIGTERM), 0);
        let mut stop = 0;
        assert_eq!(libc::waitpid(pid, &raw mut stop, 0), pid);
        assert!(libc::WIFSTOPPED(stop) && libc::WSTOPSIG(stop) == libc::SIGTERM, "{stop:#x}");
        assert_eq!(libc::ptrace(libc::PTRACE_CONT, pid, 0, instead), 0);
    }
    drop(main.stdin.take());
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.end.map(|end| end.status), Some(status));
    (status, seen)
}

#[test]
fn a_signal_that_ptrace_delivers_keeps_its_sender() {
    let (status, seen) = traced(libc::SIGTERM);
    assert_eq!(status.0, libc::SIGTERM);
    match seen.killer {
        Some(Killer::Process(sender)) => assert_eq!(sender.pid.0, std::process::id()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signal_that_ptrace_suppresses_ends_nothing() {
    let (status, seen) = traced(0);
    // As far as the kernel shows, it may have been handled.
    assert!(matches!(seen.killer, Some(Killer::Asked(_))), "{seen:?}");
    assert_eq!(status.0, 18 << 8);
}

#[test]
fn a_signal_that_ptrace_replaces_has_another_sender() {
    let (status, seen) = traced(libc::SIGUSR1);
    assert_eq!((status.0, seen.killer), (libc::SIGUSR1, None));
}

#[test]
fn a_frozen_process_that_is_killed_ends() {
    let (mut tracer, cgroup) = (Tracer::new(), TestCgroup::new("frozen"));
    let mut main = cgroup.ready_main(ENDING, &["term-blocked"]);
    fs::write(cgroup.dir.join("cgroup.freeze"), "1").expect("cgroups of v2 can be frozen");
    let deadline = Instant::now() + Duration::from_secs(10);
    let events = cgroup.dir.join("cgroup.events");
    while !fs::read_to_string(&events).expect("readable").contains("frozen 1") {
        assert!(Instant::now() < deadline, "not frozen");
        std::thread::yield_now();
    }
    main.kill().expect("it lives");
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), libc::SIGKILL));
    assert!(matches!(seen.killer, Some(Killer::Process(sender)) if sender.pid.0 == std::process::id()));
    assert_eq!(tracer.read_ring().ends_in(&cgroup), 1);
}
