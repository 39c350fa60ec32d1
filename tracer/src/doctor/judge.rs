//! Facts in, findings out. Pure.

mod cluster;
mod machine;

use crate::cli::exit_code::Failure;

use super::facts::{Facts, Problem};

/// How well something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It can record, but not all or not for certain.
    Warning,
    /// It cannot record.
    Failing(Failure),
}

/// One check's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was found, one line.
    pub what: String,
    /// What to do about it, one line; `None` where all is well.
    pub hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, what: what.into(), hint: None }
    }

    fn warning(check: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, what: what.into(), hint: Some(hint.into()) }
    }

    fn failing(
        check: &'static str,
        failure: Failure,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Failing(failure), what: what.into(), hint: Some(hint.into()) }
    }

    fn problem(check: &'static str, problem: &Problem) -> Self {
        let (what, hint) = parts(&problem.text);
        Self { check, level: Level::Failing(problem.failure), what, hint }
    }

    /// The same, where it can record nevertheless.
    fn no_more_than_a_warning(mut self) -> Self {
        if self.level != Level::Ok {
            self.level = Level::Warning;
        }
        self
    }
}

/// Everything that was looked at, in the order in which it matters.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = machine::findings(facts);
    findings.extend(cluster::findings(&facts.cluster));
    findings
}

/// Why it cannot record: the first of what fails.
#[must_use]
pub fn failure(findings: &[Finding]) -> Option<Failure> {
    findings.iter().find_map(|finding| match finding.level {
        Level::Failing(failure) => Some(failure),
        Level::Ok | Level::Warning => None,
    })
}

/// Splits an error's `WHAT; HINT`.
fn parts(text: &str) -> (String, Option<String>) {
    match text.split_once("; ") {
        Some((what, hint)) => (what.to_owned(), Some(hint.to_owned())),
        None => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests;
