//! Who comes into a session from outside, and who leaves it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use debugtrail::kernel::event::{MemberEnded, Origin};
use debugtrail::kernel::{Running, RunningMain};

use super::over;
use crate::support::{ENDING, TestCgroup, Tracer, now, wait};

/// A session whose main process waits for the end of its standard input.
fn waiting(tracer: &mut Tracer, cgroup: &TestCgroup) -> Child {
    tracer.track(cgroup);
    cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line; exit 3"])
}

fn sh(script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]);
    shell
}

/// How they came, with which code they ended, in that order.
fn ways(members: &[MemberEnded]) -> Vec<(Origin, i32)> {
    members.iter().map(|member| (member.origin, member.status.0 >> 8)).collect()
}

/// Starts a program in the mount namespace of a process, and nowhere else: what nsenter does.
fn enter_namespace_of(process: u32, mut command: Command) -> Child {
    let namespace = File::open(format!("/proc/{process}/ns/mnt")).expect("root may");
    // SAFETY: only a system call, on a descriptor that is open.
    unsafe {
        command.pre_exec(move || match libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    command.spawn().expect("a process can be started")
}

#[test]
fn moving_into_the_cgroup_is_entering_and_forking_is_not() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("exec");
    let mut main = waiting(&mut tracer, &cgroup);
    // As a runtime does for `kubectl exec`.
    let mut entering = cgroup.spawn(sh("(exit 4); exit 5"), false);
    wait(&mut entering);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!(ways(&events.members), [(Origin::Forked, 4), (Origin::Attached, 5)]);
    let entered = &events.members[1];
    assert_eq!((entered.process.pid.0, entered.parent.0), (entering.id(), std::process::id()));
    assert!(entered.since > entered.process.forked && entered.since < entered.ended);
    assert_eq!((seen.members.all, seen.members.entered, seen.members.left), (2, 1, 0));
}

#[test]
fn a_child_born_inside_of_a_parent_outside_has_entered() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("born");
    let mut main = waiting(&mut tracer, &cgroup);
    cgroup.clone_and_exit(6);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!(ways(&events.members), [(Origin::ClonedInto, 6)]);
    assert_eq!((seen.members.all, seen.members.entered), (1, 1));
}

#[test]
fn executing_in_the_mount_namespace_is_entering() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("nsenter");
    let mut main = waiting(&mut tracer, &cgroup);
    let mut entering = enter_namespace_of(main.id(), sh("(exit 7); exit 8"));
    wait(&mut entering);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!(ways(&events.members), [(Origin::Forked, 7), (Origin::Namespace, 8)]);
    assert_eq!(events.members[1].process.pid.0, entering.id());
    // It was never in the cgroup, so it can't have left it.
    assert_eq!((seen.members.all, seen.members.entered, seen.members.left), (2, 1, 0));
}

#[test]
fn the_namespace_of_a_session_found_running_is_known_too() {
    let cgroup = TestCgroup::new("found");
    let mut main = cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line; exit 3"]);
    let mut tracer = Tracer::fresh();
    let pid = debugtrail::ids::Pid(main.id());
    let running =
        Running { cgroup: cgroup.id, path: "/found".into(), main: RunningMain::Is(pid), entered: true };
    tracer.kernel.take_in(&[running], now()).expect("what runs can be taken in");
    tracer.track(&cgroup);
    wait(&mut enter_namespace_of(main.id(), sh("exit 9")));
    let (events, _) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!(ways(&events.members), [(Origin::Namespace, 9)]);
}

#[test]
fn a_namespace_made_after_a_sessions_is_gone_is_none_of_it() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("gone");
    let mut main = waiting(&mut tracer, &cgroup);
    drop(main.stdin.take());
    wait(&mut main);
    tracer.await_entry(cgroup.id, |seen| seen.end.is_some() && seen.main_used.is_some());
    // The kernel gives a namespace's number again at once.
    for _ in 0..40 {
        wait(&mut sh("unshare -m sh -c 'true; exit 0'").spawn().expect("a process can be started"));
    }
    let seen = tracer.await_entry(cgroup.id, |_| true);
    assert_eq!((seen.members.all, seen.members.entered), (0, 0));
    assert!(tracer.members().is_empty());
}

#[test]
fn a_process_of_no_session_enters_none() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("other");
    let mut main = waiting(&mut tracer, &cgroup);
    wait(&mut sh("unshare -m true; (exit 9); exit 10").spawn().expect("a process can be started"));
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!((ways(&events.members), seen.members.all), (Vec::new(), 0));
}

#[test]
fn moving_to_another_cgroup_is_leaving_and_staying_a_member() {
    let elsewhere = TestCgroup::new("elsewhere");
    let mut tracer = Tracer::fresh();
    let cgroup = TestCgroup::new("leaves");
    tracer.track(&cgroup);
    let script = format!(
        "sh -c 'echo $$ > {}; exit 11'; (exit 12); exit 3",
        elsewhere.dir.join("cgroup.procs").display()
    );
    let mut main = cgroup.main("/bin/sh", &["-c", &script]);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    let left: Vec<_> =
        events.members.iter().map(|member| (member.status.0 >> 8, member.left.cgroup)).collect();
    assert_eq!((left, seen.members.left), (vec![(11, true), (12, false)], 1));
}

#[test]
fn a_cgroup_below_the_sessions_own_is_inside() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("below");
    tracer.track(&cgroup);
    let below = cgroup.dir.join("below");
    let script =
        format!("mkdir {0}; sh -c 'echo $$ > {0}/cgroup.procs; exit 13'; rmdir {0}; exit 3", below.display());
    let mut main = cgroup.main("/bin/sh", &["-c", &script]);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!(seen.members.left, 0);
    let moved = events.members.iter().find(|member| member.status.0 >> 8 == 13).expect("it was reported");
    assert!(!moved.left.cgroup && moved.cgroup == cgroup.id);
}

#[test]
fn executing_in_another_mount_namespace_is_leaving() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("unshare");
    tracer.track(&cgroup);
    let mut main = cgroup.main("/bin/sh", &["-c", "unshare -m sh -c 'exit 14'; (exit 15); exit 3"]);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    let left: Vec<_> =
        events.members.iter().map(|member| (member.status.0 >> 8, member.left.mount_namespace)).collect();
    assert_eq!((left, seen.members.left), (vec![(14, true), (15, false)], 1));
}

#[test]
fn processes_before_the_main_one_are_the_runtimes() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("runtime");
    tracer.track(&cgroup);
    // A process in the cgroup that ends before any main process comes.
    cgroup.clone_and_exit(16);
    let mut main = cgroup.main("/bin/sh", &["-c", "exit 3"]);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!((events.members.len(), seen.members.all, seen.members.runtime), (0, 0, 1));
}

#[test]
fn without_a_reader_only_claimed_cgroups_report_members() {
    let mut tracer = Tracer::new();
    let (claimed, unclaimed) = (TestCgroup::new("claimed"), TestCgroup::new("unclaimed"));
    tracer.track(&claimed);
    tracer.kernel.read_until(debugtrail::ids::BootNanos(0)).expect("it can be said");
    for (cgroup, expected) in [(&unclaimed, 0), (&claimed, 1)] {
        let mut main = cgroup.main("/bin/sh", &["-c", "(exit 17); exit 3"]);
        let (events, seen) = over(&mut tracer, cgroup, &mut main);
        assert_eq!((events.members.len(), events.executed.len()), (expected, expected));
        // Counted all the same.
        assert_eq!((seen.members.all, seen.members.ended), (1, 1));
    }
}

#[test]
fn a_members_end_is_reported_once_when_threads_race() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("race");
    tracer.track(&cgroup);
    // What the racing process's parent got is the parent's own code.
    let race = |way: &str| format!("({ENDING} {way}; exit $?); ({ENDING} {way}; exit $?); ");
    let script = format!("{}{} exit 3", race("threads-race"), race("threads-race-alone"));
    let mut main = cgroup.main("/bin/sh", &["-c", &script]);
    let (events, seen) = over(&mut tracer, &cgroup, &mut main);
    assert_eq!((events.members.len(), seen.members.all, seen.members.ended), (8, 8, 8));
    for pair in events.members.chunks(2) {
        assert_eq!(pair[0].status, pair[1].status, "{pair:#?}");
    }
}
