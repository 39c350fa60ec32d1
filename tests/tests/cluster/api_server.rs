//! The API server goes away and comes back.

use anyhow::{Result, ensure};
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use serde_json::{Value, json};
use xtask::cluster::Cluster;
use xtask::scenario::check;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

/// An API server that is away until [`Away::end`], or until this is dropped.
pub struct Away<'a>(Option<&'a Cluster>);

impl<'a> Away<'a> {
    pub fn begin(cluster: &'a Cluster) -> Result<Self> {
        cluster.stop_api_server()?;
        Ok(Self(Some(cluster)))
    }

    /// Comes back without a memory of what was: a watch that resumed would get 410 Gone (see `gone.rs`). One
    /// that was refused meanwhile lists anew.
    pub fn end(mut self) -> Result<()> {
        let Some(cluster) = self.0.take() else { return Ok(()) };
        cluster.compact()?;
        cluster.start_api_server()
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(Cluster::start_api_server) {
            eprintln!("the API server does not come back: {error:#}");
        }
    }
}

/// A session is recorded from its beginning to its end, but the end comes while the API server is away;
/// afterwards the next one has its name.
pub fn a_session_ends_while_it_is_away(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let before = patient.session("before", 5)?;
    trace.wait_for_session("session_started", "before", PATIENCE)?;
    ends_while_away(&cluster, &trace, &before)?;

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

/// The same for a session that ran before the trace: relisting must not make it a second one.
pub fn a_session_found_running_ends_while_it_is_away(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let found = patient.session("found", 7)?;
    let trace = Trace::start(&patient.access, &[])?;
    // Its start is reported once the API has said what it is: by then the found one's is known, too.
    let other = patient.session("other", 8)?;
    trace.wait_for_session("session_started", "other", PATIENCE)?;
    ends_while_away(&cluster, &trace, &found)?;

    other.end()?;
    trace.wait_for_session("session_ended", "other", PATIENCE)?;
    let records = trace.stop()?;
    one_end(
        &found,
        &json!({"exit_code": 7, "started_at": null, "evidence": {"kernel": "exit_only"}}),
        &records,
    )?;
    one_end(&other, &json!({"exit_code": 8, "evidence": {"kernel": "full"}}), &records)
}

/// A session runs, the API server goes, a trace starts, then the session ends and an ordinary container
/// crashes: which one was a session is not known until the API server is back. Then the session's record
/// comes, once, and no other.
pub fn the_trace_starts_while_it_is_away(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let (patient, crashing) = (Patient::admit(tier.access()?)?, Patient::admit(tier.access()?)?);
    let (session, app) = (patient.session("dbg", 9)?, crashing.app()?);
    let away = Away::begin(&cluster)?;
    let trace = Trace::start(&patient.access, &[])?;
    session.end()?;
    app.signal(Signal::KILL)?;
    patient.tasks.wait_for_exit(&session.id, PATIENCE)?;
    crashing.tasks.wait_for_exit(&app.id, PATIENCE)?;
    let early = trace.records();
    away.end()?;
    trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    let records = trace.stop()?;
    ensure!(
        check::of_sessions(&early).next().is_none(),
        "a record of what could not be known to be a session"
    );
    ensure!(check::sessions(&records).count() == 1, "one record was due: {records:?}");
    one_end(
        &session,
        &json!({"exit_code": 9, "started_at": null, "evidence": {"kernel": "exit_only"}}),
        &records,
    )
}

/// Ends a session while the API server is away. Its record is due before the server is back: what the session
/// is was known, and how it ended comes from the kernel alone.
fn ends_while_away(cluster: &Cluster, trace: &Trace, session: &Session) -> Result<()> {
    let away = Away::begin(cluster)?;
    session.end()?;
    trace.wait_for_session("session_ended", &session.container, PATIENCE)?;
    away.end()
}

pub fn one_end(session: &Session, expected: &Value, records: &[Value]) -> Result<()> {
    let ended = session.records("session_ended", records);
    ensure!(ended.len() == 1, "{}: {} session_ended", session.container, ended.len());
    let wrong = mismatches(expected, ended[0]);
    ensure!(wrong.is_empty(), "{}: {}", session.container, wrong.join("; "));
    Ok(())
}
