//! The processes of one session, the main one left out: which programs they run, and their ends until these are told.
//! Pure.

use std::collections::HashMap;

use crate::ids::BootNanos;
use crate::kernel::event::{Args, Executed, MemberEnded, Process};

/// Ends that one record tells at most.
pub const CHUNK: usize = 32;
/// Processes of a session that are recorded, where nothing else was asked for; what comes after is counted.
pub const RECORDED: u64 = 10_000;
/// Ends of one container that wait at most while nobody has said what it is.
const KEPT_ENDS: usize = 1024;
/// The same of all containers: hours of an API outage.
pub(super) const KEPT_IN_ALL: usize = 16 * KEPT_ENDS;
/// Programs that are remembered of processes that have not ended, as far as was heard.
const KEPT_PROGRAMS: usize = 8192;

/// A program that a process executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// When.
    pub at: BootNanos,
    /// Its path.
    pub exe: Option<String>,
    /// Its arguments, where they were asked for.
    pub args: Option<Args>,
}

/// A process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedProcess {
    /// Its end.
    pub end: MemberEnded,
    /// What it executed last; `None` where nothing was heard of.
    pub program: Option<Program>,
}

/// Some of a session's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// 0 the first.
    pub n: u64,
    /// They.
    pub processes: Vec<EndedProcess>,
}

/// What was told of a session's processes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Records.
    pub chunks: u64,
    /// Processes in them.
    pub processes: u64,
}

/// What is known of all of them at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What was told.
    pub told: Told,
    /// How many ends were heard, told or not.
    pub heard: u64,
    /// Largest resident memory of any, in pages.
    pub max_rss_pages: Option<u64>,
    /// When the last of them ended.
    pub last_end: Option<BootNanos>,
}

/// The processes of one container.
#[derive(Debug)]
pub(super) struct Processes {
    limit: u64,
    programs: HashMap<Process, Program>,
    ended: Vec<EndedProcess>,
    totals: Totals,
}

impl Processes {
    /// Of which `limit` are to be told.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, programs: HashMap::new(), ended: Vec::new(), totals: Totals::default() }
    }

    /// Goes on after what an earlier debugtrail told.
    pub(super) fn go_on_after(&mut self, told: Told) {
        self.totals.told = told;
        self.totals.heard = told.processes;
    }

    /// Takes in what a process executes.
    pub(super) fn executed(&mut self, executed: Executed) {
        let Executed { process, at, exe, args, .. } = executed;
        // Where ends were lost, what they executed would stay for ever.
        if self.programs.len() >= KEPT_PROGRAMS && !self.programs.contains_key(&process) {
            let oldest =
                self.programs.iter().min_by_key(|(_, program)| program.at).map(|(process, _)| *process);
            oldest.and_then(|oldest| self.programs.remove(&oldest));
        }
        self.programs.insert(process, Program { at, exe, args });
    }

    /// What a process executed last.
    pub(super) fn program(&self, process: Process) -> Option<&Program> {
        self.programs.get(&process)
    }

    /// Takes in the end of a process; `others` wait in other containers.
    pub(super) fn ended(&mut self, end: MemberEnded, others: usize) {
        let program = self.programs.remove(&end.process);
        self.totals.max_rss_pages = self.totals.max_rss_pages.max(end.max_rss_pages);
        self.totals.last_end = self.totals.last_end.max(Some(end.ended));
        self.totals.heard += 1;
        // What has no room here is missing in the count of what was told.
        let told = self.totals.told.processes + self.ended.len() as u64;
        if told < self.limit && self.ended.len() < KEPT_ENDS && others < KEPT_IN_ALL {
            self.ended.push(EndedProcess { end, program });
        }
    }

    /// How many wait to be told.
    pub(super) fn waiting(&self) -> usize {
        self.ended.len()
    }

    /// Whether there are enough ends for a record.
    pub(super) fn is_full(&self) -> bool {
        self.ended.len() >= CHUNK
    }

    /// Takes out what is still to be told.
    pub(super) fn take(&mut self) -> Vec<Chunk> {
        let ended = std::mem::take(&mut self.ended);
        let chunks = ended.chunks(CHUNK).map(|processes| {
            let n = self.totals.told.chunks;
            self.totals.told.chunks += 1;
            self.totals.told.processes += processes.len() as u64;
            Chunk { n, processes: processes.to_vec() }
        });
        chunks.collect()
    }

    /// What is known of all.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::samples::{member_ended, program_executed};

    fn pids(chunk: &Chunk) -> Vec<u32> {
        chunk.processes.iter().map(|ended| ended.end.process.pid.0).collect()
    }

    #[test]
    fn an_end_is_told_once_with_what_was_executed_last() {
        let mut processes = Processes::new(RECORDED);
        processes.executed(program_executed(7, "/bin/sh"));
        processes.executed(program_executed(7, "/bin/ls"));
        processes.ended(member_ended(7), 0);
        processes.ended(member_ended(8), 0);
        let told = processes.take();
        assert_eq!((told.len(), told[0].n, pids(&told[0])), (1, 0, vec![7, 8]));
        let exe = |n: usize| told[0].processes[n].program.as_ref().and_then(|program| program.exe.as_deref());
        assert_eq!((exe(0), exe(1)), (Some("/bin/ls"), None));
        assert_eq!(processes.take(), []);
        assert_eq!(processes.totals().told, Told { chunks: 1, processes: 2 });
    }

    #[test]
    fn records_are_bounded_and_numbered_on() {
        let mut processes = Processes::new(RECORDED);
        processes.go_on_after(Told { chunks: 3, processes: 10 });
        for pid in 0..100 {
            processes.ended(member_ended(pid), 0);
            assert_eq!(processes.is_full(), pid + 1 >= 32);
        }
        let told = processes.take();
        assert_eq!(
            told.iter().map(|chunk| (chunk.n, chunk.processes.len())).collect::<Vec<_>>(),
            [(3, 32), (4, 32), (5, 32), (6, 4)]
        );
        assert_eq!(processes.totals().told, Told { chunks: 7, processes: 110 });
    }

    #[test]
    fn what_has_no_room_is_not_counted_as_told() {
        let mut processes = Processes::new(RECORDED);
        for pid in 0..KEPT_ENDS as u32 + 5 {
            processes.ended(member_ended(pid), 0);
        }
        processes.take();
        assert_eq!(processes.totals().told.processes, KEPT_ENDS as u64);
        assert_eq!(processes.totals().heard, KEPT_ENDS as u64 + 5);
    }

    #[test]
    fn what_waits_in_all_containers_is_bounded() {
        let mut processes = Processes::new(RECORDED);
        processes.ended(member_ended(1), KEPT_IN_ALL);
        processes.ended(member_ended(2), KEPT_IN_ALL - 1);
        assert_eq!((processes.waiting(), processes.totals().heard), (1, 2));
    }

    #[test]
    fn past_the_limit_processes_are_counted() {
        let mut processes = Processes::new(3);
        processes.go_on_after(Told { chunks: 1, processes: 1 });
        for pid in 0..10 {
            processes.ended(member_ended(pid), 0);
        }
        assert_eq!(processes.take().iter().map(|chunk| chunk.processes.len()).sum::<usize>(), 2);
        assert_eq!((processes.totals().told.processes, processes.totals().heard), (3, 11));
    }

    #[test]
    fn programs_of_processes_whose_end_was_lost_make_room() {
        let mut processes = Processes::new(RECORDED);
        for pid in 0..KEPT_PROGRAMS as u32 + 1 {
            processes
                .executed(Executed { at: BootNanos(u64::from(pid)), ..program_executed(pid, "/bin/ls") });
        }
        assert_eq!(processes.programs.len(), KEPT_PROGRAMS);
        let process = program_executed(0, "").process;
        assert_eq!(processes.program(process), None);
    }
}
