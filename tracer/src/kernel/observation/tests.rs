use debugtrail_common::cgroup::Steps;

use super::*;

const CGROUP: CgroupId = CgroupId(7);

fn ended() -> CgroupEntry {
    let mut entry = CgroupEntry {
        steps: Steps { created: 1, entered: 1, main_started: 1, main_ended: 1, ..Steps::default() },
        created_boot_ns: 10,
        end: End { boot_ns: 90, wait_status: 42 << 8, seal: End::seal(90, 42 << 8) },
        ..CgroupEntry::EMPTY
    };
    entry.path[..5].copy_from_slice(b"/a/b\0");
    entry.main.tgid = 4242;
    entry.main.exec_boot_ns = 50;
    entry.main.start_boot_ns = 40;
    entry.main.comm[..3].copy_from_slice(b"sh\0");
    entry
}

fn seen(change: impl FnOnce(&mut CgroupEntry)) -> Observation {
    let mut entry = ended();
    change(&mut entry);
    entry.end.seal = End::seal(entry.end.boot_ns, entry.end.wait_status);
    observe(CGROUP, &entry, &entry).unwrap().unwrap()
}

#[test]
fn start_and_end_come_from_the_programs_that_saw_them() {
    let earlier = seen(|entry| (entry.steps.main_ended, entry.created_boot_ns) = (0, 5));
    let scanned = |entry: &mut CgroupEntry| (entry.steps.main_scanned, entry.main.exec_boot_ns) = (1, 0);
    let both = seen(scanned).after(&earlier);
    assert_eq!(both.main, earlier.main);
    assert_eq!((both.created, both.found_running), (BootNanos(5), false));
    assert_eq!(both.end.map(|end| end.at), Some(BootNanos(90)));
    // It ended before the new programs came, which only saw it being freed.
    let late = seen(|entry| {
        scanned(entry);
        (entry.steps.end_late, entry.end.boot_ns) = (1, 95);
    });
    assert_eq!(late.after(&seen(|_| ())).end.map(|end| (end.at, end.late)), Some((BootNanos(90), false)));
}

#[test]
fn another_processs_end_is_not_the_main_ones() {
    let earlier = seen(|entry| entry.steps.main_ended = 0);
    let other = seen(|entry| (entry.main.tgid, entry.main.start_boot_ns) = (5, 6));
    let both = other.after(&earlier);
    assert_eq!((both.main, both.end), (earlier.main, None));
}

#[test]
fn an_entry_being_made_says_nothing() {
    assert_eq!(observe(CGROUP, &CgroupEntry::EMPTY, &CgroupEntry::EMPTY), Ok(None));
}

#[test]
fn a_step_counts_only_if_set_before_the_fields_were_read() {
    let mut before = ended();
    before.steps.main_ended = 0;
    assert_eq!(observe(CGROUP, &before, &ended()).unwrap().unwrap().end, None);
}

#[test]
fn an_end_is_read_with_its_main_process() {
    let seen = observe(CGROUP, &ended(), &ended()).unwrap().unwrap();
    assert_eq!(seen.path, "/a/b");
    assert_eq!(
        seen.end,
        Some(EndSeen { at: BootNanos(90), late: false, status: WaitStatus(42 << 8), oom_victim: false })
    );
    let main = seen.main.unwrap();
    assert_eq!((main.pid, main.execed, main.comm.as_str()), (Pid(4242), Some(BootNanos(50)), "sh"));
    assert_eq!((main.pid_in_container, main.exe), (None, None));
}

#[test]
fn an_end_in_the_making_is_torn() {
    let mut torn = ended();
    torn.end.boot_ns = 91;
    assert_eq!(observe(CGROUP, &ended(), &torn), Err(Torn));
    torn.steps.main_ended = 0;
    assert!(observe(CGROUP, &torn, &torn).is_ok());
}
