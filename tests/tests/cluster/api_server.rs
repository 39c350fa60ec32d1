//! The API server goes away and comes back.

use anyhow::{Result, ensure};
use debugtrail::kernel::inspect::cgroups;
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use serde_json::{Value, json};
use xtask::poll;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

/// The end comes while nobody answers; the watch is told 410 Gone afterwards; the next session has its name.
pub fn a_session_ends_while_it_is_away(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let before = patient.session("before", 5)?;
    trace.wait_for_session("session_started", "before", PATIENCE)?;

    cluster.stop_api_server()?;
    before.end()?;
    // The record is due now: what the session is was known, and how it ended only the kernel has to say.
    trace.wait_for_session("session_ended", "before", PATIENCE)?;
    cluster.compact()?;
    cluster.start_api_server()?;

    let again = Patient::admit(tier.access()?)?;
    let after = again.session("after", 6)?;
    after.end()?;
    trace.wait_for_session("session_ended", "after", PATIENCE)?;
    let records = trace.stop()?;
    one_end(
        &before,
        &json!({"exit_code": 5, "container_name": "before", "evidence": {"kernel": "full"}}),
        &records,
    )?;
    one_end(
        &after,
        &json!({"exit_code": 6, "container_name": "after", "evidence": {"kernel": "full"}}),
        &records,
    )
}

/// A session runs, the API server goes, a trace starts and the session ends: the record waits for the API's word on
/// what it was, and comes once.
pub fn the_trace_starts_while_it_is_away(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let session = patient.session("dbg", 7)?;
    cluster.stop_api_server()?;
    let trace = Trace::spawn(&patient.access, &[])?;
    let found = || cgroups().is_ok_and(|found| found.iter().any(|cgroup| cgroup.path.contains(&session.id)));
    ensure!(poll::until(PATIENCE, found), "the trace's scan does not find the session");
    session.end()?;
    patient.tasks.wait_for_exit(&session.id, PATIENCE)?;
    let early = trace.records();
    cluster.start_api_server()?;
    trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    let records = trace.stop()?;
    ensure!(
        session.records("session_ended", &early).is_empty(),
        "a session_ended of what could not be known to be a session"
    );
    one_end(&session, &json!({"exit_code": 7, "evidence": {"kernel": "exit_only"}}), &records)
}

fn one_end(session: &Session, expected: &Value, records: &[Value]) -> Result<()> {
    let ended = session.records("session_ended", records);
    ensure!(ended.len() == 1, "{}: {} session_ended", session.container, ended.len());
    let wrong = mismatches(expected, ended[0]);
    ensure!(wrong.is_empty(), "{}: {}", session.container, wrong.join("; "));
    Ok(())
}
