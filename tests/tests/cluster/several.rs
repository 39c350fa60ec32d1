//! Several sessions at once, and which of them are wanted.

use anyhow::{Result, ensure};
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use serde_json::{Value, json};
use xtask::scenario::check;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

/// Two pods, four sessions each under the same names, all running at the same moment.
pub fn each_under_its_own_name(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let trace = Trace::start(&access, &[])?;
    let patients = [Patient::admit(access.clone())?, Patient::admit(access)?];
    let mut sessions = Vec::new();
    for code in 1..=4 {
        for (patient, base) in patients.iter().zip([20, 30]) {
            let session = patient.session(&format!("dbg-{code}"), base + code)?;
            sessions.push((patient, base + code, session));
        }
    }
    sessions.iter().try_for_each(|(_, _, session)| session.end())?;
    trace.wait_for("all sessions' ends", PATIENCE, |records| {
        sessions
            .iter()
            .all(|(_, _, session)| !session.records("session_ended", records).is_empty())
            .then_some(())
    })?;
    let records = trace.stop()?;
    for (patient, code, session) in &sessions {
        let ended = one_end(session, &records)?;
        let expected = json!({
            "container_name": session.container, "namespace": patient.pod.namespace, "pod_uid": patient.pod.uid,
            "exit_code": code, "main": {"pid": session.pid}, "evidence": {"kernel": "full"},
        });
        let wrong = mismatches(&expected, ended);
        ensure!(wrong.is_empty(), "{}: {}", session.container, wrong.join("; "));
    }
    Ok(())
}

/// `--namespace` leaves the others out, and knows them all the same.
pub fn only_the_wanted_namespace(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let (wanted, other) = (Patient::admit(access.clone())?, Patient::admit(access.clone())?);
    let trace = Trace::start(&access, &["--namespace", &wanted.pod.namespace])?;
    for patient in [&other, &wanted] {
        patient.session("dbg", 9)?.end()?;
    }
    trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    let records = trace.stop()?;
    let spaces: Vec<&Value> = check::of_sessions(&records).map(|record| &record["namespace"]).collect();
    ensure!(
        spaces.iter().all(|space| **space == *wanted.pod.namespace),
        "records of the namespaces {spaces:?}"
    );
    let count = check::sessions(&records).count();
    ensure!(count == 2, "a session_started and a session_ended were due, not {count} records");
    Ok(())
}

/// `--all-containers` gives the ordinary ones, too, and says that they are; the pause container is none.
pub fn every_container_when_asked(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let trace = Trace::start(&access, &["--all-containers"])?;
    let patient = Patient::admit(access)?;
    trace.wait_for_session("session_started", "app", PATIENCE)?;
    let (namespace, pod) = (patient.pod.namespace.clone(), patient.pod.name.clone());
    patient.access.kubectl_output(&["delete", "pod", &pod, "-n", &namespace, "--wait=false"])?;
    let ended = |record: &Value| record["type"] == "session_ended" && record["namespace"] == *namespace;
    trace.wait_for("the end of app", PATIENCE, |records| records.iter().any(ended).then_some(()))?;
    let records = trace.stop()?;
    let ours: Vec<&Value> =
        check::sessions(&records).filter(|record| record["namespace"] == *namespace).collect();
    ensure!(ours.len() == 2, "a session_started and a session_ended were due, not {} records", ours.len());
    for record in ours {
        // `sleep` is pid 1 and does not handle SIGTERM: after the grace period the runtime kills it.
        let wrong = mismatches(&json!({"container_name": "app", "session_kind": "container"}), record);
        ensure!(wrong.is_empty(), "{}: {}", record["type"], wrong.join("; "));
    }
    Ok(())
}

fn one_end<'a>(session: &Session, records: &'a [Value]) -> Result<&'a Value> {
    match session.records("session_ended", records).as_slice() {
        [one] => Ok(one),
        ended => anyhow::bail!("{}: {} session_ended", session.container, ended.len()),
    }
}
