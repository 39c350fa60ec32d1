//! How a main process ended, against the parent's own waitpid.

use std::process::Command;

use debugtrail::{kernel::Observation, record::WaitStatus};

use crate::support::{ENDING, TestCgroup, Witness, now, wait};

/// Runs a main process to its end; gives the parent's word and the kernel's.
fn run(program: &str, args: &[&str]) -> (WaitStatus, Observation) {
    run_before(&Witness::new(), program, args)
}

fn run_before(witness: &Witness, program: &str, args: &[&str]) -> (WaitStatus, Observation) {
    let cgroup = TestCgroup::new("end");
    let mut main = cgroup.main(program, args);
    let pid = main.id();
    let status = wait(&mut main);
    let seen = witness.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.as_ref().map(|main| main.pid.0), Some(pid));
    (status, seen)
}

/// The kernel's word is the parent's, and it is what was asked for.
fn assert_end(program: &str, args: &[&str], expected: i32) {
    let (status, seen) = run(program, args);
    assert_eq!(status.0, expected, "what {program} {args:?} really did");
    assert_eq!(seen.end.map(|end| end.status), Some(status), "what the kernel said of {program} {args:?}");
}

#[test]
fn an_end_has_its_times_and_its_process() {
    let witness = Witness::new();
    let cgroup = TestCgroup::new("times");
    let before = now();
    let mut main = cgroup.main("/bin/sh", &["-c", "sleep 0.1; exit 42"]);
    let (pid, status) = (main.id(), wait(&mut main));
    let after = now();
    let seen = witness.await_entry(cgroup.id, |seen| seen.end.is_some());
    let (main, end) = (seen.main.expect("a main process"), seen.end.expect("its end"));
    assert_eq!((main.pid.0, main.comm.as_str(), main.filename.as_deref()), (pid, "sh", Some("/bin/sh")));
    assert_eq!((end.status, status.0), (status, 42 << 8));
    assert!(!end.late && !end.oom_victim);
    let execed = main.execed.expect("its exec");
    assert!(before < main.forked && main.forked < execed && execed < end.at && end.at < after);
    assert!(end.at.since(execed).as_millis() >= 100, "the shell slept for 100 ms");
}

#[test]
fn exit_codes() {
    for code in [0, 1, 42, 137, 255] {
        assert_end("/bin/sh", &["-c", &format!("exit {code}")], code << 8);
    }
}

#[test]
fn fatal_signals() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1] {
        assert_end("/bin/sh", &["-c", &format!("kill -{signal} $$")], signal);
    }
}

#[test]
fn a_signal_that_dumps_core() {
    let (status, seen) = run("/bin/sh", &["-c", "ulimit -c 0; kill -SEGV $$"]);
    assert_eq!(status.0 & 0x7f, libc::SIGSEGV);
    assert_eq!(seen.end.map(|end| end.status), Some(status));
}

#[test]
fn the_group_ends_from_another_thread() {
    assert_end(ENDING, &["thread-exits-group"], 7 << 8);
}

#[test]
fn a_zombie_leader_ends_when_its_threads_do() {
    let (status, seen) = run(ENDING, &["zombie-leader"]);
    assert_eq!(status.0, 3 << 8);
    assert_eq!(seen.end.map(|end| end.status), Some(status));
    let execed = seen.main.and_then(|main| main.execed).expect("its exec");
    let lived = seen.end.expect("its end").at.since(execed);
    assert!(
        lived.as_millis() >= 100,
        "the thread lived for 100 ms after the leader; the end came after {lived:?}"
    );
}

#[test]
fn threads_that_end_one_by_one() {
    // 5.10 says 5, later kernels 7: the parent's word is what counts.
    let (status, seen) = run(ENDING, &["threads-exit-one-by-one"]);
    assert_eq!(seen.end.map(|end| end.status), Some(status));
}

#[test]
fn threads_that_race_to_end_the_group() {
    let witness = Witness::new();
    for _ in 0..20 {
        let (status, seen) = run_before(&witness, ENDING, &["threads-race"]);
        assert_eq!(seen.end.map(|end| end.status), Some(status));
    }
}

#[test]
fn an_exec_from_another_thread_is_the_same_process() {
    assert_end(ENDING, &["thread-execs"], 9 << 8);
}

#[test]
fn a_main_process_that_only_lives_a_moment() {
    let witness = Witness::new();
    for _ in 0..50 {
        let (status, seen) = run_before(&witness, "/bin/true", &[]);
        assert_eq!((status.0, seen.end.map(|end| end.status)), (0, Some(status)));
    }
}

#[test]
fn many_at_once_are_each_seen() {
    let witness = Witness::new();
    let cgroups: Vec<TestCgroup> = (0..32).map(|_| TestCgroup::new("many")).collect();
    let mut mains: Vec<_> = cgroups
        .iter()
        .enumerate()
        .map(|(code, cgroup)| cgroup.main("/bin/sh", &["-c", &format!("exit {code}")]))
        .collect();
    for (code, (cgroup, main)) in cgroups.iter().zip(&mut mains).enumerate() {
        let status = wait(main);
        let seen = witness.await_entry(cgroup.id, |seen| seen.end.is_some());
        assert_eq!(status.0, (code as i32) << 8);
        assert_eq!(seen.end.map(|end| end.status), Some(status));
    }
}

#[test]
fn a_container_that_never_execs_has_no_main_process() {
    let witness = Witness::new();
    let cgroup = TestCgroup::new("never");
    // What a runtime's init does when the command is not found: enter, and end without an exec.
    let failed = cgroup.try_spawn(Command::new("/no/such/command"), true);
    assert!(failed.is_err());
    cgroup.remove();
    let seen = witness.await_entry(cgroup.id, |seen| seen.removed.is_some());
    assert!(seen.entered);
    assert_eq!((seen.main, seen.end), (None, None));
}
