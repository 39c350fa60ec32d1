//! A team's exit-code convention: what its codes mean. Pure.
//!
//! One code a line, `CODE NAME [SEVERITY]`, `#` begins a comment:
//!
//! ```text
//! 42  connection-pool-exhausted  warning
//! 43  disk-full                  error    # page someone
//! ```

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Exit, ExitMeaning, Severity};

/// What codes mean. An empty one knows none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Convention(BTreeMap<u8, ExitMeaning>);

/// The first line that is no part of a convention.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "line {line}: {why}; a line is `CODE NAME [info|warning|error]`, such as `42 connection-pool-exhausted warning`"
)]
pub struct ConventionError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Convention {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// The first bad line: a code that is none or was there before, no name, an unknown severity, or more.
    pub fn parse(text: &str) -> Result<Self, ConventionError> {
        let mut codes = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let bad = |why| ConventionError { line: number + 1, why };
            let Some((code, meaning)) = parse_line(line).map_err(bad)? else { continue };
            if codes.insert(code, meaning).is_some() {
                return Err(bad(format!("code {code} is there twice")));
            }
        }
        Ok(Self(codes))
    }

    /// What an end means; `None` for a signal, and for a code that the team gave no meaning.
    #[must_use]
    pub fn meaning(&self, exit: &Exit) -> Option<ExitMeaning> {
        self.0.get(&exit.exit_code?).cloned()
    }
}

fn parse_line(line: &str) -> Result<Option<(u8, ExitMeaning)>, String> {
    let line = line.split('#').next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (code, name, severity) = match *words.as_slice() {
        [] => return Ok(None),
        [code, name] => (code, name, Severity::Warning),
        [code, name, severity] => (code, name, parse_severity(severity)?),
        [code] => return Err(format!("code {code} has no name")),
        _ => return Err(format!("too much after `{} {} {}`", words[0], words[1], words[2])),
    };
    let code = code.parse().map_err(|_| format!("`{code}` is no exit code from 0 to 255"))?;
    Ok(Some((code, ExitMeaning { name: name.to_owned(), severity })))
}

fn parse_severity(word: &str) -> Result<Severity, String> {
    match word {
        "info" => Ok(Severity::Info),
        "warning" => Ok(Severity::Warning),
        "error" => Ok(Severity::Error),
        _ => Err(format!("`{word}` is no severity")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::WaitStatus;

    fn meaning(text: &str, status: i32) -> Option<(String, Severity)> {
        let convention = Convention::parse(text).unwrap();
        let meaning = convention.meaning(&Exit::observed(WaitStatus(status), false));
        meaning.map(|meaning| (meaning.name, meaning.severity))
    }

    #[test]
    fn a_code_has_the_teams_meaning() {
        let text = "# ours\n\n42 connection-pool-exhausted warning\n43\tdisk-full error # page\n44 odd\n";
        assert_eq!(meaning(text, 42 << 8), Some(("connection-pool-exhausted".into(), Severity::Warning)));
        assert_eq!(meaning(text, 43 << 8), Some(("disk-full".into(), Severity::Error)));
        assert_eq!(meaning(text, 44 << 8), Some(("odd".into(), Severity::Warning)));
        assert_eq!(meaning(text, 45 << 8), None);
    }

    #[test]
    fn a_signal_has_no_meaning_by_its_shell_code() {
        assert_eq!(meaning("137 killed error", 9), None);
        assert_eq!(meaning("137 killed error", 137 << 8), Some(("killed".into(), Severity::Error)));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line, why) in [
            ("42 a\n256 b", 2, "`256` is no exit code from 0 to 255"),
            ("x y", 1, "`x` is no exit code from 0 to 255"),
            ("42", 1, "code 42 has no name"),
            ("42 a\n\n42 b", 3, "code 42 is there twice"),
            ("42 a loud", 1, "`loud` is no severity"),
            ("42 a error now", 1, "too much after `42 a error`"),
        ] {
            assert_eq!(Convention::parse(text), Err(ConventionError { line, why: why.into() }), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = Convention::parse(&text);
        }
    }
}
