//! The results for a person. Pure.

use comfy_table::{CellAlignment, Table, presets};

use crate::report::{HookInstructions, HookRow, Instructions, MemoryRow, Report, SpreadRow, StormRow};

/// The whole report, as text.
#[must_use]
pub fn text(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "{}, {} CPUs ({}), {} MiB, Linux {}, {}; load before the run {:.1}\n",
        machine.taken_at,
        machine.cpus,
        machine.cpu,
        machine.memory_mib,
        machine.kernel,
        machine.os,
        machine.load_before
    );
    for (name, version) in &report.versions {
        text.push_str(&format!("{name} {version}\n"));
    }
    let mut section = |title: &str, header: &[&str], texts: usize, rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            text.push_str(&format!("\n{title}\n{}\n", table(header, texts, rows)));
        }
    };
    section("Cost for a process of no session", &HOOKS, 3, report.hooks.iter().map(hook).collect());
    section("Storms of exits", &STORMS, 1, report.storms.iter().map(storm).collect());
    let spread = |rows: &[SpreadRow]| rows.iter().map(spread).collect();
    section("From the end of a session until it is known, ms", &SPREAD, 1, spread(&report.latency));
    section("Error of the reported duration, ms", &SPREAD, 1, spread(&report.durations));
    section("Memory, MiB", &MEMORY, 2, report.memory.iter().map(memory).collect());
    let instructions = report.untracked_instructions.iter().flat_map(instructions).collect();
    section("Instructions an event, for a process of no session", &INSTRUCTIONS, 2, instructions);
    text
}

const HOOKS: [&str; 11] =
    ["hook", "program", "case", "events", "ns", "net", "x empty", "of all rounds", "aim", "printed", "lost"];
const STORMS: [&str; 11] = [
    "storm",
    "exits",
    "s",
    "sessions",
    "ends kept",
    "members",
    "heard",
    "not heard",
    "counted",
    "skipped",
    "peak MiB",
];
const SPREAD: [&str; 6] = ["source", "sessions", "p50", "p99", "max", "aim p50"];
const MEMORY: [&str; 8] = ["program", "case", "resident", "anonymous", "file", "peak", "kernel maps", "aim"];

const INSTRUCTIONS: [&str; 7] = ["kernel", "case", "fork", "exec", "exit", "signal", "all"];

/// A line for each case; exitsnoop has a program on the exit alone.
fn instructions((kernel, counted): (&String, &Instructions)) -> Vec<Vec<String>> {
    let exitsnoop = HookInstructions { fork: None, exec: None, exit: counted.exitsnoop_exit, signal: None };
    let cases = [
        ("empty programs", &counted.empty),
        ("no session live", &counted.idle),
        ("one session live", &counted.live),
        ("exitsnoop", &exitsnoop),
    ];
    let line = |(case, of): (&str, &HookInstructions)| {
        let hooks = [of.fork, of.exec, of.exit, of.signal];
        let all = hooks.into_iter().sum::<Option<f64>>();
        let numbers = hooks
            .into_iter()
            .chain([all])
            .map(|value| value.map_or_else(String::new, |value| format!("{value:.0}")));
        [kernel.clone(), case.to_owned()].into_iter().chain(numbers).collect()
    };
    cases.into_iter().map(line).collect()
}

fn hook(row: &HookRow) -> Vec<String> {
    vec![
        row.hook.clone(),
        row.program.clone(),
        row.case.to_owned(),
        row.runs.to_string(),
        format!("{:.0}", row.gross_ns),
        format!("{:.0}", row.net_ns),
        format!("{:.2}", row.ratio_to_empty),
        format!("{:.2} to {:.2}", row.ratio_min, row.ratio_max),
        row.aim_ratio.map_or_else(String::new, |aim| format!("<= {aim}")),
        optional(row.printed),
        optional(row.lost),
    ]
}

fn storm(row: &StormRow) -> Vec<String> {
    vec![
        row.case.to_owned(),
        row.exits.to_string(),
        format!("{:.1}", row.seconds),
        row.sessions_ended.to_string(),
        row.ends_kept.to_string(),
        row.members_ended.to_string(),
        optional(row.members_heard),
        optional(row.members_lost),
        row.counted_lost.to_string(),
        row.programs_skipped.to_string(),
        mib(row.peak_rss_kib),
    ]
}

fn spread(row: &SpreadRow) -> Vec<String> {
    vec![
        row.source.to_owned(),
        row.sessions.to_string(),
        format!("{:.3}", row.p50_ms),
        format!("{:.3}", row.p99_ms),
        format!("{:.3}", row.max_ms),
        row.aim_p50_ms.map_or_else(String::new, |aim| format!("< {aim}")),
    ]
}

fn memory(row: &MemoryRow) -> Vec<String> {
    vec![
        row.program.clone(),
        row.case.to_owned(),
        mib(row.rss_kib),
        mib(row.anonymous_kib),
        mib(row.file_kib),
        mib(row.peak_kib),
        mib(row.kernel_maps_kib),
        row.aim_rss_kib.map_or_else(String::new, |aim| format!("< {}", aim / 1024)),
    ]
}

fn mib(kib: Option<u64>) -> String {
    kib.map_or_else(String::new, |kib| format!("{:.1}", kib as f64 / 1024.0))
}

fn optional(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// The first `texts` columns hold words, the others numbers.
fn table(header: &[&str], texts: usize, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_is_shown() {
        let latency = SpreadRow {
            source: "record on stdout",
            sessions: 36,
            p50_ms: 1.25,
            p99_ms: 4.0,
            max_ms: 4.5,
            aim_p50_ms: Some(5.0),
        };
        let text = text(&Report { latency: vec![latency], ..Report::default() });
        assert!(text.contains("From the end of a session until it is known, ms"), "{text}");
        let row = text.lines().find(|line| line.contains("record on stdout")).unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words, ["record", "on", "stdout", "36", "1.250", "4.000", "4.500", "<", "5"]);
        assert!(!text.contains("Storms") && !text.contains("Memory, MiB"), "{text}");
    }

    #[test]
    fn memory_is_shown_in_mib_and_the_unknown_as_nothing() {
        let row = MemoryRow {
            program: "exitsnoop".into(),
            case: "tracing",
            rss_kib: Some(2560),
            anonymous_kib: None,
            file_kib: None,
            peak_kib: Some(14336),
            kernel_maps_kib: None,
            aim_rss_kib: Some(20480),
        };
        assert_eq!(memory(&row), ["exitsnoop", "tracing", "2.5", "", "", "14.0", "", "< 20"]);
    }
}
