//! Exits by the hundred thousand on all CPUs, outside a session and inside one: what is kept, what is counted as lost.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::progress::Step;

use crate::load::{self, DONE};
use crate::report::StormRow;
use crate::stage::Stage;
use crate::witness::Witness;

/// Processes that end.
const EXITS: u64 = 400_000;
/// Sessions that end while others storm.
const SESSIONS: u64 = 4;
/// Between the ends of two of them. The storm takes many times as long.
const BETWEEN_ENDS: Duration = Duration::from_secs(1);

/// For what is told after an end: the gap record, as loss is counted once a second, and the log's line.
const COUNTING: Duration = Duration::from_secs(2);

/// Both storms.
///
/// # Errors
/// When one of them cannot be run as it must.
pub fn measure(stage: &Stage) -> Result<Vec<StormRow>> {
    let witness = Witness::start(&stage.access)?;
    let outside = outside(stage, &witness)?;
    let inside = inside(stage, &witness, outside.runtime_members)?;
    witness.stop()?;
    Ok(vec![outside, inside])
}

/// Others storm; meanwhile sessions end.
fn outside(stage: &Stage, witness: &Witness) -> Result<StormRow> {
    let step = Step::begin(&format!("{EXITS} exits outside a session"));
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let pod = &stage.patients[number as usize % stage.patients.len()];
        sessions.push(stage.live_session(witness, pod, &format!("storm-{number}"))?);
    }
    let before = Before::of(witness)?;
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
        ends.extend(witness.wait_for_session("session_ended", &session.pod_uid, &session.container).ok());
    }
    sleep(COUNTING);
    let log = witness.log();
    let own: Vec<_> = ends.iter().map(|end| members_kept(&log, id(&end.record))).collect();
    let right = ends.iter().filter(|end| end.record["signal_name"] == "SIGTERM");
    step.done();
    Ok(StormRow {
        case: "outside a session",
        exits: EXITS + load::workers(),
        seconds,
        sessions_ended: SESSIONS,
        ends_kept: right.count() as u64,
        members_ended: 0,
        runtime_members: agreed(&own),
        members_kept: None,
        members_lost: before.lost_since(witness),
        programs_skipped: before.skipped_since(witness)?,
        peak_rss_kib: witness.status()?.vmhwm,
    })
}

/// The session's main process storms: every exit but its own is a member's.
fn inside(stage: &Stage, witness: &Witness, runtime_members: Option<u64>) -> Result<StormRow> {
    let step = Step::begin(&format!("{EXITS} exits inside a session"));
    let before = Before::of(witness)?;
    let pod = stage.patients.first().context("there is no pod to debug")?;
    let workers = load::workers();
    let words = [EXITS, workers, u64::from(DONE)].map(|number| number.to_string());
    stage.debug(pod, "storm", &["forks", &words[0], &words[1], &words[2]])?;
    let ended = witness.wait_for_session("session_ended", &pod.uid, "storm")?.record;
    sleep(COUNTING);
    let members_kept = members_kept(&witness.log(), id(&ended));
    step.done();
    Ok(StormRow {
        case: "inside a session",
        exits: EXITS + workers + 1,
        seconds: ended["duration_seconds"].as_f64().unwrap_or_default(),
        sessions_ended: 1,
        ends_kept: u64::from(ended["exit_code"] == DONE),
        members_ended: EXITS + workers,
        runtime_members,
        members_kept,
        members_lost: before.lost_since(witness),
        programs_skipped: before.skipped_since(witness)?,
        peak_rss_kib: witness.status()?.vmhwm,
    })
}

/// What all of them say; `None` where they differ or one says nothing.
fn agreed(words: &[Option<u64>]) -> Option<u64> {
    let first = words.first().copied().flatten();
    first.filter(|_| words.iter().all(|word| *word == first))
}

fn id(record: &Value) -> &str {
    record["session_id"].as_str().unwrap_or_default()
}

/// How things stood before a storm.
struct Before {
    lost: u64,
    skipped: u64,
}

impl Before {
    fn of(witness: &Witness) -> Result<Self> {
        witness.forget_peak()?;
        Ok(Self { lost: lost(witness), skipped: witness.counts()?.skipped() })
    }

    fn lost_since(&self, witness: &Witness) -> u64 {
        lost(witness) - self.lost
    }

    fn skipped_since(&self, witness: &Witness) -> Result<u64> {
        Ok(witness.counts()?.skipped() - self.skipped)
    }
}

fn lost(witness: &Witness) -> u64 {
    witness.arrivals().iter().map(|arrival| members_lost(&arrival.record)).sum()
}

/// What a gap record says is missing of members; 0 of any other record.
fn members_lost(record: &Value) -> u64 {
    let is_of_members = record["type"] == "gap" && record["reason"] == "ring_full";
    record["lost"].as_u64().filter(|_| is_of_members).unwrap_or(0)
}

/// The number of a session's members that debugtrail's log tells with its end.
fn members_kept(log: &str, session: &str) -> Option<u64> {
    let line = log.lines().rfind(|line| line.contains(&format!("session={session}")))?;
    let (_, rest) = line.split_once("members=")?;
    rest.split_whitespace().next()?.parse().ok()
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

    #[test]
    fn only_what_all_say_is_taken() {
        assert_eq!(agreed(&[Some(2), Some(2)]), Some(2));
        assert_eq!(agreed(&[Some(2), Some(3)]), None);
        assert_eq!(agreed(&[Some(2), None]), None);
        assert_eq!(agreed(&[]), None);
    }

    #[test]
    fn the_log_tells_the_members_of_a_session() {
        let log = "2026-11-24T23:00:00Z DEBUG debugtrail::pipeline: ended session=a1 members=3\n\
                   2026-11-24T23:00:01Z DEBUG debugtrail::pipeline: ended session=b2 members=400002";
        assert_eq!(members_kept(log, "b2"), Some(400_002));
        assert_eq!(members_kept(log, "c3"), None);
    }
}
