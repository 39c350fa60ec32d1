//! Exits by the hundred thousand on all CPUs, outside a session and inside one: what is kept, what is counted as lost.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use xtask::progress::Step;

use crate::load::{self, DONE};
use crate::report::StormRow;
use crate::stage::Stage;
use crate::trace::TimedTrace;

/// Processes that end.
const EXITS: u64 = 400_000;
/// Sessions that end while others storm.
const SESSIONS: u64 = 4;
/// Between the ends of two of them. The storm takes many times as long.
const BETWEEN_ENDS: Duration = Duration::from_secs(1);

/// How long the reader stands still in the middle of a storm.
const READER_STOPPED: Duration = Duration::from_secs(1);
/// For what is reported after an end: the gap record, as loss is counted once a second.
const COUNTING: Duration = Duration::from_secs(2);

/// All storms.
///
/// # Errors
/// When one of them cannot be run as it must.
pub fn measure(stage: &Stage) -> Result<Vec<StormRow>> {
    let trace = TimedTrace::start(&stage.access)?;
    let outside = outside(stage, &trace)?;
    let read = inside(stage, &trace, "inside a session", |_| Ok(()))?;
    let unread = inside(stage, &trace, "inside, its reader stopped for 1 s", stop_reading)?;
    trace.stop()?;
    Ok(vec![outside, read, unread])
}

fn stop_reading(trace: &TimedTrace) -> Result<()> {
    trace.signal(Signal::STOP)?;
    sleep(READER_STOPPED);
    trace.signal(Signal::CONT)
}

/// Others storm; meanwhile sessions end.
fn outside(stage: &Stage, trace: &TimedTrace) -> Result<StormRow> {
    let step = Step::begin(&format!("{EXITS} exits outside a session"));
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let pod = &stage.patients[number as usize % stage.patients.len()];
        sessions.push(stage.live_session(trace, pod, &format!("storm-{number}"))?);
    }
    let before = Before::of(trace)?;
    let began = Instant::now();
    let mut storm = load::start_forks(EXITS)?;
    for session in &sessions {
        sleep(BETWEEN_ENDS);
        session.end()?;
    }
    ensure!(storm.try_wait()?.is_none(), "the storm was over before the last session ended");
    load::finish(storm)?;
    let seconds = began.elapsed().as_secs_f64();
    let mut ends = Vec::new();
    for session in &sessions {
        ends.extend(trace.wait_for_session("session_ended", &session.pod_uid, &session.container).ok());
    }
    sleep(COUNTING);
    let right = ends.iter().filter(|end| end.record["signal_name"] == "SIGTERM");
    step.done();
    Ok(StormRow {
        case: "outside a session",
        exits: EXITS + load::workers(),
        seconds,
        sessions_ended: SESSIONS,
        ends_kept: right.count() as u64,
        members_ended: 0,
        members_heard: None,
        members_lost: None,
        counted_lost: before.lost_since(trace),
        programs_skipped: before.skipped_since(trace)?,
        peak_rss_kib: trace.status()?.vmhwm,
    })
}

/// The session's main process storms: every exit but its own is a member's.
fn inside(
    stage: &Stage,
    trace: &TimedTrace,
    case: &'static str,
    meanwhile: impl FnOnce(&TimedTrace) -> Result<()>,
) -> Result<StormRow> {
    let step = Step::begin(&format!("{EXITS} exits {case}"));
    let before = Before::of(trace)?;
    let pod = stage.patients.first().context("there is no pod to debug")?;
    let workers = load::workers();
    let words = [EXITS, workers, u64::from(DONE)].map(|number| number.to_string());
    let container = format!("storm-{}", case.len());
    stage.debug(pod, &container, &["forks", &words[0], &words[1], &words[2]])?;
    trace.wait_for_session("session_started", &pod.uid, &container)?;
    meanwhile(trace)?;
    let ended = trace.wait_for_session("session_ended", &pod.uid, &container)?.record;
    let closed = trace.wait_for_session("session_closed", &pod.uid, &container)?.record;
    sleep(COUNTING);
    step.done();
    let number = |field: &str| closed[field].as_u64();
    Ok(StormRow {
        case,
        exits: EXITS + workers + 1,
        seconds: ended["duration_seconds"].as_f64().unwrap_or_default(),
        sessions_ended: 1,
        ends_kept: u64::from(ended["exit_code"] == DONE),
        members_ended: EXITS + workers,
        members_heard: number("processes").zip(number("lost")).map(|(all, lost)| all - lost),
        members_lost: number("lost"),
        counted_lost: before.lost_since(trace),
        programs_skipped: before.skipped_since(trace)?,
        peak_rss_kib: trace.status()?.vmhwm,
    })
}

/// How things stood before a storm.
struct Before {
    lost: u64,
    skipped: u64,
}

impl Before {
    fn of(trace: &TimedTrace) -> Result<Self> {
        trace.forget_peak()?;
        Ok(Self { lost: lost(trace), skipped: trace.counts()?.skipped() })
    }

    fn lost_since(&self, trace: &TimedTrace) -> u64 {
        lost(trace) - self.lost
    }

    fn skipped_since(&self, trace: &TimedTrace) -> Result<u64> {
        Ok(trace.counts()?.skipped() - self.skipped)
    }
}

fn lost(trace: &TimedTrace) -> u64 {
    trace.arrivals().iter().map(|arrival| members_lost(&arrival.record)).sum()
}

/// What a gap record says is missing of members; 0 of any other record.
fn members_lost(record: &Value) -> u64 {
    let is_of_members = record["type"] == "gap" && record["reason"] == "ring_full";
    record["lost"].as_u64().filter(|_| is_of_members).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_gaps_of_members_count_as_lost_members() {
        assert_eq!(members_lost(&json!({"type": "gap", "reason": "ring_full", "lost": 7})), 7);
        assert_eq!(members_lost(&json!({"type": "gap", "reason": "output_full", "lost": 7})), 0);
        assert_eq!(members_lost(&json!({"type": "session_ended"})), 0);
    }
}
