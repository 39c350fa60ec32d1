//! What one session may take of the kernel's maps: cgroups and processes without number, and all others' room is theirs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use debugtrail::kernel::event::Origin;
use debugtrail_common::loss::Loss;

use crate::support::{ENDING, TestCgroup, Tracer, wait};

/// More than there is room for.
const CGROUPS: usize = 4200;
/// More than one session's processes may make elsewhere.
const MADE: usize = 200;
/// As the programs have it.
const AT_MOST: u64 = 128;
/// Processes of one session that have a place, as the programs have it: a quarter of all.
const PROCESSES_AT_MOST: u64 = 16_384;
/// Some more.
const PROCESSES: u64 = PROCESSES_AT_MOST + 100;

/// Cgroups below another, which go with this.
struct Below(Vec<PathBuf>);

impl Below {
    fn new(cgroup: &TestCgroup, count: usize) -> Self {
        let paths: Vec<_> = (0..count).map(|n| cgroup.dir.join(format!("d{n}"))).collect();
        for path in &paths {
            fs::create_dir(path).expect("a cgroup can be made");
        }
        Self(paths)
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Another session is seen from its beginning to its end.
fn another_is_whole(tracer: &mut Tracer) {
    let cgroup = TestCgroup::new("beside");
    tracer.track(&cgroup);
    let status = wait(&mut cgroup.main("/bin/sh", &["-c", "(exit 2); exit 3"]));
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), 3 << 8));
    assert_eq!((seen.members.all, seen.members.unkept), (1, 0));
    assert_eq!(tracer.kernel.loss().expect("loss can be read").of(Loss::Cgroup), 0);
}

#[test]
fn nothing_is_kept_of_cgroups_below_a_sessions_own() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("crowd");
    tracer.track(&cgroup);
    let mut main = cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line"]);
    let before = tracer.kernel.cgroups().expect("readable").len();
    let below = Below::new(&cgroup, CGROUPS);
    assert!(tracer.kernel.cgroups().expect("readable").len() < before + 100);
    another_is_whole(&mut tracer);
    drop(below);
    drop(main.stdin.take());
    wait(&mut main);
}

#[test]
fn nothing_is_kept_of_cgroups_below_a_container_of_no_interest() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("ordinary");
    tracer.kernel.settle(cgroup.id).expect("a cgroup can be settled");
    tracer.kernel.forget(cgroup.id).expect("a cgroup can be forgotten");
    let before = tracer.kernel.cgroups().expect("readable").len();
    let _below = Below::new(&cgroup, CGROUPS);
    assert!(tracer.kernel.cgroups().expect("readable").len() < before + 100);
    another_is_whole(&mut tracer);
}

#[test]
fn cgroups_over_a_sessions_bound_are_its_own_loss() {
    let mut tracer = Tracer::new();
    let (cgroup, elsewhere) = (TestCgroup::new("maker"), TestCgroup::new("elsewhere"));
    tracer.track(&cgroup);
    let paths: Vec<_> = (0..MADE).map(|n| elsewhere.dir.join(format!("d{n}"))).collect();
    let named: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut main = cgroup.main("/bin/sh", &["-c", &format!("mkdir {}; exit 4", named.join(" "))]);
    assert_eq!(wait(&mut main).0, 4 << 8);
    let _below = Below(paths);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.members.unkept, MADE as u64 - AT_MOST);
    another_is_whole(&mut tracer);
}

#[test]
fn processes_over_a_sessions_bound_are_its_own_loss() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("zombies");
    tracer.track(&cgroup);
    let mut main = cgroup.ready_main(ENDING, &["zombies", &PROCESSES.to_string()]);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.members.all == PROCESSES_AT_MOST);
    // A birth and an end each.
    assert_eq!(seen.members.unkept, 2 * (PROCESSES - PROCESSES_AT_MOST));
    another_is_whole(&mut tracer);
    drop(main.stdin.take());
    assert_eq!(wait(&mut main).0, 15 << 8);
}

#[test]
fn entering_a_cgroup_below_a_sessions_own_is_entering() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("entered");
    tracer.track(&cgroup);
    let mut main = cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line; exit 3"]);
    let below = Below::new(&cgroup, 1);
    let script = format!("echo $$ > {}; (exit 4); exit 5", below.0[0].join("cgroup.procs").display());
    wait(&mut Command::new("/bin/sh").args(["-c", &script]).spawn().expect("a shell"));
    drop(main.stdin.take());
    wait(&mut main);
    let members: Vec<_> =
        tracer.members().iter().map(|member| (member.cgroup, member.origin, member.status.0 >> 8)).collect();
    assert_eq!(members, [(cgroup.id, Origin::Forked, 4), (cgroup.id, Origin::Attached, 5)]);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.members.all, seen.members.entered, seen.members.left), (2, 1, 0));
}

#[test]
fn moving_below_before_the_decision_is_not_leaving() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("undecided");
    let below = cgroup.dir.join("below");
    let script =
        format!("mkdir {0}; sh -c 'echo $$ > {0}/cgroup.procs; exit 13'; rmdir {0}; exit 3", below.display());
    wait(&mut cgroup.main("/bin/sh", &["-c", &script]));
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.members.all, seen.members.left), (3, 0));
}
