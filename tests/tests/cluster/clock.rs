//! The wall clock steps in the middle of a session.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use serde_json::{Value, json};
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

const STEP_SECONDS: i64 = 3600;

/// An hour ahead of the truth until dropped.
pub struct Stepped;

impl Stepped {
    pub fn forward() -> Result<Self> {
        step(STEP_SECONDS)?;
        Ok(Self)
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        if let Err(error) = step(-STEP_SECONDS) {
            eprintln!("the clock is an hour ahead: {error:#}");
        }
    }
}

fn step(seconds: i64) -> Result<()> {
    let now = clock_gettime(ClockId::Realtime);
    let then = Timespec { tv_sec: now.tv_sec + seconds, ..now };
    clock_settime(ClockId::Realtime, then).context("cannot step the clock: this test needs CAP_SYS_TIME")
}

/// The duration is the session's own; both wall times are of the clock that was in force at the end.
pub fn steps_in_the_middle_of_a_session(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let session = patient.session("dbg", 3)?;
    trace.wait_for_session("session_started", "dbg", PATIENCE)?;

    let stepped = Stepped::forward()?;
    let is_step = |record: &Value| record["type"] == "clock_stepped";
    let forward =
        trace.wait_for("clock_stepped", PATIENCE, |records| records.iter().find(|r| is_step(r)).cloned());
    session.end()?;
    let ended = trace.wait_for_session("session_ended", "dbg", PATIENCE);
    let wall = clock_gettime(ClockId::Realtime);
    drop(stepped);
    let back = trace.wait_for("the step back", PATIENCE, |records| {
        records.iter().filter(|r| is_step(r)).nth(1).cloned()
    })?;
    trace.stop()?;

    let (forward, ended) = (forward?, ended?);
    let step = json!({"step_ns": {"$min": 3.599e12, "$max": 3.601e12}});
    ensure!(mismatches(&step, &forward).is_empty(), "the step forward: {forward}");
    let step = json!({"step_ns": {"$min": -3.601e12, "$max": -3.599e12}});
    ensure!(mismatches(&step, &back).is_empty(), "the step back: {back}");
    let limit = PATIENCE.as_secs() * 3;
    let duration = mismatches(&json!({"duration_seconds": {"$min": 0, "$max": limit}}), &ended);
    ensure!(duration.is_empty(), "{}", duration.join("; "));
    let finished: jiff::Timestamp = ended["finished_at"].as_str().unwrap_or_default().parse()?;
    let late = Duration::from_secs(wall.tv_sec.abs_diff(finished.as_second()));
    ensure!(late < PATIENCE, "finished_at {finished} is not of the clock in force at the end");
    let same = xtask::scenario::check::contradictions(&ended);
    ensure!(same.is_empty(), "{}", same.join("; "));
    Ok(())
}
