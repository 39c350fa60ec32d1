//! Findings for people and for programs. Pure.

use std::fmt::Write;

use serde::Serialize;

use super::judge::{Finding, Level, failure};
use crate::visible;

/// What `--output json` gives.
const SCHEMA: &str = "debugtrail.dev/doctor/v1";

/// All findings and what follows from them.
#[derive(Debug)]
pub struct Report<'a>(pub &'a [Finding]);

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    can_witness: bool,
    exit_code: u8,
    checks: Vec<JsonCheck<'a>>,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    check: &'a str,
    level: &'static str,
    what: &'a str,
    hint: Option<&'a str>,
}

impl Report<'_> {
    /// One JSON object on one line.
    ///
    /// # Errors
    ///
    /// None that strings could cause.
    pub fn json(&self) -> serde_json::Result<String> {
        let failure = failure(self.0);
        visible::json(&Json {
            schema: SCHEMA,
            can_witness: failure.is_none(),
            exit_code: failure.map_or(0, super::super::cli::exit_code::Failure::code),
            checks: self.0.iter().map(json_check).collect(),
        })
    }

    /// A line for each finding, its hint below it, and the sum of it all.
    #[must_use]
    pub fn table(&self, colours: bool) -> String {
        let width = self.0.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
        let mut text = String::new();
        for finding in self.0 {
            let word = format!("{:<7}", word(finding.level));
            let word = if colours { coloured(finding.level, &word) } else { word };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{word}  {:<width$}  {}", finding.check, visible::line(&finding.what));
            if let Some(hint) = &finding.hint {
                let _ = writeln!(text, "{:9}{:<width$}  -> {}", "", "", visible::line(hint));
            }
        }
        let _ = writeln!(text, "\n{}", self.sum());
        text
    }

    fn sum(&self) -> String {
        let count =
            |wanted: fn(&Level) -> bool| self.0.iter().filter(|finding| wanted(&finding.level)).count();
        let failing = count(|level| matches!(level, Level::Failing(_)));
        let warnings = count(|level| *level == Level::Warning);
        let with = match warnings {
            0 => String::new(),
            1 => ", 1 warning".into(),
            n => format!(", {n} warnings"),
        };
        match failing {
            0 => format!("This node can record debug sessions{with}."),
            n => format!("This node cannot record debug sessions: {n} failing{with}."),
        }
    }
}

fn json_check(finding: &Finding) -> JsonCheck<'_> {
    JsonCheck {
        check: finding.check,
        level: word(finding.level),
        what: &finding.what,
        hint: finding.hint.as_deref(),
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Failing(_) => "failing",
    }
}

fn coloured(level: Level, word: &str) -> String {
    let colour = match level {
        Level::Ok => 32,
        Level::Warning => 33,
        Level::Failing(_) => 31,
    };
    format!("\u{1b}[{colour}m{word}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit_code::Failure;

    fn findings() -> Vec<Finding> {
        let finding = |check, level, what: &str, hint: Option<&str>| Finding {
            check,
            level,
            what: what.into(),
            hint: hint.map(str::to_owned),
        };
        vec![
            finding("kernel", Level::Ok, "6.18.0", None),
            finding("clock", Level::Warning, "not synchronised", Some("run chrony")),
            finding("node", Level::Failing(Failure::Cluster), "un\u{1b}known", Some("name it")),
            finding("ledger", Level::Failing(Failure::Output), "full", Some("make room")),
        ]
    }

    #[test]
    fn the_table_has_a_line_for_each_and_its_hint_below() {
        let expected = "\
ok       kernel  6.18.0
warning  clock   not synchronised
                 -> run chrony
failing  node    un\\u{1b}known
                 -> name it
failing  ledger  full
                 -> make room

This node cannot record debug sessions: 2 failing, 1 warning.
";
        assert_eq!(Report(&findings()).table(false), expected);
    }

    #[test]
    fn colours_are_only_on_the_levels() {
        let text = Report(&findings()[..1]).table(true);
        assert_eq!(text.lines().next(), Some("\u{1b}[32mok     \u{1b}[0m  kernel  6.18.0"));
    }

    #[test]
    fn the_sum_counts_warnings_where_nothing_fails() {
        assert!(Report(&findings()[..2]).table(false).ends_with("can record debug sessions, 1 warning.\n"));
        assert!(Report(&findings()[..1]).table(false).ends_with("can record debug sessions.\n"));
    }

    #[test]
    fn json_says_the_same_and_the_first_failures_code() {
        let json: serde_json::Value = serde_json::from_str(&Report(&findings()).json().unwrap()).unwrap();
        assert_eq!(json["can_witness"], false);
        assert_eq!(json["exit_code"], 5);
        assert_eq!(
            json["checks"][1],
            serde_json::json!({
                "check": "clock", "level": "warning", "what": "not synchronised", "hint": "run chrony"
            })
        );
        assert_eq!(json["checks"][0]["hint"], serde_json::Value::Null);
    }
}
