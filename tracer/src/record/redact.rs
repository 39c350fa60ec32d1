//! Arguments as records show them: what looks like a secret is left out. Pure.
//!
//! A guess by names and shapes, on the safe side: a password that stands where nothing says so is not found.

mod json;
mod names;
mod script;
mod words;

use words::Words;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Which arguments records show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Argv {
    /// None: they are not even read.
    #[default]
    Off,
    /// All, with what looks like a secret redacted.
    Redacted,
    /// All as they are.
    Full,
}

impl Argv {
    /// The arguments as they may be shown.
    #[must_use]
    pub fn show(self, argv: &[String]) -> Option<Vec<String>> {
        match self {
            Self::Off => None,
            Self::Redacted => Some(redact(argv)),
            Self::Full => Some(argv.to_vec()),
        }
    }
}

/// A pass may bring to light what the next one finds, such as what stands behind a quote that has gone. Two are the rule.
const PASSES: usize = 8;

/// Redacts what looks like a secret. What was redacted once stays as it is.
#[must_use]
pub fn redact(argv: &[String]) -> Vec<String> {
    let mut shown = argv.to_vec();
    for _ in 0..PASSES {
        let next = pass(&shown);
        if next == shown {
            break;
        }
        shown = next;
    }
    shown
}

fn pass(argv: &[String]) -> Vec<String> {
    let Some((program, arguments)) = argv.split_first() else { return Vec::new() };
    let mut words = Words::of(program);
    let mut shown = vec![words::value(program).into_owned()];
    shown.extend(arguments.iter().map(|argument| words.argument(&json::redact(argument))));
    shown
}

#[cfg(test)]
mod tests;
