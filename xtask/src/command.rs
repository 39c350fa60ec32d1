//! Running other programs, with errors that say which one and what it said.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::repo;

/// How many of a failed command's last lines an error shows.
const SHOWN_LINES: usize = 60;

/// Runs a command to its end with our stdout and stderr.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a long command: its last line is the step's detail, and its last lines the error.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run_quietly(command: &mut Command, step: &Step) -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| cannot_start(command))?;
    // The command keeps its ends of the pipe until they are taken from it.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        step.detail(&line);
        last.push_back(line);
        if last.len() > SHOWN_LINES {
            last.pop_front();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let lines = Vec::from(last).join("\n");
        bail!("`{}` failed: {status}; its last lines:\n{lines}", shown(command));
    }
    Ok(())
}

/// The cargo that runs us, on this workspace.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_outer_cargo(&mut cargo);
    cargo.current_dir(repo::root());
    cargo
}

/// A program that `setup` has installed into `target/tools`, run on this workspace by our cargo.
#[must_use]
pub fn cargo_tool(name: &str) -> Command {
    let mut tool = Command::new(repo::tools().join("bin").join(name));
    forget_outer_cargo(&mut tool);
    tool.current_dir(repo::root());
    tool
}

/// Takes away the variables that `cargo run` sets for xtask: build scripts would see them change and run
/// again.
pub fn forget_outer_cargo(command: &mut Command) {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_"];
    const NAMES: [&str; 9] = [
        "CARGO",
        "CARGO_CRATE_NAME",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_PRIMARY_PACKAGE",
        "LD_LIBRARY_PATH",
        "OUT_DIR",
        "RUSTC",
        "RUSTDOC",
        "RUST_RECURSION_COUNT",
    ];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if NAMES.contains(&text.as_ref()) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}

/// Runs a command and returns its stdout.
///
/// # Errors
/// When it cannot be started or fails; the error carries the end of its stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed: {}: {}", shown(command), output.status, tail(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True when the command can be started and succeeds; its output is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn tail(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
