//! A session that runs thousands of programs with thousands of arguments.

use anyhow::{Context, Result, ensure};
use debugtrail_tests::attack::{MEMORY_LIMIT, is_whole, peak_memory, script};
use debugtrail_tests::debug::{Patient, Session};
use debugtrail_tests::tier::Tier;
use serde_json::Value;
use std::time::Duration;
use xtask::scenario::trace::Trace;

/// Programs that one storm runs.
const PROGRAMS: u64 = 10_000;
/// Programs of it that do not end by themselves.
const SLEEPERS: u64 = 300;
/// For a storm on a busy machine.
pub const STORM: Duration = Duration::from_secs(180);
/// How many processes may be recorded: more than there are.
pub const RECORDED: &str = "20000";
/// What the session beside it exits with.
const CODE: u8 = 6;

/// A session beside it is recorded meanwhile; the storm's own processes are counted, all of them, in bounded memory.
pub fn a_storm_with_arguments_holds_up_nothing(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &["--argv", "--processes", RECORDED])?;
    patient.debug("storm", &attack()?)?;
    trace.wait_for_session("session_started", "storm", STORM)?;
    let beside = patient.session("beside", CODE)?;
    beside.end()?;
    trace.wait_for_session("session_closed", "beside", STORM)?;
    ensure!(!is_over(&trace.records()), "the storm was over before the session beside it");
    let closed = trace.wait_for_session("session_closed", "storm", STORM)?;
    let storm = patient.ended("storm")?;
    let peak = peak_memory(trace.pid())?;
    let records = trace.stop()?;
    println!("trace beside {PROGRAMS} programs of 1,000 arguments: {} KiB at most", peak / 1024);
    ensure!(peak < MEMORY_LIMIT, "{peak} bytes at most");
    is_whole(&beside, CODE, &records)?;
    adds_up(&storm, &closed, &records)
}

/// A signal in the middle of a storm ends `trace` gracefully.
pub fn a_signal_ends_the_trace_of_a_storm(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &["--argv"])?;
    patient.debug("storm", &attack()?)?;
    trace.wait_for_session("session_started", "storm", STORM)?;
    let records = trace.stop()?;
    ensure!(!is_over(&records), "the storm was over before the signal");
    Ok(())
}

/// The attacker's script with its variables, as `kubectl debug` takes it.
pub fn attack() -> Result<String> {
    let script = script("exec_storm");
    let text = std::fs::read_to_string(&script).with_context(|| format!("{}", script.display()))?;
    Ok(format!("COUNT={PROGRAMS} SLEEPERS={SLEEPERS}\n{text}"))
}

fn is_over(records: &[Value]) -> bool {
    records.iter().any(|record| record["type"] == "session_ended" && record["container_name"] == "storm")
}

fn adds_up(storm: &Session, closed: &Value, records: &[Value]) -> Result<()> {
    let ended = storm.records("session_ended", records);
    ensure!(ended.len() == 1 && ended[0]["exit_code"] == 9, "{ended:?}");
    let number = |field: &str| closed[field].as_u64().with_context(|| format!("{field} of {closed}"));
    let (processes, recorded, lost) = (number("processes")?, number("recorded")?, number("lost")?);
    ensure!(processes >= PROGRAMS + SLEEPERS && recorded + lost == processes, "{closed}");
    Ok(())
}
