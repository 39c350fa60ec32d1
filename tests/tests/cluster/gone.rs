//! 410 Gone: a watch that resumes where the API server no longer remembers.
//!
//! A watch on the API server itself never does: when the server goes, resuming is refused, and then the pods are
//! listed anew. It takes something between the two that is still there when the API server is not.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use debugtrail_tests::balancer::Balancer;
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use serde_json::json;
use xtask::poll;
use xtask::scenario::trace::Trace;

use super::api_server::{Away, one_end};

/// Of one watch; `pods/watch.rs` asks for a minute, and makes its next call over another connection.
const WATCH: Duration = Duration::from_secs(55);

/// What a busy machine can need for the API server and the kubelet to be back, now and then longer than [`WATCH`].
const TRIES: usize = 5;

/// The API server is replaced behind a load balancer, a session begins, and only then does the watch's connection break. The
/// watch resumes, gets 410, and lists: the session that it missed has its name, and the one that it knew is recorded once.
pub fn a_watch_that_cannot_resume_lists_anew(tier: &Tier) -> Result<()> {
    for n in 1..=TRIES {
        if resumes_and_lists(tier, n)? {
            return Ok(());
        }
    }
    bail!("{TRIES} times the API server and the kubelet took longer to come back than a watch lasts")
}

/// One try; false where the watch had ended by itself before its connection broke, which is another case.
/// Its sessions have names of their own: those of the try before may still be there.
fn resumes_and_lists(tier: &Tier, n: usize) -> Result<bool> {
    let names = [format!("known-{n}"), format!("missed-{n}")];
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    // Before the API server goes: controllers and scheduler take long to come back for a new pod.
    let mut other = Patient::admit(tier.access()?)?;
    let balancer = Balancer::before(cluster.kubeconfig())?;
    let begun = Instant::now();
    let trace = Trace::start(&balancer.access(patient.access.clone()), &[])?;
    let known = patient.session(&names[0], 5)?;
    trace.wait_for_session("session_started", &names[0], PATIENCE)?;

    Away::begin(&cluster)?.end()?;
    other.watch_anew()?;
    let missed = other.session(&names[1], 6)?;
    if begun.elapsed() > WATCH {
        return Ok(false);
    }
    balancer.cut();
    trace.wait_for_session("session_started", &names[1], PATIENCE)?;
    let gone = poll::until(PATIENCE, || trace.log().contains("410 Gone: too old resource version"));
    ensure!(gone, "the API server did not answer the watch 410; the trace said:\n{}", trace.log());
    each_is_reported_once(trace, &known, &missed)?;
    Ok(true)
}

fn each_is_reported_once(trace: Trace, known: &Session, missed: &Session) -> Result<()> {
    for session in [known, missed] {
        session.end()?;
        trace.wait_for_session("session_ended", &session.container, PATIENCE)?;
    }
    let log = trace.log();
    let records = trace.stop()?;
    ensure!(!log.contains("lost the API server"), "it was there all the time:\n{log}");
    for (session, code) in [(known, 5), (missed, 6)] {
        let starts = session.records("session_started", &records).len();
        ensure!(starts == 1, "{}: {starts} session_started", session.container);
        let expected = json!({
            "exit_code": code, "container_name": session.container, "session_kind": "ephemeral",
            "main": {"pid": session.pid}, "evidence": {"kernel": "full", "kind_by": "declared"},
        });
        one_end(session, &expected, &records)?;
    }
    Ok(())
}
