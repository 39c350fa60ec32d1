//! What is done by root in a session, or by who was.

use anyhow::{Result, ensure};
use debugtrail_tests::attack::{Attack, cgroup, is_whole, text};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use serde_json::json;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

use super::cgroups::Files;

/// What the sessions exit with.
const CODE: u8 = 8;

/// More cgroups than the kernel side has room for.
const SUB_CGROUPS: &str = "4200";

/// Thousands of cgroups made in one session take no other's room, and cost none a fact.
pub fn thousands_of_sub_cgroups_starve_no_session(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let session = patient.session("dbg", CODE)?;
    trace.wait_for_session("session_started", "dbg", PATIENCE)?;
    let files = Files::new("debugtrail-inside")?;
    let own = cgroup(&session)?;
    let attack = files.start("sub_cgroups", &[("OWN", text(&own)?), ("COUNT", SUB_CGROUPS)])?;
    let beside = patient.session("beside", CODE)?;
    trace.wait_for_session("session_started", "beside", PATIENCE)?;
    beside.end()?;
    trace.wait_for_session("session_closed", "beside", PATIENCE)?;
    files.end(attack)?;
    session.end()?;
    trace.wait_for_session("session_closed", "dbg", PATIENCE)?;
    let records = trace.stop()?;
    let gap = records.iter().find(|record| record["type"] == "gap");
    ensure!(gap.is_none(), "a gap where nothing was missed: {gap:?}");
    is_whole(&session, CODE, &records)?;
    is_whole(&beside, CODE, &records)
}

/// A process whose mount namespace has the number of one that is gone has entered no session.
pub fn a_reused_namespace_number_is_no_entering(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let session = patient.session("dbg", CODE)?;
    trace.wait_for_session("session_started", "dbg", PATIENCE)?;
    session.end()?;
    trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    Attack::run("mount_namespaces", &[])?;
    let closed = trace.wait_for_session("session_closed", "dbg", PATIENCE)?;
    ensure!(closed["entered"] == 0, "a process entered: {closed}");
    let records = trace.stop()?;
    is_whole(&session, CODE, &records)
}

/// Who chooses the code of a signal is its sender all the same, and no runtime by its name.
pub fn a_chosen_code_and_name_hide_no_killer(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let (session, beside) = (patient.session("dbg", CODE)?, patient.session("beside", CODE)?);
    for container in ["dbg", "beside"] {
        trace.wait_for_session("session_started", container, PATIENCE)?;
    }
    let folder = tempfile::tempdir()?;
    let pid = session.pid.to_string();
    Attack::run("chosen_code", &[("PID", &pid), ("FOLDER", text(folder.path())?)])?;
    let ended = trace.wait_for_session("session_ended", "dbg", PATIENCE)?;
    beside.end()?;
    trace.wait_for_session("session_ended", "beside", PATIENCE)?;
    let records = trace.stop()?;
    let expected = json!({
        "signal": 9, "cause": null,
        "killed_by": {"comm": "runc", "place": "host", "kernel": null},
    });
    let wrong = mismatches(&expected, &ended);
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    is_whole(&beside, CODE, &records)
}
