//! What `DEBUGTRAIL_LOG` may say. Pure.
//!
//! `LEVEL`, or `TARGET=LEVEL` for a part of the program or a library, or several of them with commas between:
//!
//! ```text
//! debug
//! info,kube=debug,debugtrail::runtime=trace
//! ```

use std::ffi::OsStr;
use std::str::FromStr;

use thiserror::Error;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The client library logs each failed attempt; the watch logs once what matters of them.
const QUIET: [(&str, LevelFilter); 5] = [
    ("kube", LevelFilter::ERROR),
    ("kube_runtime", LevelFilter::ERROR),
    ("kube_client", LevelFilter::OFF),
    ("tower", LevelFilter::ERROR),
    ("hyper", LevelFilter::ERROR),
];

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    level: Option<LevelFilter>,
    targets: Vec<(String, LevelFilter)>,
}

/// It says nothing that is known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "DEBUGTRAIL_LOG: {part:?} is {why}; it takes `trace`, `debug`, `info`, `warn`, `error` or `off`, or \
     `info,kube=debug` with a level for each target"
)]
pub struct BadFilter {
    /// The part that is wrong.
    pub part: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl BadFilter {
    pub(super) fn not_text(value: &OsStr) -> Self {
        Self { part: value.to_string_lossy().into_owned(), why: "no UTF-8 text" }
    }
}

impl FromStr for Filter {
    type Err = BadFilter;

    /// An empty one is as none at all.
    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let mut filter = Self { level: None, targets: Vec::new() };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let bad = |why| BadFilter { part: part.to_owned(), why };
            match part.split_once('=') {
                None => filter.level = Some(level(part).ok_or_else(|| bad("no level"))?),
                Some((target, word)) => {
                    let (target, word) = (target.trim(), word.trim());
                    if !is_target(target) {
                        return Err(bad("no target and its level"));
                    }
                    let level = level(word).ok_or_else(|| bad("a target without a known level"))?;
                    filter.targets.push((target.to_owned(), level));
                }
            }
        }
        Ok(filter)
    }
}

impl Filter {
    pub(super) fn targets(self) -> Targets {
        let quiet = QUIET.map(|(target, level)| (target.to_owned(), level));
        // A level for all means all, the libraries as well.
        let quiet = quiet.into_iter().filter(|_| self.level.is_none());
        Targets::new()
            .with_default(self.level.unwrap_or(LevelFilter::INFO))
            .with_targets(quiet)
            .with_targets(self.targets)
    }
}

fn level(word: &str) -> Option<LevelFilter> {
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        "off" => LevelFilter::OFF,
        _ => return None,
    })
}

/// A module's path.
fn is_target(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn shows(text: &str, target: &str, level: Level) -> bool {
        text.parse::<Filter>().unwrap().targets().would_enable(target, &level)
    }

    #[test]
    fn an_empty_filter_is_the_default() {
        for text in ["", " ", ",", " , "] {
            assert!(shows(text, "debugtrail::serve", Level::INFO), "{text:?}");
            assert!(!shows(text, "debugtrail::serve", Level::DEBUG), "{text:?}");
            assert!(!shows(text, "kube_client", Level::ERROR), "{text:?}");
        }
    }

    #[test]
    fn a_level_is_for_all() {
        assert!(shows("debug", "kube_client", Level::DEBUG));
        for text in ["warning", "warn", "WARN", " Warning "] {
            assert!(shows(text, "debugtrail", Level::WARN), "{text:?}");
            assert!(!shows(text, "debugtrail", Level::INFO), "{text:?}");
        }
        assert!(!shows("off", "debugtrail", Level::ERROR));
    }

    #[test]
    fn a_target_changes_nothing_for_the_others() {
        let text = "kube_client=warning, debugtrail::runtime=trace";
        assert!(shows(text, "kube_client", Level::WARN));
        assert!(shows(text, "debugtrail::runtime::shims", Level::TRACE));
        assert!(shows(text, "debugtrail", Level::INFO));
        assert!(!shows(text, "hyper", Level::INFO));
    }

    #[test]
    fn a_filter_is_refused_with_its_wrong_part() {
        for (text, part) in [
            ("loud", "loud"),
            ("info,loud", "loud"),
            ("debugtrail", "debugtrail"),
            ("kube=loud", "kube=loud"),
            ("=debug", "=debug"),
            ("[span]=debug", "[span]=debug"),
            ("1", "1"),
        ] {
            let refused = text.parse::<Filter>().unwrap_err();
            assert_eq!(refused.part, part);
            let line = refused.to_string();
            assert!(line.contains("; it takes `trace`") && !line.contains('\n'), "{line}");
        }
    }
}
