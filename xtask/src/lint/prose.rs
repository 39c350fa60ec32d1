//! Markdown is wrapped, so that a terminal and a diff show it as it is. Pure but for [`check`].

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{command, repo};

/// Columns of a line of prose.
const COLUMNS: usize = 100;
/// Written by `cargo xtask test matrix`.
const GENERATED: &str = "docs/kernels.md";

/// Fails with every line of the repository's Markdown that is too long.
pub(super) fn check() -> Result<()> {
    let files = command::output(Command::new("git").current_dir(repo::root()).args(["ls-files", "*.md"]))?;
    let mut found = Vec::new();
    for file in files.lines().filter(|file| *file != GENERATED) {
        let text =
            fs::read_to_string(repo::root().join(file)).with_context(|| format!("cannot read {file}"))?;
        found.extend(too_long(&text).into_iter().map(|line| format!("{file}:{line}")));
    }
    if !found.is_empty() {
        bail!("wrap at {COLUMNS} columns:\n  {}", found.join("\n  "));
    }
    Ok(())
}

/// The numbers of such lines. Tables and code can't be wrapped, nor what has no space to wrap at.
fn too_long(text: &str) -> Vec<usize> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        let is_prose = !in_code && !line.starts_with('|') && line.trim_start().contains(' ');
        if is_prose && line.chars().count() > COLUMNS {
            found.push(at + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::too_long;

    #[test]
    fn only_prose_has_to_be_wrapped() {
        let long = "word ".repeat(30);
        let text = format!("short\n{long}\n| {long} |\n```sh\n{long}\n```\n{}\n", "x".repeat(120));
        assert_eq!(too_long(&text), [2]);
    }
}
