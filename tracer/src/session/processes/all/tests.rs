use super::*;
use crate::ids::BootNanos;
use crate::kernel::event::Args;
use crate::kernel::event::Process;
use crate::session::samples::{member_ended, program_executed};

fn container(n: usize) -> ContainerId {
    ContainerId::parse(&format!("{n:064x}")).expect("64 hex digits")
}

/// A program with a thousand empty arguments.
fn program(n: u32) -> Executed {
    Executed {
        at: BootNanos(u64::from(n)),
        args: Args::new(&[0; 1000], 1000),
        ..program_executed(n, "/bin/busybox")
    }
}

fn process(n: u32) -> Process {
    program(n).process
}

#[test]
fn ten_thousand_programs_with_a_thousand_empty_arguments() {
    let mut all = AllProcesses::default();
    for n in 0..10_000 {
        all.executed(&container(1), program(n));
        assert!(all.held_bytes() <= HELD);
    }
    // A byte for each argument and not 24: as strings they would take 240 MB.
    assert!(all.held_bytes() < 8192 * 1300, "{} bytes", all.held_bytes());
    assert_eq!(all.totals(&container(1)).programs_dropped, 10_000 - 8192);
}

#[test]
fn many_sessions_storms_stay_within_the_bound() {
    let mut all = AllProcesses::default();
    for n in 0..100_000 {
        all.executed(&container(n as usize % 20), program(n));
        assert!(all.held_bytes() <= HELD, "{} bytes after {n}", all.held_bytes());
    }
    assert!(all.held_bytes() > HELD - HELD / 10);
    let dropped: u64 = (0..20).map(|n| all.totals(&container(n)).programs_dropped).sum();
    let kept: usize = (0..20).map(|n| all.get(&container(n)).map_or(0, Processes::programs_kept)).sum();
    assert_eq!(dropped as usize + kept, 100_000);
    (0..20).for_each(|n| all.remove(&container(n)));
    assert_eq!((all.held_bytes(), all.holders), (0, 0));
}

#[test]
fn a_quiet_session_loses_nothing_to_a_storm() {
    let mut all = AllProcesses::default();
    let quiet = container(0);
    all.executed(&quiet, program(0));
    for n in 1..50_000 {
        all.executed(&container(1 + n as usize % 2), program(n));
        if n % 100 == 0 {
            all.ended(&quiet, member_ended(n));
        }
    }
    assert!(all.get(&quiet).is_some_and(|processes| processes.program(process(0)).is_some()));
    let reported: usize = all.take(&quiet).iter().map(|chunk| chunk.processes.len()).sum();
    assert_eq!((reported, all.totals(&quiet).programs_dropped), (499, 0));
    assert!(all.totals(&container(1)).programs_dropped > 0);
}

#[test]
fn a_new_session_gets_its_share_of_full_memory() {
    let mut all = AllProcesses::default();
    for n in 0..30_000 {
        all.executed(&container(n as usize % 3), program(n));
    }
    let late = container(9);
    for n in 0..100 {
        all.ended(&late, member_ended(n));
        all.executed(&late, program(n));
    }
    let totals = all.totals(&late);
    assert_eq!((totals.programs_dropped, totals.ends_seen), (0, 100));
    assert_eq!(all.take(&late).iter().map(|chunk| chunk.processes.len()).sum::<usize>(), 100);
    assert!(all.held_bytes() <= HELD);
}

#[test]
fn waiting_ends_of_thousands_of_containers_are_bounded() {
    let mut all = AllProcesses::default();
    let (containers, ends) = (200, 600);
    for pid in 0..ends {
        for n in 0..containers {
            all.ended(&container(n), member_ended(pid));
            assert!(all.held_bytes() <= HELD);
        }
    }
    let reported: usize =
        (0..containers).flat_map(|n| all.take(&container(n))).map(|c| c.processes.len()).sum();
    let ends_seen: u64 = (0..containers).map(|n| all.totals(&container(n)).ends_seen).sum();
    assert_eq!(ends_seen, containers as u64 * u64::from(ends));
    assert!((reported as u64) < ends_seen, "{reported} of {ends_seen}");
    assert_eq!((all.held_bytes(), all.waiting()), (0, Vec::new()));
}
