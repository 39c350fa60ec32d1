//! What is kept, what is lost, and that both add up.

use debugtrail::kernel::{LoadOptions, Running, RunningMain, inspect};
use debugtrail_common::loss::Loss;

use crate::support::{ENDING, TestCgroup, Tracer, now, wait};

/// Children of a storm, unless `DEBUGTRAIL_TEST_STORM` says how many: an emulated CPU is slow.
const CHILDREN: u64 = 3000;

fn children() -> u64 {
    std::env::var("DEBUGTRAIL_TEST_STORM").map_or(CHILDREN, |count| count.parse().expect("a number"))
}

fn storm(mut tracer: Tracer) -> (u64, u64) {
    let cgroup = TestCgroup::new("storm");
    tracer.track(&cgroup);
    let mut main = cgroup.main(ENDING, &["fork-storm", &children().to_string()]);
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.end.map(|end| end.status), Some(status));
    assert_eq!(status.0, 42 << 8);
    let lost = tracer.kernel.loss().expect("loss can be read").of(Loss::Member);
    (tracer.members().len() as u64, lost)
}

#[test]
fn a_full_ring_loses_members_and_counts_them_but_no_end() {
    let (kept, lost) = storm(Tracer::with(LoadOptions { ring_bytes: Some(4096), ..LoadOptions::default() }));
    assert!(lost > 0, "a ring of one page holds {kept} ends: the storm must overflow it");
    assert_eq!(kept + lost, children());
}

#[test]
fn the_default_ring_keeps_every_member() {
    let (kept, lost) = storm(Tracer::new());
    assert_eq!((kept, lost), (children(), 0));
}

#[test]
fn a_storm_on_all_cores_loses_nothing() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("cores");
    tracer.track(&cgroup);
    let cores = std::thread::available_parallelism().expect("known").get() as u64;
    let storm = format!("{ENDING} fork-storm {} & ", children());
    let script = format!("{} wait; exit 43", storm.repeat(cores as usize));
    let status = wait(&mut cgroup.main("/bin/sh", &["-c", &script]));
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!((seen.end.map(|end| end.status), status.0), (Some(status), 43 << 8));
    let lost = tracer.kernel.loss().expect("loss can be read").of(Loss::Member);
    // Each storm is a member itself.
    let members = cores * (children() + 1);
    let events = tracer.read_ring_until(members);
    assert_eq!(events.ends_in(&cgroup), 1);
    assert_eq!((events.members.len() as u64, lost), (members, 0));
}

#[test]
fn a_cgroup_that_nothing_entered_leaves_nothing() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("empty");
    assert!(tracer.kernel.observation(cgroup.id).expect("readable").is_some());
    cgroup.remove();
    assert_eq!(tracer.kernel.observation(cgroup.id).expect("readable"), None);
}

#[test]
fn a_forgotten_cgroup_leaves_nothing_and_reports_no_end() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("forgotten");
    let mut main = cgroup.main("/bin/sh", &["-c", "read line"]);
    tracer.await_entry(cgroup.id, |seen| seen.main.is_some());
    tracer.kernel.forget(cgroup.id).expect("a cgroup can be forgotten");
    drop(main.stdin.take());
    wait(&mut main);
    assert_eq!(tracer.kernel.observation(cgroup.id).expect("readable"), None);
    let kept = inspect::cgroups(debugtrail::ids::Pid(std::process::id())).expect("our maps can be read");
    assert!(!kept.iter().any(|seen| seen.cgroup == cgroup.id), "{kept:?}");
}

#[test]
fn a_running_process_is_taken_in_with_its_end() {
    let cgroup = TestCgroup::new("running");
    let mut main = cgroup.main("/bin/sh", &["-c", "read line; exit 12"]);
    let mut tracer = Tracer::fresh();
    let running = Running {
        cgroup: cgroup.id,
        path: "/found/running".into(),
        main: RunningMain::Is(debugtrail::ids::Pid(main.id())),
        entered: true,
    };
    tracer.kernel.take_in(&[running], now()).expect("what runs can be taken in");
    let seen = tracer.await_entry(cgroup.id, |seen| seen.main.is_some());
    let found = seen.main.expect("a main process");
    assert_eq!((found.pid.0, found.execed, found.comm.as_str()), (main.id(), None, "sh"));
    assert!(seen.found_running && seen.path == "/found/running");
    drop(main.stdin.take());
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.end.map(|end| end.status), Some(status));
    assert_eq!(status.0, 12 << 8);
}

#[test]
fn a_new_cgroups_entry_is_not_overwritten_by_the_scan() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("both");
    let mut main = cgroup.main("/bin/sh", &["-c", "read line"]);
    let before = tracer.await_entry(cgroup.id, |seen| seen.main.is_some());
    let running =
        Running { cgroup: cgroup.id, path: "/other".into(), main: RunningMain::Unknown, entered: true };
    tracer.kernel.take_in(&[running], now()).expect("what runs can be taken in");
    assert_eq!(tracer.kernel.observation(cgroup.id).expect("readable"), Some(before));
    drop(main.stdin.take());
    wait(&mut main);
}

#[test]
fn a_process_born_inside_that_never_execs_is_a_member() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("born");
    tracer.track(&cgroup);
    let mut main = cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line"]);
    let pid = cgroup.clone_and_exit(13);
    wait(&mut main);
    let ends: Vec<_> = tracer
        .members()
        .iter()
        .map(|member| (member.process.pid.0, member.status.0, member.cgroup))
        .collect();
    assert_eq!(ends, [(pid, 13 << 8, cgroup.id)]);
}

#[test]
fn an_unloaded_tracer_leaves_no_program_and_no_map() {
    // Another debugtrail may run on this machine, or start meanwhile: what counts is what is new and this process's.
    let loaded = || inspect::programs().expect("programs can be listed");
    let before = loaded();
    let tracer = Tracer::fresh();
    let held = held_programs();
    let ours: Vec<_> = loaded()
        .into_iter()
        .filter(|program| !before.contains(program) && held.contains(&program.id))
        .collect();
    assert_eq!(ours.len(), 11, "{ours:?}");
    tracer.unload();
    // The kernel frees programs after an RCU period.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while loaded().iter().any(|program| ours.contains(program)) {
        assert!(std::time::Instant::now() < deadline, "still loaded: {:?}", loaded());
        std::thread::yield_now();
    }
}

/// Ids of the programs that this process has descriptors of.
fn held_programs() -> Vec<u32> {
    let descriptors = std::fs::read_dir("/proc/self/fdinfo").expect("readable");
    let infos = descriptors.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    let id = |info: String| info.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
    infos.filter_map(id).collect()
}
