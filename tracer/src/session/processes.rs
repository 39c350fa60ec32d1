//! The processes of one session, the main one left out: which programs they run, and their ends until these
//! are reported. Pure.

mod all;

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::BootNanos;
use crate::kernel::event::{Args, MemberEnded, Process};

pub(super) use all::AllProcesses;

/// Ends that one record has at most.
pub const CHUNK: usize = 32;
/// Processes of a session that are recorded, where nothing else was asked for; what comes after is
/// counted.
pub const RECORDED: u64 = 10_000;
/// Ends of one container that wait at most while it is undecided.
const KEPT_ENDS: usize = 1024;
/// Programs that are remembered of processes that have not ended, as far as their ends were seen.
const KEPT_PROGRAMS: usize = 8192;
/// What the allocator and a collection add to an entry, roughly.
const ALLOCATOR: usize = 48;

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
    /// What it executed last; `None` where no exec was seen.
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

/// What was reported of a session's processes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Records.
    pub chunks: u64,
    /// Processes in them.
    pub processes: u64,
}

/// What is known of all of them at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What was reported.
    pub reported: Reported,
    /// How many ends were seen, reported or not.
    pub ends_seen: u64,
    /// Programs that were dropped before their process ended.
    pub programs_dropped: u64,
    /// Largest resident memory of any, in pages.
    pub max_rss_pages: Option<u64>,
    /// When the last of them ended.
    pub last_end: Option<BootNanos>,
}

impl Program {
    /// Bytes that it takes, with what finds it.
    fn held_bytes(&self) -> usize {
        let texts = self.exe.as_ref().map_or(0, String::capacity);
        let args = self.args.as_ref().map_or(0, Args::held_bytes);
        size_of::<Self>() + 2 * size_of::<(BootNanos, Process)>() + ALLOCATOR + texts + args
    }
}

impl EndedProcess {
    /// Bytes that it takes.
    fn held_bytes(&self) -> usize {
        let program = self.program.as_ref().map_or(0, Program::held_bytes);
        size_of::<Self>() + ALLOCATOR + self.end.comm.capacity() + program
    }
}

/// The processes of one container.
#[derive(Debug)]
pub(super) struct Processes {
    limit: u64,
    programs: BTreeMap<Process, Program>,
    /// The same by time, so that the oldest is found without a look at the others.
    by_time: BTreeSet<(BootNanos, Process)>,
    ended: Vec<EndedProcess>,
    /// Bytes of both.
    held: usize,
    totals: Totals,
}

impl Processes {
    /// Of which `limit` are to be reported.
    fn new(limit: u64) -> Self {
        Self {
            limit,
            programs: BTreeMap::new(),
            by_time: BTreeSet::new(),
            ended: Vec::new(),
            held: 0,
            totals: Totals::default(),
        }
    }

    /// Goes on after what an earlier debugtrail reported.
    fn go_on_after(&mut self, reported: Reported) {
        self.totals.reported = reported;
        self.totals.ends_seen = reported.processes;
    }

    /// Takes in what a process executes, within `room` bytes of this container's.
    fn executed(&mut self, process: Process, program: Program, room: usize) {
        self.take_program(process);
        // Where ends were lost, what they executed would stay for ever.
        while self.programs.len() >= KEPT_PROGRAMS && self.drop_oldest_program() {}
        if !self.fits(program.held_bytes(), room) {
            self.totals.programs_dropped += 1;
            return;
        }
        self.held += program.held_bytes();
        self.by_time.insert((program.at, process));
        self.programs.insert(process, program);
    }

    /// What a process executed last.
    pub(super) fn program(&self, process: Process) -> Option<&Program> {
        self.programs.get(&process)
    }

    /// Takes in the end of a process, within `room` bytes of this container's.
    fn ended(&mut self, end: MemberEnded, room: usize) {
        let program = self.take_program(end.process);
        self.totals.max_rss_pages = self.totals.max_rss_pages.max(end.max_rss_pages);
        self.totals.last_end = self.totals.last_end.max(Some(end.ended));
        self.totals.ends_seen += 1;
        // What has no room here is missing in the count of what was reported.
        let reported = self.totals.reported.processes + self.ended.len() as u64;
        let ended = EndedProcess { end, program };
        if reported < self.limit && self.ended.len() < KEPT_ENDS && self.fits(ended.held_bytes(), room) {
            self.held += ended.held_bytes();
            self.ended.push(ended);
        }
    }

    /// Bytes that are kept of it.
    fn held_bytes(&self) -> usize {
        self.held
    }

    #[cfg(test)]
    fn programs_kept(&self) -> usize {
        self.programs.len()
    }

    /// Whether any ends wait to be reported.
    fn is_waiting(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Whether there are enough ends for a record.
    fn is_full(&self) -> bool {
        self.ended.len() >= CHUNK
    }

    /// Takes out what is still to be reported.
    fn take(&mut self) -> Vec<Chunk> {
        let mut ended = std::mem::take(&mut self.ended).into_iter();
        let mut chunks = Vec::new();
        loop {
            let processes: Vec<_> = ended.by_ref().take(CHUNK).collect();
            if processes.is_empty() {
                return chunks;
            }
            self.held -= processes.iter().map(EndedProcess::held_bytes).sum::<usize>();
            let n = self.totals.reported.chunks;
            self.totals.reported.chunks += 1;
            self.totals.reported.processes += processes.len() as u64;
            chunks.push(Chunk { n, processes });
        }
    }

    /// Drops programs, the oldest first, and then ends, the newest first, until no more than so
    /// many bytes are kept.
    fn shrink_to(&mut self, bytes: usize) {
        while self.held > bytes {
            if !self.drop_oldest_program() && !self.drop_newest_end() {
                return;
            }
        }
    }

    /// What is known of all.
    fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether there is room for so much, for which old programs may have to go.
    fn fits(&mut self, bytes: usize, room: usize) -> bool {
        while self.held + bytes > room && self.drop_oldest_program() {}
        self.held + bytes <= room
    }

    fn take_program(&mut self, process: Process) -> Option<Program> {
        let program = self.programs.remove(&process)?;
        self.by_time.remove(&(program.at, process));
        self.held -= program.held_bytes();
        Some(program)
    }

    fn drop_oldest_program(&mut self) -> bool {
        let Some((_, process)) = self.by_time.first().copied() else { return false };
        self.totals.programs_dropped += 1;
        self.take_program(process).is_some()
    }

    fn drop_newest_end(&mut self) -> bool {
        let Some(ended) = self.ended.pop() else { return false };
        self.held -= ended.held_bytes();
        true
    }
}

#[cfg(test)]
mod tests;
