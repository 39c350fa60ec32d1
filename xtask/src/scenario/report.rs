//! A scenario's outcome for a person: truth, API and record side by side. Pure.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::Value;

use super::reconciled::api_evidence;
use super::run::{Outcome, Session};
use super::runtime::Task;

/// Widest table that still reads well.
const WIDTH: u16 = 118;
/// So that times need not be wrapped.
const TRUTH_WIDTH: u16 = 26;

/// The whole report, lines of text.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table.set_header(["session", "truth", "API", "record"]);
    if let Some(truth) = table.column_mut(1) {
        truth.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(TRUTH_WIDTH)));
    }
    for session in &outcome.sessions {
        table.add_row([
            name(session),
            truth(session),
            api(session),
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

/// The container, and what distinguishes it from others of that name.
fn name(session: &Session) -> String {
    let record = session.record.as_ref().unwrap_or(&Value::Null);
    let mut lines = vec![session.container.clone()];
    if !matches!(record["session_kind"].as_str(), None | Some("ephemeral")) {
        lines.extend(record["pod_name"].as_str().map(|pod| format!("in {pod}")));
        lines.push(format!("attempt {}", record["attempt"]));
    }
    lines.join("\n")
}

/// What the API says, and what the records make of it.
fn api(session: &Session) -> String {
    let mut lines = session.api.lines();
    let record = session.record.as_ref().unwrap_or(&Value::Null);
    let evidence = api_evidence(record, session.reconciled.as_ref());
    if !evidence.is_null() {
        lines.push("by the record's evidence:".to_owned());
        lines.push(format!("agrees    {}", evidence["agrees"]));
        lines.extend(evidence["synthetic"].as_str().map(|name| format!("synthetic {name}")));
    }
    lines.join("\n")
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
    const SHOWN: [(&str, &str); 7] = [
        ("class", "exit_class"),
        ("code", "exit_code"),
        ("signal", "signal_name"),
        ("started", "started_at"),
        ("finished", "finished_at"),
        ("seconds", "duration_seconds"),
        ("kernel", "/evidence/kernel"),
    ];
    let line = |(name, field): (&str, &str)| {
        let value = if field.starts_with('/') { record.pointer(field) } else { record.get(field) };
        let value = value.unwrap_or(&Value::Null);
        format!("{name:<9} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    SHOWN.map(line).join("\n")
}
