//! Whether what is printed has colours.

use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether `stream` is a terminal that shows colours, and colours are wanted.
pub(super) fn on(stream: &impl IsTerminal) -> bool {
    let variable = |name| std::env::var_os(name);
    stream.is_terminal() && wanted(variable("TERM").as_deref(), variable("NO_COLOR").as_deref())
}

/// `TERM=dumb` is a terminal that would show the sequences (terminfo(5)); `NO_COLOR` counts unless empty (no-color.org).
fn wanted(term: Option<&OsStr>, no_color: Option<&OsStr>) -> bool {
    term.is_none_or(|term| term != "dumb") && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_and_no_color_have_none() {
        let wanted = |term: Option<&str>, no_color: Option<&str>| {
            super::wanted(term.map(OsStr::new), no_color.map(OsStr::new))
        };
        assert!(wanted(Some("xterm-256color"), None));
        assert!(wanted(None, Some("")));
        assert!(!wanted(Some("dumb"), None));
        assert!(!wanted(Some("xterm"), Some("1")));
    }
}
