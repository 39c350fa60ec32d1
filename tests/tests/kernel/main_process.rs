//! Which exec is the main process's.

use std::process::Command;

use crate::support::{TestCgroup, Tracer, wait};

#[test]
fn a_helper_on_the_hosts_mount_namespace_is_not_main() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("helper");
    let mut helper = Command::new("/bin/sh");
    helper.args(["-c", "exit 3"]);
    wait(&mut cgroup.spawn(helper, false));
    let mut main = cgroup.main("/bin/sh", &["-c", "exit 4"]);
    let pid = main.id();
    wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.map(|main| main.pid.0), Some(pid));
    assert_eq!(seen.end.map(|end| end.status.0), Some(4 << 8));
}

#[test]
fn a_hook_whose_parent_is_inside_is_not_main() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("hook");
    // A runtime's init, inside and not yet exec'ed, runs a hook in the container's mount namespace, and the hook
    // makes one of its own on top.
    let mut main = cgroup.main_after("/bin/sh", &["-c", "exit 5"], |inside| {
        let hook = Command::new("/usr/bin/unshare").args(["--mount", "/bin/sh", "-c", "exit 1"]).status();
        assert_eq!(hook.expect("a hook can be run").code(), Some(1), "in {inside}");
    });
    let pid = main.id();
    wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.map(|main| main.pid.0), Some(pid));
    assert_eq!(seen.end.map(|end| end.status.0), Some(5 << 8));
}

#[test]
fn a_process_that_enters_later_is_not_main() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("entry");
    let mut main = cgroup.main("/bin/sh", &["-c", "read line; exit 6"]);
    let pid = main.id();
    tracer.await_entry(cgroup.id, |seen| seen.main.is_some());
    wait(&mut cgroup.main("/bin/sh", &["-c", "exit 7"]));
    drop(main.stdin.take());
    wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.map(|main| main.pid.0), Some(pid));
    assert_eq!(seen.end.map(|end| end.status.0), Some(6 << 8));
}

#[test]
fn a_main_process_that_execs_again_stays_main() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("again");
    wait(&mut cgroup.main("/bin/sh", &["-c", "exec /bin/sh -c 'exec sh -c \"exit 8\"'"]));
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.end.map(|end| end.status.0), Some(8 << 8));
}

#[test]
fn a_main_process_that_moves_stays_main() {
    let tracer = Tracer::new();
    let (cgroup, elsewhere) = (TestCgroup::new("from"), TestCgroup::new("to"));
    let procs = elsewhere.dir.join("cgroup.procs");
    let script = format!("echo $$ > {}; exit 9", procs.display());
    wait(&mut cgroup.main("/bin/sh", &["-c", &script]));
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.end.map(|end| end.status.0), Some(9 << 8));
    let other = tracer.kernel.observation(elsewhere.id).expect("the entry can be read");
    assert_eq!(other.and_then(|seen| seen.main), None);
}

#[test]
fn a_process_born_in_the_cgroup_is_main() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("clone");
    let pid = cgroup.clone_into("/bin/sh", &["-c", "exit 11"]);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.map(|main| main.pid.0), Some(pid));
    assert_eq!(seen.end.map(|end| end.status.0), Some(11 << 8));
}
