//! A scenario's outcome for a person: truth, API and record side by side. Pure.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::run::{Outcome, Session};
use super::runtime::Task;

/// Widest table that still reads well.
const WIDTH: u16 = 118;

/// The whole report, lines of text.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table.set_header(["session", "truth", "API", "record"]);
    for session in &outcome.sessions {
        table.add_row([
            session.container.clone(),
            truth(session),
            session.api.lines().join("\n"),
            session.record.as_ref().map_or_else(|| "none".to_owned(), record),
        ]);
    }
    let mut text = format!("{table}\n");
    for session in &outcome.sessions {
        let differences =
            session.record.as_ref().map(|record| session.api.differs_from(record)).unwrap_or_default();
        for difference in differences {
            text.push_str(&format!("\nThe API on {}: {difference}", session.container));
        }
    }
    text
}

fn truth(session: &Session) -> String {
    let mut lines = vec![session.truth.clone()];
    lines.extend(session.task.as_ref().map(task));
    lines.join("\n")
}

fn task(task: &Task) -> String {
    let word = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let oom = if task.oom { ", OOM near it" } else { "" };
    format!("(runtime: pid {}, status {}{oom})", word(task.pid), word(task.exit_status))
}

fn record(record: &Value) -> String {
    const SHOWN: [&str; 8] = [
        "exit_class",
        "exit_code",
        "signal_name",
        "started_at",
        "finished_at",
        "duration_seconds",
        "target_container",
        "evidence",
    ];
    let line = |key: &&str| match &record[*key] {
        Value::String(word) => format!("{key}: {word}"),
        Value::Object(evidence) => {
            format!("{key}: kernel {}", evidence.get("kernel").unwrap_or(&Value::Null))
        }
        value => format!("{key}: {value}"),
    };
    SHOWN.iter().map(line).collect::<Vec<_>>().join("\n")
}
