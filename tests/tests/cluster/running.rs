//! Sessions that run already when the trace starts.

use anyhow::{Result, ensure};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use serde_json::json;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

pub fn sessions_that_run_when_the_trace_starts(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let sessions = [patient.session("one", 11)?, patient.session("two", 12)?];
    let trace = Trace::start(&patient.access, &[])?;
    for session in &sessions {
        session.end()?;
        trace.wait_for_session("session_ended", &session.container, PATIENCE)?;
    }
    let records = trace.stop()?;
    for (session, code) in sessions.iter().zip([11, 12]) {
        let ended = session.records("session_ended", &records);
        ensure!(ended.len() == 1, "{}: {} session_ended", session.container, ended.len());
        let expected = json!({
            "container_name": session.container, "target_container": "app", "session_kind": "ephemeral",
            "pod_name": patient.pod.name, "pod_uid": patient.pod.uid, "exit_code": code, "signal": null,
            "exit_class": "ERROR", "started_at": null, "started_boot_ns": null, "duration_ns": null,
            "duration_seconds": null, "finished_at": {"$any_non_null": true},
            "main": {"pid": session.pid}, "evidence": {"kernel": "exit_only", "kind_by": "declared"},
        });
        let wrong = mismatches(&expected, ended[0]);
        ensure!(wrong.is_empty(), "{}: {}", session.container, wrong.join("; "));
    }
    Ok(())
}
