//! The processes of a session, as far as a scenario's script can't ask for it.

use anyhow::{Context, Result, ensure};
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use serde_json::{Value, json};
use xtask::scenario::trace::Trace;

/// Processes that a session starts one after the other.
const CHILDREN: u64 = 2000;

/// The session's one record of this type.
fn one<'a>(session: &Session, kind: &str, records: &'a [Value]) -> Result<&'a Value> {
    let all = session.records(kind, records);
    ensure!(all.len() == 1, "{} of {kind}: {all:?}", all.len());
    all.first().copied().context("there is one")
}

pub fn arguments_are_shown_without_secrets(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &["--argv"])?;
    patient.debug("dbg", "/bin/true --password=hunter2 -v https://u:p@host/x; exit 3")?;
    let session = patient.ended("dbg")?;
    trace.wait_for_session("session_closed", "dbg", PATIENCE)?;
    let records = trace.stop()?;
    let main = &one(&session, "session_ended", &records)?["main"];
    ensure!(main["argv"][0] == "sh" && main["argv_truncated"] == false, "main is {main}");
    let processes = &one(&session, "session_processes", &records)?["processes"];
    let argv = json!(["/bin/true", "--password=[redacted]", "-v", "https://u:[redacted]@host/x"]);
    ensure!(processes[0]["argv"] == argv, "{processes}");
    let leaked = records.iter().map(Value::to_string).find(|line| line.contains("hunter2"));
    ensure!(leaked.is_none(), "a secret is recorded: {leaked:?}");
    Ok(())
}

/// A ring of one page, and a reader that stands still: nearly all members' ends are lost, every one is counted, and
/// the end of the session is there.
pub fn the_loss_of_a_full_ring_is_counted(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &["--ring-size", "4"])?;
    let storm = format!("i=0; while [ $i -lt {CHILDREN} ]; do (:); i=$((i+1)); done");
    patient.debug("dbg", &format!("until [ -e /tmp/go ]; do sleep 0.1; done; {storm}; exit 8"))?;
    let started = trace.wait_for_session("session_started", "dbg", PATIENCE)?;
    trace.signal(Signal::STOP)?;
    let pid = started["main"]["pid"].as_u64().context("no pid")?;
    std::fs::write(format!("/proc/{pid}/root/tmp/go"), "")?;
    let session = patient.ended("dbg");
    trace.signal(Signal::CONT)?;
    let session = session?;
    trace.wait_for_session("session_closed", "dbg", PATIENCE)?;
    adds_up(&session, &trace.stop()?)
}

fn adds_up(session: &Session, records: &[Value]) -> Result<()> {
    let ended = one(session, "session_ended", records)?;
    ensure!(ended["exit_code"] == 8 && ended["evidence"]["kernel"] == "full", "{ended}");
    let closed = one(session, "session_closed", records)?;
    let number = |field: &str| closed[field].as_u64().with_context(|| format!("{field} of {closed}"));
    let (processes, recorded, lost) = (number("processes")?, number("recorded")?, number("lost")?);
    ensure!(processes >= CHILDREN && lost > 0 && closed["truncated"] == true, "nothing was lost: {closed}");
    ensure!(recorded + lost == processes, "{recorded} recorded and {lost} lost are not {processes}");
    let chunks = session.records("session_processes", records);
    let held: usize = chunks.iter().filter_map(|chunk| Some(chunk["processes"].as_array()?.len())).sum();
    ensure!(held as u64 == recorded, "{held} stand in session_processes");
    let of_ends = |count: &&Value| count["kind"] == "member_end" && count["cpu"].is_u64();
    let gaps: Vec<&Value> = records.iter().filter(|record| record["reason"] == "ring_full").collect();
    let counts = gaps.iter().filter_map(|gap| gap["counts"].as_array()).flatten();
    let counted: u64 = counts.filter(of_ends).filter_map(|count| count["lost"].as_u64()).sum();
    ensure!(counted == lost, "the gaps count {counted}: {gaps:?}");
    let touched = gaps.iter().all(|gap| gap["from_at"].is_string() && gap["to_at"].is_string());
    ensure!(touched, "a gap without its interval: {gaps:?}");
    let lost_events = closed["evidence"]["lost_events"].as_u64();
    ensure!(lost_events >= Some(lost), "the session's evidence does not say so: {closed}");
    Ok(())
}
