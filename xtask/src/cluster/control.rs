//! Starting and stopping components, and keeping `processes.json` true to it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::init;
use super::paths::Paths;
use super::process::ProcessId;
use super::state::{Component, State};
use crate::interrupt;

/// How long a component may take to end when asked politely.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held while something is started or taken down, so that Ctrl-C's teardown and a start in the
/// main thread cannot cross.
static GATE: Mutex<()> = Mutex::new(());

/// Waits for a running teardown or start.
pub(super) fn teardown_gate() -> MutexGuard<'static, ()> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`teardown_gate`], but refuses once an interrupt wants the end.
pub(super) fn start_gate() -> Result<MutexGuard<'static, ()>> {
    let gate = teardown_gate();
    if interrupt::interrupted() {
        bail!("interrupted");
    }
    Ok(gate)
}

/// Starts a component for the first time.
pub(super) fn start_new(paths: &Paths, name: &str, command: Vec<String>) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = load(paths)?;
    let process = spawn(paths, name, &command)?;
    state.components.insert(name.to_owned(), Component { command, process: Some(process) });
    state.save(paths)
}

/// Starts a component again, as it was started first. One that runs is left alone.
pub(super) fn start(paths: &Paths, name: &str) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = load(paths)?;
    let component = component(&mut state, name)?;
    if component.process.is_some_and(ProcessId::alive) {
        return Ok(());
    }
    component.process = Some(spawn(paths, name, &component.command)?);
    state.save(paths)
}

/// Ends a component and waits until it has ended.
pub(super) fn stop(paths: &Paths, name: &str, signal: Signal) -> Result<()> {
    let _gate = start_gate()?;
    let mut state = load(paths)?;
    if let Some(process) = component(&mut state, name)?.process.take() {
        process.end(signal, PATIENCE).with_context(|| format!("cannot stop {name}"))?;
    }
    state.save(paths)
}

/// Fails with the end of the log of a component that has died.
pub(super) fn check_alive(paths: &Paths) -> Result<()> {
    if interrupt::interrupted() {
        bail!("interrupted");
    }
    for (name, component) in load(paths)?.components {
        if component.process.is_some_and(|process| !process.alive()) {
            let log = paths.log(&name);
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(5)..].join("\n");
            bail!("{name} has died; the end of {}:\n{end}", log.display());
        }
    }
    Ok(())
}

/// The state of a cluster that must be there.
pub(super) fn load(paths: &Paths) -> Result<State> {
    State::load(paths)?.context("the embedded cluster is gone: cargo xtask cluster up")
}

fn spawn(paths: &Paths, name: &str, command: &[String]) -> Result<ProcessId> {
    init::start(paths, command, &paths.log(name))
        .and_then(ProcessId::of)
        .with_context(|| format!("cannot start {name}"))
}

fn component<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Component> {
    state.components.get_mut(name).with_context(|| format!("the cluster has no {name}"))
}
