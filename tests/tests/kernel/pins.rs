//! What happens while no process is there, reported by pinned programs: by the same ones, by those of another
//! version.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use debugtrail::kernel::{
    Counted, Event, Kernel, LoadOptions, Object, Pins, PinsError, Running, RunningMain, Started, inspect,
};
use debugtrail::record::WaitStatus;
use debugtrail_common::interest::Interest;
use debugtrail_common::kept::{Kept, place};
use debugtrail_tests::bpf_fs::BpfFs;
use debugtrail_tests::kernel_objects::KernelObjects;
use xtask::{poll, repo};

use crate::support::{TestCgroup, Tracer, now, wait};

fn start(pins: &Path) -> Started {
    start_of(&Object::own(), pins)
}

fn start_of(object: &Object, pins: &Path) -> Started {
    let pins = Pins::open(pins).expect("a BPF file system takes pins");
    Kernel::start(LoadOptions::default(), object, pins)
        .expect("the kernel tier needs root and a kernel with BTF")
}

/// The same programs with other structures.
fn other() -> Object {
    let path = repo::other_bpf_object();
    Object::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; cargo xtask test builds it", path.display()))
}

/// The kernel frees what no process holds after an RCU period.
fn nothing_since(before: &KernelObjects) {
    let left = || KernelObjects::now().expect("listable").since(before);
    poll::until(Duration::from_secs(10), || left().is_empty());
    assert_eq!(left(), Vec::<String>::new());
}

fn loaded() -> usize {
    inspect::programs().expect("programs can be listed").len()
}

/// Ends the shell that [`shell`] started, and says how.
fn end(mut shell: Child) -> WaitStatus {
    drop(shell.stdin.take());
    wait(&mut shell)
}

fn shell(cgroup: &TestCgroup, code: u8) -> Child {
    cgroup.main("/bin/sh", &["-c", &format!("read line; (exit {}); exit {code}", code + 100)])
}

fn members(kernel: &Kernel, ring: &mut debugtrail::kernel::Ring) -> Vec<i32> {
    let mut codes = Vec::new();
    while let Some(bytes) = ring.next() {
        if let Some(Event::MemberEnded(member)) = kernel.event(&bytes) {
            codes.push(member.status.0 >> 8);
        }
    }
    codes
}

#[test]
fn the_next_process_reads_what_happened_meanwhile() {
    let fs = BpfFs::mount().expect("mountable");
    let (objects, before) = (KernelObjects::now().expect("listable"), loaded());
    let mut first = start(&fs.pins());
    let own = loaded() - before;
    let ends = TestCgroup::new("ends");
    first.kernel.track(ends.id, ends.id).expect("trackable");
    // An agent says so with each of its rounds: when none comes, only claimed cgroups report their members.
    first.kernel.read_until(now()).expect("it can be said");
    let main = shell(&ends, 3);
    let tracer = Tracer::of((first.kernel, first.ring));
    tracer.await_entry(ends.id, |seen| seen.main.is_some());
    drop((tracer, first.handover));

    assert_eq!(loaded() - before, own, "the programs go on without a process");
    assert_eq!(end(main).0, 3 << 8);
    let meantime = TestCgroup::new("meantime");
    assert_eq!(end(shell(&meantime, 4)).0, 4 << 8);

    let mut second = start(&fs.pins());
    assert!(second.handover.adopted && second.handover.inherited.is_empty());
    assert_eq!(loaded() - before, own, "nothing is attached twice");
    for (cgroup, code) in [(&ends, 3), (&meantime, 4)] {
        let seen = second.kernel.observation(cgroup.id).expect("readable").expect("there");
        assert_eq!(seen.end.map(|end| (end.status, end.late)), Some((WaitStatus(code << 8), false)));
        assert!(seen.main.is_some_and(|main| main.execed.is_some()), "its start was seen, too");
    }
    assert_eq!(members(&second.kernel, &mut second.ring), [103], "the ring kept the member");
    drop((second.kernel, second.ring, second.handover));

    let mut third = start(&fs.pins());
    assert!(members(&third.kernel, &mut third.ring).is_empty(), "each is read once");
    third.kernel.forget(ends.id).expect("can be forgotten");
    drop((third.kernel, third.ring, third.handover));
    assert!(Pins::remove_all(&fs.pins()).expect("removable"));
    nothing_since(&objects);
}

#[test]
fn a_reported_loss_is_kept_with_the_counters() {
    let fs = BpfFs::mount().expect("mountable");
    let mut first = start(&fs.pins());
    let kept = Kept { before: 3, reported: 7, sequence: 21 };
    first.kernel.keep(place::RING_FULL, kept).expect("writable");
    drop((first.kernel, first.ring, first.handover));
    let second = start(&fs.pins());
    assert_eq!(second.kernel.kept(place::RING_FULL).expect("readable"), kept);
    assert_eq!(second.kernel.kept(place::MAP_FULL).expect("readable"), Kept::default());
}

#[test]
fn half_of_a_generation_is_removed_and_not_used() {
    let fs = BpfFs::mount().expect("mountable");
    let before = KernelObjects::now().expect("listable");
    drop(start(&fs.pins()));
    let generation = only(&fs.pins());
    // As a kill in the middle of pinning leaves it: links, and not the last pin.
    fs::remove_file(generation.join("layout")).expect("removable");
    fs::remove_file(generation.join("link_cgroup_mkdir")).expect("removable");
    let second = start(&fs.pins());
    assert!(!second.handover.adopted && second.handover.inherited.is_empty());
    assert!(!second.handover.all_the_time());
    assert_ne!(only(&fs.pins()), generation);
    drop((second.kernel, second.ring, second.handover));

    // Complete by its last pin, but a program was taken away: it can't be adopted.
    fs::remove_file(only(&fs.pins()).join("program_scan_tasks")).expect("removable");
    let third = start(&fs.pins());
    assert!(!third.handover.adopted);
    drop((third.kernel, third.ring, third.handover));
    fs::remove_file(only(&fs.pins()).join("layout")).expect("removable");
    assert!(Pins::remove_all(&fs.pins()).expect("half of one is removable, too"));
    nothing_since(&before);
}

#[test]
fn another_version_stays_attached_until_its_successor_is() {
    let fs = BpfFs::mount().expect("mountable");
    let before = KernelObjects::now().expect("listable");
    let mut old = start_of(&other(), &fs.pins());
    let (ends, over) = (TestCgroup::new("ends"), TestCgroup::new("over"));
    for cgroup in [&ends, &over] {
        old.kernel.track(cgroup.id, cgroup.id).expect("trackable");
    }
    let (first, second) = (shell(&ends, 5), shell(&over, 6));
    let tracer = Tracer::of((old.kernel, old.ring));
    for cgroup in [&ends, &over] {
        tracer.await_entry(cgroup.id, |seen| seen.main.is_some());
    }
    drop((tracer, old.handover));
    assert_eq!(end(first).0, 5 << 8);

    let mut new = start(&fs.pins());
    assert!(!new.handover.adopted && new.handover.all_the_time());
    assert_eq!(new.handover.inherited.len(), 1);
    let running = Running {
        cgroup: over.id,
        path: "/over".into(),
        main: RunningMain::Is(debugtrail::ids::Pid(second.id())),
        entered: true,
    };
    new.kernel.take_in(&[running], now()).expect("the scan can be read");
    let pins = new.handover.pins.take().expect("pinned");
    let mut inherited = new.handover.inherited.remove(0);
    assert!(inherited.unreadable().is_none(), "{:?}", inherited.unreadable());
    inherited.detach(&pins).expect("detachable");
    assert_eq!(end(second).0, 6 << 8);

    let old = inherited.observations().expect("readable");
    let of = |cgroup: &TestCgroup| old.iter().find(|seen| seen.cgroup == cgroup.id).expect("kept");
    assert_eq!(of(&ends).end.map(|end| end.status), Some(WaitStatus(5 << 8)));
    assert!(of(&ends).path.ends_with("-ends"), "{}", of(&ends).path);
    assert!(of(&over).main.as_ref().is_some_and(|main| main.execed.is_some() && main.comm == "sh"));
    let seen = new.kernel.observation(over.id).expect("readable").expect("taken in");
    assert_eq!(seen.end.map(|end| end.status), Some(WaitStatus(6 << 8)));
    let codes: Vec<_> = inherited.events().into_iter().filter_map(member_code).collect();
    // The kernel detaches after an RCU period: both may see what comes at once.
    assert!(codes == [105] || codes == [105, 106], "its ring is read by its own layout: {codes:?}");
    let counted = inherited.counted().expect("readable");
    let loss = counted.loss().expect("readable");
    assert_eq!((loss.by_cpu.values().flatten().sum::<u64>(), loss.by_cpu.len()), (0, 6));

    drop(inherited);
    drop((new.kernel, new.ring));
    drop(pins);
    // Killed before it was reported: the next start finds it again, detached.
    let again = start(&fs.pins());
    assert!(again.handover.adopted && again.handover.inherited.len() == 1);
    assert!(!again.handover.inherited[0].was_attached());
    let pins = again.handover.pins.expect("pinned");
    for inherited in again.handover.inherited {
        inherited.remove(&pins).expect("removable");
    }
    drop((again.kernel, again.ring, pins));
    assert!(Pins::remove_all(&fs.pins()).expect("removable"));
    nothing_since(&before);
}

#[test]
fn a_main_process_that_left_is_taken_over_with_its_end() {
    let fs = BpfFs::mount().expect("mountable");
    let elsewhere = TestCgroup::new("elsewhere");
    let old = start_of(&other(), &fs.pins());
    let cgroup = TestCgroup::new("left");
    let script = format!("echo $$ > {}; read line; exit 7", elsewhere.dir.join("cgroup.procs").display());
    let main = cgroup.main("/bin/sh", &["-c", &script]);
    elsewhere.await_process(main.id());
    drop((old.kernel, old.ring, old.handover));

    let mut new = start(&fs.pins());
    let running =
        Running { cgroup: cgroup.id, path: "/left".into(), main: RunningMain::Unknown, entered: true };
    new.kernel.take_in(&[running], now()).expect("the scan can be read");
    assert_eq!(new.kernel.observation(cgroup.id).expect("readable").and_then(|seen| seen.main), None);
    let old = new.handover.inherited[0].observations().expect("readable");
    let earlier = old.into_iter().find(|seen| seen.cgroup == cgroup.id).expect("kept");
    let seen = earlier.main.as_ref().expect("its exec was seen");
    new.kernel.expect_end(cgroup.id, seen).expect("there is room");
    let pins = new.handover.pins.take().expect("pinned");
    new.handover.inherited[0].detach(&pins).expect("detachable");
    assert_eq!(end(main).0, 7 << 8);
    let both = new.kernel.observation(cgroup.id).expect("readable").expect("there").after(&earlier);
    assert_eq!(both.end.map(|end| (end.status, end.late)), Some((WaitStatus(7 << 8), false)));
    assert!(both.main.is_some_and(|main| main.execed.is_some()));
}

fn member_code(event: Event) -> Option<i32> {
    match event {
        Event::MemberEnded(member) => Some(member.status.0 >> 8),
        Event::CgroupChanged(_) | Event::Executed(_) => None,
    }
}

#[test]
fn an_unusable_layout_description_is_reported() {
    let fs = BpfFs::mount().expect("mountable");
    drop(start_of(&other(), &fs.pins()));
    let generation = only(&fs.pins());
    fs::remove_file(generation.join("layout")).expect("removable");
    let kept = MapData::from_pin(generation.join("map_KEPT")).expect("readable");
    kept.pin(generation.join("layout")).expect("any map can have that name");
    let new = start(&fs.pins());
    let inherited = &new.handover.inherited[0];
    assert!(inherited.was_attached() && inherited.unreadable().is_some());
    assert_eq!(inherited.observations().expect("nothing to read"), []);
}

#[test]
fn a_wrong_count_of_a_killed_process_is_counted_anew() {
    let fs = BpfFs::mount().expect("mountable");
    drop(start(&fs.pins()));
    let words = || {
        let map = MapData::from_pin(only(&fs.pins()).join("map__bss")).expect("readable");
        Array::<MapData, Interest>::try_from(Map::from_map_data(map).expect("a known kind"))
            .expect("an array")
    };
    let kept = TestCgroup::new("kept");
    // Killed between adding five entries' counts and adding the entries.
    let left = words().get(&0, 0).expect("readable");
    words().set(0, Interest { entries: left.entries + 5, ..left }, 0).expect("writable");
    let started = start(&fs.pins());
    let entries = started.kernel.cgroups().expect("readable");
    assert!(entries.contains(&kept.id));
    assert_eq!(words().get(&0, 0).expect("readable").entries, entries.len() as u64);
}

#[test]
fn one_agent_holds_the_pins() {
    let fs = BpfFs::mount().expect("mountable");
    assert!(!Pins::remove_all(&fs.pins()).expect("nothing there is no failure"));
    let started = start(&fs.pins());
    assert!(matches!(Pins::open(&fs.pins()), Err(PinsError::Held { .. })));
    assert!(matches!(Pins::remove_all(&fs.pins()), Err(PinsError::Held { .. })));
    drop(started);
    assert!(Pins::remove_all(&fs.pins()).expect("removable"));
    assert!(!fs.pins().exists());
}

/// The folder of the only generation.
fn only(pins: &Path) -> std::path::PathBuf {
    let mut generations: Vec<_> =
        fs::read_dir(pins).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(generations.len(), 1, "{generations:?}");
    generations.remove(0)
}
