//! What a trace leaves behind: nothing.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::agent::RunningAgent;
use debugtrail_tests::attack::is_whole;
use debugtrail_tests::debug::Patient;
use debugtrail_tests::kernel_objects::KernelObjects;
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use xtask::poll;
use xtask::scenario::trace::Trace;

/// The kernel frees programs and maps a moment after their last user is gone.
const FREEING: Duration = Duration::from_secs(10);

/// Ctrl-C.
pub fn an_interrupt_leaves_nothing_in_the_kernel(tier: &Tier) -> Result<()> {
    leaves_nothing(tier, Signal::INT, "interrupted")
}

/// The terminal is closed, or the connection is gone.
pub fn a_hangup_leaves_nothing_in_the_kernel(tier: &Tier) -> Result<()> {
    leaves_nothing(tier, Signal::HUP, "hung_up")
}

/// It has no terminal.
pub fn an_agent_ignores_a_hangup(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let ledger = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, ledger.path())?;
    let session = patient.session("dbg", 3)?;
    agent.wait_for_session("session_started", "dbg")?;
    agent.signal(Signal::HUP)?;
    session.end()?;
    agent.wait_for_session("session_ended", "dbg")?;
    is_whole(&session, 3, &agent.stop()?)
}

fn leaves_nothing(tier: &Tier, signal: Signal, expected: &str) -> Result<()> {
    let access = tier.access()?;
    let before = KernelObjects::now()?;
    let trace = Trace::start(&access, &[])?;
    let added = KernelObjects::now()?.since(&before);
    ensure!(added.iter().any(|object| object.starts_with("program")), "no BPF program is loaded: {added:?}");
    let records = trace.stop_by(signal)?;
    let reason = records.last().map(|record| record["reason"].clone());
    ensure!(reason == Some(expected.into()), "agent_stopped gives the reason {reason:?}");
    let left = || Ok::<_, anyhow::Error>(KernelObjects::now()?.since(&before));
    poll::until(FREEING, || left().is_ok_and(|left| !left.iter().any(|object| added.contains(object))));
    let left: Vec<String> = left()?.into_iter().filter(|object| added.contains(object)).collect();
    ensure!(left.is_empty(), "left in the kernel: {}", left.join(", "));
    Ok(())
}

/// `debugtrail trace | head -1`: the reader leaves, the next record cannot be written, and that is no failure.
pub fn a_closed_pipe_is_a_quiet_end(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let mut child =
        patient.access.trace().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut first = String::new();
    let stdout = child.stdout.take().context("no stdout")?;
    let read = BufReader::new(stdout).read_line(&mut first);
    let session = patient.session("dbg", 1).and_then(|session| session.end());
    let ended = poll::until(Duration::from_secs(30), || matches!(child.try_wait(), Ok(Some(_))));
    if !ended {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    read?;
    session?;
    ensure!(first.contains("agent_started"), "the first line is {first:?}");
    ensure!(ended, "the trace does not end though it has no reader");
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {said}", output.status);
    let loud = ["rror", "panic", "roken pipe"].into_iter().find(|word| said.contains(word));
    ensure!(loud.is_none(), "not a quiet end: {said}");
    Ok(())
}
