use super::*;
use crate::kernel::event::Executed;
use crate::session::samples::{member_ended, program_executed};

const ALL: usize = usize::MAX;

fn executed(processes: &mut Processes, executed: Executed) {
    let Executed { process, at, exe, args, .. } = executed;
    processes.executed(process, Program { at, exe, args }, ALL);
}

fn pids(chunk: &Chunk) -> Vec<u32> {
    chunk.processes.iter().map(|ended| ended.end.process.pid.0).collect()
}

#[test]
fn an_end_is_reported_once_with_its_last_program() {
    let mut processes = Processes::new(RECORDED);
    executed(&mut processes, program_executed(7, "/bin/sh"));
    executed(&mut processes, program_executed(7, "/bin/ls"));
    processes.ended(member_ended(7), ALL);
    processes.ended(member_ended(8), ALL);
    let reported = processes.take();
    assert_eq!((reported.len(), reported[0].n, pids(&reported[0])), (1, 0, vec![7, 8]));
    let exe = |n: usize| reported[0].processes[n].program.as_ref().and_then(|program| program.exe.as_deref());
    assert_eq!((exe(0), exe(1)), (Some("/bin/ls"), None));
    assert_eq!(processes.take(), []);
    assert_eq!(processes.totals().reported, Reported { chunks: 1, processes: 2 });
}

#[test]
fn records_are_bounded_and_numbered_on() {
    let mut processes = Processes::new(RECORDED);
    processes.go_on_after(Reported { chunks: 3, processes: 10 });
    for pid in 0..100 {
        processes.ended(member_ended(pid), ALL);
        assert_eq!(processes.is_full(), pid + 1 >= 32);
    }
    let reported = processes.take();
    assert_eq!(
        reported.iter().map(|chunk| (chunk.n, chunk.processes.len())).collect::<Vec<_>>(),
        [(3, 32), (4, 32), (5, 32), (6, 4)]
    );
    assert_eq!(processes.totals().reported, Reported { chunks: 7, processes: 110 });
}

#[test]
fn an_end_without_room_is_not_counted_as_reported() {
    let mut processes = Processes::new(RECORDED);
    for pid in 0..KEPT_ENDS as u32 + 5 {
        processes.ended(member_ended(pid), ALL);
    }
    processes.take();
    assert_eq!(processes.totals().reported.processes, KEPT_ENDS as u64);
    assert_eq!(processes.totals().ends_seen, KEPT_ENDS as u64 + 5);
}

#[test]
fn past_the_limit_processes_are_counted() {
    let mut processes = Processes::new(3);
    processes.go_on_after(Reported { chunks: 1, processes: 1 });
    for pid in 0..10 {
        processes.ended(member_ended(pid), ALL);
    }
    assert_eq!(processes.take().iter().map(|chunk| chunk.processes.len()).sum::<usize>(), 2);
    assert_eq!((processes.totals().reported.processes, processes.totals().ends_seen), (3, 11));
}

#[test]
fn programs_of_processes_whose_end_was_lost_make_room() {
    let mut processes = Processes::new(RECORDED);
    for n in 0..=KEPT_PROGRAMS as u32 {
        // The pids say nothing of the order in which they came.
        executed(
            &mut processes,
            Executed { at: BootNanos(u64::from(n)), ..program_executed(9000 - n, "ls") },
        );
    }
    assert_eq!(processes.programs.len(), KEPT_PROGRAMS);
    assert_eq!(processes.program(program_executed(9000, "").process), None);
    assert!(processes.program(program_executed(8999, "").process).is_some());
    assert_eq!(processes.totals().programs_dropped, 1);
}

#[test]
fn a_program_after_another_takes_its_place() {
    let mut processes = Processes::new(RECORDED);
    let mut held = Vec::new();
    for n in 0..3 {
        executed(&mut processes, Executed { at: BootNanos(n), ..program_executed(7, "/bin/ls") });
        held.push(processes.held_bytes());
    }
    assert_eq!(held, [held[0]; 3]);
    assert_eq!((processes.programs.len(), processes.by_time.len()), (1, 1));
    assert_eq!(processes.totals().programs_dropped, 0);
}

#[test]
fn nothing_is_held_once_all_is_reported() {
    let mut processes = Processes::new(40);
    for pid in 0..50 {
        executed(&mut processes, program_executed(pid, "/bin/ls"));
        processes.ended(member_ended(pid), ALL);
    }
    assert!(processes.held_bytes() > 40 * 100);
    assert_eq!(processes.take().len(), 2);
    assert_eq!((processes.held_bytes(), processes.by_time.len()), (0, 0));
}

#[test]
fn without_room_old_programs_go_and_then_new_ends() {
    let mut processes = Processes::new(RECORDED);
    for n in 0..10 {
        executed(&mut processes, Executed { at: BootNanos(u64::from(n)), ..program_executed(n, "/bin/ls") });
    }
    let room = processes.held_bytes();
    for n in 100..200 {
        processes.ended(member_ended(n), room);
        assert!(processes.held_bytes() <= room, "{} of {room} after {n}", processes.held_bytes());
    }
    let Totals { ends_seen, programs_dropped, .. } = processes.totals();
    assert_eq!((ends_seen, programs_dropped), (100, 10));
    let reported = processes.take();
    assert_eq!(pids(&reported[0])[..2], [100, 101]);
    assert!(processes.totals().reported.processes < 100);
}

#[test]
fn shrinking_drops_programs_before_ends() {
    let mut processes = Processes::new(RECORDED);
    processes.ended(member_ended(1), ALL);
    processes.ended(member_ended(2), ALL);
    let ends = processes.held_bytes();
    executed(&mut processes, program_executed(7, "/bin/ls"));
    processes.shrink_to(ends);
    assert_eq!((processes.held_bytes(), processes.totals().programs_dropped), (ends, 1));
    processes.shrink_to(ends - 1);
    assert_eq!(processes.take().iter().flat_map(pids).collect::<Vec<_>>(), [1]);
}
