//! The BPF programs and maps that a process holds, and what the kernel counted of them: from fdinfo, which
//! has it of any process, with no further call.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

/// What a process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Program id -> its counts.
    pub programs: BTreeMap<u32, Counts>,
    /// Tracepoint -> its programs, of BTF and raw tracepoints.
    pub tracepoints: BTreeMap<String, BTreeSet<u32>>,
    /// Map id -> bytes that the kernel has charged for it.
    pub maps: BTreeMap<u32, u64>,
}

/// What the kernel counted of one program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Only counted while statistics are enabled.
    pub run_time_ns: u64,
    /// As `run_time_ns`.
    pub runs: u64,
    /// Times that the kernel skipped it.
    pub skipped: u64,
}

impl Counts {
    /// What was counted since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            run_time_ns: self.run_time_ns.saturating_sub(before.run_time_ns),
            runs: self.runs.saturating_sub(before.runs),
            skipped: self.skipped.saturating_sub(before.skipped),
        }
    }

    /// The sum of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            run_time_ns: self.run_time_ns + other.run_time_ns,
            runs: self.runs + other.runs,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Nanoseconds a run; `None` where it did not run.
    #[must_use]
    pub fn ns_per_run(self) -> Option<f64> {
        (self.runs > 0).then(|| self.run_time_ns as f64 / self.runs as f64)
    }
}

impl Held {
    /// The counts of the programs on a tracepoint, added.
    #[must_use]
    pub fn on(&self, tracepoint: &str) -> Option<Counts> {
        let programs = self.tracepoints.get(tracepoint)?;
        programs.iter().filter_map(|id| self.programs.get(id)).copied().reduce(Counts::and)
    }

    /// Counts since `before` of the program that ran most: the one of a tracer that has only one on its hook.
    #[must_use]
    pub fn busiest_since(&self, before: &Self) -> Option<Counts> {
        let grown = self
            .programs
            .iter()
            .map(|(id, counts)| counts.since(before.programs.get(id).copied().unwrap_or_default()));
        grown.max_by_key(|counts| counts.runs)
    }

    /// Times that the kernel skipped one of the programs.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.programs.values().map(|counts| counts.skipped).sum()
    }

    /// Memory that the maps take in the kernel, in KiB.
    #[must_use]
    pub fn map_kib(&self) -> u64 {
        self.maps.values().sum::<u64>() / 1024
    }

    fn take_in(&mut self, fdinfo: &str) {
        let word = |key: &str| {
            fdinfo.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
        };
        let number = |key: &str| word(key).and_then(|word| word.parse::<u64>().ok());
        let id = |key: &str| number(key).and_then(|id| u32::try_from(id).ok());
        if let (Some(program), Some(tracepoint)) = (id("prog_id"), word("tp_name")) {
            self.tracepoints.entry(tracepoint.to_owned()).or_default().insert(program);
        } else if let (Some(program), None) = (id("prog_id"), word("link_type")) {
            let count = |key| number(key).unwrap_or(0);
            let (run_time_ns, runs) = (count("run_time_ns"), count("run_cnt"));
            self.programs.insert(program, Counts { run_time_ns, runs, skipped: count("recursion_misses") });
        } else if let (Some(map), Some(bytes)) = (id("map_id"), number("memlock")) {
            self.maps.insert(map, bytes);
        }
    }
}

/// What a process holds now.
///
/// # Errors
/// When there is no such process, or we may not look at it.
pub fn held_by(pid: u32) -> Result<Held> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut held = Held::default();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        // A descriptor may be closed while the folder is read.
        if let Ok(fdinfo) = fs::read_to_string(entry?.path()) {
            held.take_in(&fdinfo);
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nprog_jited:\t1\nprog_tag:\tb0\nmemlock:\t4096\n\
                           prog_id:\t21\nrun_time_ns:\t5600\nrun_cnt:\t100\nrecursion_misses:\t3\n";
    const LINK: &str = "pos:\t0\nlink_type:\traw_tracepoint\nlink_id:\t9\nprog_tag:\tb0\nprog_id:\t21\n\
                        tp_name:\tsched_process_exit\n";
    const PERF_LINK: &str = "link_type:\tperf\nlink_id:\t10\nprog_tag:\tb0\nprog_id:\t21\n";
    const MAP: &str = "map_type:\t27\nmax_entries:\t1048576\nmemlock:\t1060864\nmap_id:\t5\n";

    fn held(files: &[&str]) -> Held {
        let mut held = Held::default();
        files.iter().for_each(|file| held.take_in(file));
        held
    }

    #[test]
    fn a_program_is_found_by_its_tracepoint() {
        let held = held(&[LINK, PROGRAM, MAP, PERF_LINK, "pos:\t0\nflags:\t02\n"]);
        let counts = Counts { run_time_ns: 5600, runs: 100, skipped: 3 };
        assert_eq!(held.on("sched_process_exit"), Some(counts));
        assert_eq!(held.on("sched_process_fork"), None);
        assert_eq!(counts.ns_per_run(), Some(56.0));
        assert_eq!((held.skipped(), held.map_kib(), held.programs.len()), (3, 1036, 1));
    }

    #[test]
    fn two_programs_on_a_tracepoint_count_as_one() {
        let second = |file: &str| file.replace("prog_id:\t21", "prog_id:\t22");
        let held = held(&[LINK, PROGRAM, &second(LINK), &second(PROGRAM)]);
        let counts = Counts { run_time_ns: 11_200, runs: 200, skipped: 6 };
        assert_eq!(held.on("sched_process_exit"), Some(counts));
        assert_eq!(counts.ns_per_run(), Some(56.0));
    }

    #[test]
    fn a_program_that_did_not_run_has_no_time() {
        let counts = Counts { run_time_ns: 9, runs: 4, skipped: 0 };
        assert_eq!(counts.since(counts).ns_per_run(), None);
    }

    #[test]
    fn the_busiest_program_is_the_one_that_ran_most_since() {
        let counts = |runs| Counts { run_time_ns: runs * 10, runs, skipped: 0 };
        let before = Held { programs: [(1, counts(1000)), (2, counts(0))].into(), ..Held::default() };
        let after = Held { programs: [(1, counts(1001)), (2, counts(50))].into(), ..Held::default() };
        assert_eq!(after.busiest_since(&before), Some(counts(50)));
        assert_eq!(Held::default().busiest_since(&before), None);
    }
}
