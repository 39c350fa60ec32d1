//! The results: what `--json FILE` writes and the table shows.
//!
//! One object. Each section is an array of flat objects; a section that was not asked for is an empty array. Figures
//! that are compared with each other are of one run; machines differ, so read the ratios. Null: not measured, or no
//! such figure. Nothing here is asserted: an `aim` is what the project wants, beside what is.
//!
//! ```text
//! schema    "debugtrail.dev/bench/v1"
//! machine   { taken_at, kernel, os, cpu, cpus, memory_mib, load_before }
//! versions  { NAME: version as the program itself prints it }
//! hooks     [{ hook, program, case, rounds, runs, gross_ns, net_ns, ratio_to_empty, ratio_min, ratio_max,
//!              aim_ratio, printed, lost }]
//! storms    [{ case, exits, seconds, sessions_ended, ends_kept, members_ended, members_heard, members_lost,
//!              counted_lost, programs_skipped, peak_rss_kib }]
//! latency   [{ source, sessions, p50_ms, p99_ms, max_ms, aim_p50_ms }]
//! durations [{ source, sessions, p50_ms, p99_ms, max_ms, aim_p50_ms }]
//! memory    [{ program, case, rss_kib, anonymous_kib, file_kib, peak_kib, kernel_maps_kib, aim_rss_kib }]
//! untracked_instructions { KERNEL: { idle, live, empty: { fork, exec, exit, signal }, exitsnoop_exit } }
//! ```
//!
//! - `hooks`: nanoseconds a run as the kernel counts them (run_time_ns / run_cnt with BPF statistics enabled), for
//!   processes that belong to no session; `runs` is the sum over all rounds, the times are the rounds' medians.
//!   Of two empty programs on the tracepoint one runs before debugtrail's, one after it; the figure is their mean.
//!   `net_ns` is less the empty program in the same round: the counting itself is most of that one. `ratio_min` and
//!   `ratio_max` are the rounds' extremes.
//!   `printed` and `lost`: of the other tracers, the exits that they printed and that they say they lost.
//! - `storms`: `exits` is what really happened; `members_heard` + `members_lost` should be `members_ended`, and
//!   `members_lost` be `counted_lost`.
//! - `untracked_instructions`: medians of a guest's instructions an event, counting included. Aims: idle at most 8 above
//!   empty each, 360 in all; live at most twice empty each.
//! - `latency`: from the end of the main process (`finished_boot_ns` of its record) until the news was read.
//! - `durations`: how far the reported duration is off what the main process itself measured on the same
//!   clock, from its first instruction to its last; the record's own span begins at the exec and ends in the
//!   exit, so it contains that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All results of one run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Version of this shape.
    pub schema: &'static str,
    /// What it was measured on.
    pub machine: Machine,
    /// What took part.
    pub versions: BTreeMap<&'static str, String>,
    /// Cost of the hooks.
    pub hooks: Vec<HookRow>,
    /// What storms of exits cost.
    pub storms: Vec<StormRow>,
    /// How soon an end is known.
    pub latency: Vec<SpreadRow>,
    /// How far durations are off.
    pub durations: Vec<SpreadRow>,
    /// Resident memory.
    pub memory: Vec<MemoryRow>,
    /// Kernel release -> instructions of each hook for processes of no session.
    pub untracked_instructions: BTreeMap<String, Instructions>,
}

/// Instructions an event on one kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instructions {
    /// No session live.
    pub idle: HookInstructions,
    /// One session live.
    pub live: HookInstructions,
    /// Programs that do nothing, in the same boot.
    pub empty: HookInstructions,
    /// exitsnoop's program on the exit.
    pub exitsnoop_exit: Option<f64>,
}

/// Instructions an event, hook by hook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookInstructions {
    /// sched_process_fork.
    pub fork: Option<f64>,
    /// sched_process_exec.
    pub exec: Option<f64>,
    /// sched_process_exit.
    pub exit: Option<f64>,
    /// signal_generate: most of them the SIGCHLD of an exit.
    pub signal: Option<f64>,
}

/// The version of the shape.
pub const SCHEMA: &str = "debugtrail.dev/bench/v1";

/// The machine.
#[derive(Debug, Default, Serialize)]
pub struct Machine {
    /// When the run began, UTC.
    pub taken_at: String,
    /// Release of the kernel.
    pub kernel: String,
    /// As its os-release calls it.
    pub os: String,
    /// Model of its CPU.
    pub cpu: String,
    /// How many of them.
    pub cpus: usize,
    /// Its memory.
    pub memory_mib: u64,
    /// Load average of the last minute before the run: what else was going on.
    pub load_before: f32,
}

/// One program on one hook in one case.
#[derive(Clone, Debug, Serialize)]
pub struct HookRow {
    /// The tracepoint.
    pub hook: String,
    /// Whose program.
    pub program: String,
    /// `no session live`, `one session live`.
    pub case: &'static str,
    /// Times that it was measured.
    pub rounds: usize,
    /// Events, in all rounds.
    pub runs: u64,
    /// Median of nanoseconds a run.
    pub gross_ns: f64,
    /// The same less the empty program's in the same round.
    pub net_ns: f64,
    /// Gross by the empty program's in the same round.
    pub ratio_to_empty: f64,
    /// The smallest of the rounds' ratios.
    pub ratio_min: f64,
    /// The largest of them.
    pub ratio_max: f64,
    /// What is aimed at.
    pub aim_ratio: Option<f64>,
    /// Exits that another tracer printed.
    pub printed: Option<u64>,
    /// Exits that it says it lost.
    pub lost: Option<u64>,
}

/// One storm.
#[derive(Clone, Debug, Serialize)]
pub struct StormRow {
    /// `outside a session`, `inside a session`.
    pub case: &'static str,
    /// Processes that ended.
    pub exits: u64,
    /// How long it took.
    pub seconds: f64,
    /// Sessions that ended meanwhile.
    pub sessions_ended: u64,
    /// Of which a right `session_ended` came.
    pub ends_kept: u64,
    /// Members that ended, as their parents say.
    pub members_ended: u64,
    /// Of which it saw the end, as `session_closed` says.
    pub members_heard: Option<u64>,
    /// Of which it did not see the end, as `session_closed` says.
    pub members_lost: Option<u64>,
    /// The loss that its gap records count.
    pub counted_lost: u64,
    /// Times that the kernel skipped one of its programs.
    pub programs_skipped: u64,
    /// Its largest resident memory meanwhile.
    pub peak_rss_kib: Option<u64>,
}

/// How values are spread.
#[derive(Clone, Debug, Serialize)]
pub struct SpreadRow {
    /// Whose times.
    pub source: &'static str,
    /// Of how many sessions.
    pub sessions: usize,
    /// Half are not above it.
    pub p50_ms: f64,
    /// 99 of 100 are not above it.
    pub p99_ms: f64,
    /// None is above it.
    pub max_ms: f64,
    /// What is aimed at.
    pub aim_p50_ms: Option<f64>,
}

/// Memory of one program in one case.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryRow {
    /// Whose.
    pub program: String,
    /// When.
    pub case: &'static str,
    /// Resident.
    pub rss_kib: Option<u64>,
    /// Of it, what is the program's alone.
    pub anonymous_kib: Option<u64>,
    /// Of it, pages of the program's file.
    pub file_kib: Option<u64>,
    /// The largest so far.
    pub peak_kib: Option<u64>,
    /// Maps in the kernel, which are in no process's memory.
    pub kernel_maps_kib: Option<u64>,
    /// What is aimed at.
    pub aim_rss_kib: Option<u64>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn sections_are_arrays_of_flat_objects() {
        let hook = HookRow {
            hook: "sched_process_exit".into(),
            program: "debugtrail".into(),
            case: "no session live",
            rounds: 7,
            runs: 140_000,
            gross_ns: 58.5,
            net_ns: 2.5,
            ratio_to_empty: 1.04,
            ratio_min: 1.01,
            ratio_max: 1.1,
            aim_ratio: Some(1.3),
            printed: None,
            lost: None,
        };
        let report = Report { schema: SCHEMA, hooks: vec![hook], ..Report::default() };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["schema"], "debugtrail.dev/bench/v1");
        assert_eq!(
            json["hooks"][0],
            json!({"hook": "sched_process_exit", "program": "debugtrail", "case": "no session live", "rounds": 7,
                "runs": 140_000, "gross_ns": 58.5, "net_ns": 2.5, "ratio_to_empty": 1.04, "ratio_min": 1.01,
                "ratio_max": 1.1, "aim_ratio": 1.3, "printed": null, "lost": null})
        );
        let flat = |rows: &Value| {
            rows.as_array()
                .unwrap()
                .iter()
                .all(|row| row.as_object().unwrap().values().all(|v| !v.is_object()))
        };
        for section in ["hooks", "storms", "latency", "durations", "memory"] {
            assert!(flat(&json[section]), "{section}");
        }
    }
}
