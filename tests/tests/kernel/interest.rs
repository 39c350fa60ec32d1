//! What the hooks skip without a lookup: never anything of a session.

use std::process::{Child, Command};

use debugtrail::ids::Pid;
use debugtrail::kernel::{Running, RunningMain};

use crate::support::{ENDING, TestCgroup, Tracer, now, wait};

/// How the members ended, in that order.
fn codes(tracer: &mut Tracer) -> Vec<i32> {
    tracer.members().iter().map(|member| member.status.0 >> 8).collect()
}

/// A shell as main process of a tracked cgroup; its script can name another cgroup's `$procs`.
fn session(tracer: &mut Tracer, cgroup: &TestCgroup, other: &TestCgroup, script: &str) -> Child {
    tracer.track(cgroup);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).env("procs", other.dir.join("cgroup.procs"));
    cgroup.spawn(shell, true)
}

#[test]
fn a_process_that_leaves_stays_a_member_with_its_children() {
    // Made before there was a tracer, which then knows nothing of it.
    let elsewhere = TestCgroup::new("elsewhere");
    let mut tracer = Tracer::fresh();
    let cgroup = TestCgroup::new("left");
    let script = "sh -c 'echo $$ > $procs; sh -c \"exit 21\"; (exit 22); exit 23'; exit 24";
    let mut main = session(&mut tracer, &cgroup, &elsewhere, script);
    assert_eq!(wait(&mut main).0, 24 << 8);
    assert_eq!(codes(&mut tracer), [21, 22, 23]);
}

#[test]
fn a_main_process_that_leaves_has_its_end_and_its_children() {
    let elsewhere = TestCgroup::new("elsewhere");
    let mut tracer = Tracer::fresh();
    let cgroup = TestCgroup::new("left");
    let mut main = session(&mut tracer, &cgroup, &elsewhere, "echo $$ > $procs; (exit 25); exit 26");
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), 26 << 8));
    assert!(!seen.end.is_some_and(|end| end.late));
    assert_eq!(codes(&mut tracer), [25]);
}

#[test]
fn a_child_born_elsewhere_is_a_member_with_its_children() {
    let elsewhere = TestCgroup::new("elsewhere");
    let mut tracer = Tracer::fresh();
    let cgroup = TestCgroup::new("parent");
    tracer.track(&cgroup);
    let path = elsewhere.dir.display().to_string();
    assert_eq!(wait(&mut cgroup.main(ENDING, &["child-elsewhere", &path])).0, 42 << 8);
    assert_eq!(codes(&mut tracer), [22, 23]);
}

#[test]
fn an_earlier_process_of_a_members_new_cgroup_is_no_member() {
    let elsewhere = TestCgroup::new("elsewhere");
    let mut tracer = Tracer::fresh();
    let cgroup = TestCgroup::new("beside");
    let mut main = session(&mut tracer, &cgroup, &elsewhere, "echo $$ > $procs; read line");
    elsewhere.await_process(main.id());
    let mut other = Command::new("/bin/sh");
    other.args(["-c", "sh -c 'exit 27'; exit 28"]);
    wait(&mut elsewhere.spawn(other, false));
    drop(main.stdin.take());
    wait(&mut main);
    assert_eq!(codes(&mut tracer), Vec::<i32>::new());
}

#[test]
fn of_many_cgroups_none_hides_another() {
    let mut tracer = Tracer::new();
    let cgroups: Vec<_> = (0..300).map(|_| TestCgroup::new("many")).collect();
    let each = cgroups.iter().step_by(29).chain(cgroups.last());
    for (code, cgroup) in each.enumerate() {
        tracer.track(cgroup);
        let script = format!("(exit {code}); exit {code}");
        let status = wait(&mut cgroup.main("/bin/sh", &["-c", &script]));
        let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
        assert_eq!((seen.end.map(|end| end.status), status.0 >> 8), (Some(status), code as i32));
        assert_eq!(codes(&mut tracer), [code as i32]);
    }
}

#[test]
fn nothing_is_missed_after_everything_was_forgotten() {
    let mut tracer = Tracer::new();
    for code in 0..20 {
        let cgroup = TestCgroup::new("anew");
        tracer.track(&cgroup);
        let status = wait(&mut cgroup.main("/bin/sh", &["-c", &format!("(exit {code}); exit {code}")]));
        let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
        assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), code << 8));
        assert_eq!(codes(&mut tracer), [code]);
        for kept in tracer.kernel.cgroups().expect("readable") {
            tracer.kernel.forget(kept).expect("a cgroup can be forgotten");
        }
    }
}

#[test]
fn a_cgroup_found_running_keeps_its_members() {
    let cgroup = TestCgroup::new("found");
    let mut main = cgroup.main("/bin/sh", &["-c", "read line; (exit 31); exit 32"]);
    let mut tracer = Tracer::fresh();
    let is = RunningMain::Is(Pid(main.id()));
    let running = Running { cgroup: cgroup.id, path: "/found".into(), main: is, entered: true };
    tracer.kernel.take_in(&[running], now()).expect("what runs can be taken in");
    tracer.track(&cgroup);
    // Another cgroup begins and is forgotten meanwhile.
    let other = TestCgroup::new("other");
    tracer.kernel.forget(other.id).expect("a cgroup can be forgotten");
    drop(main.stdin.take());
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), 32 << 8));
    assert_eq!(codes(&mut tracer), [31]);
}

#[test]
fn a_cgroup_found_empty_gets_its_main_process() {
    let cgroup = TestCgroup::new("to-come");
    let mut tracer = Tracer::fresh();
    let running =
        Running { cgroup: cgroup.id, path: "/to-come".into(), main: RunningMain::ToCome, entered: true };
    tracer.kernel.take_in(&[running], now()).expect("what runs can be taken in");
    tracer.track(&cgroup);
    let pid = cgroup.clone_into("/bin/sh", &["-c", "(exit 33); exit 34"]);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.map(|main| main.pid.0), Some(pid));
    assert_eq!(seen.end.map(|end| end.status.0), Some(34 << 8));
    assert_eq!(codes(&mut tracer), [33]);
}
