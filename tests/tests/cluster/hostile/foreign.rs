//! Containers of pods that the API server does not list for this node.

use std::time::Duration;

use anyhow::{Result, ensure};
use debugtrail::session::FOREIGN_AFTER;
use debugtrail_tests::attack::is_whole;
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use serde_json::json;
use xtask::scenario::check;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

use crate::unresolved::{Stray, cri_annotations};

/// What the session beside it exits with.
const CODE: u8 = 9;

/// One that the runtime names after such a pod is no session of this node, and is not passed over in silence either.
pub fn another_kubelets_container_is_a_gap(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &[])?;
    let stray =
        Stray::annotated(&cluster, "sleep 1000", |uid| cri_annotations("dbg", "default", "elsewhere", uid))?;
    let session = patient.session("beside", CODE)?;
    session.end()?;
    trace.wait_for_session("session_closed", "beside", PATIENCE)?;
    let gap =
        trace.wait_for("a gap of reason foreign", FOREIGN_AFTER + Duration::from_secs(30), |records| {
            records.iter().find(|record| record["reason"] == "foreign").cloned()
        })?;
    let expected = json!({
        "reason": "foreign", "lost": 1, "sessions": [stray.id],
        "pods": [{"namespace": "default", "name": "elsewhere", "uid": stray.pod_uid}],
    });
    let wrong = mismatches(&expected, &gap);
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    let records = trace.stop()?;
    is_whole(&session, CODE, &records)?;
    let of_it = check::of_sessions(&records).find(|record| record["session_id"] == stray.id.as_str());
    ensure!(of_it.is_none(), "a record of another kubelet's container: {of_it:?}");
    Ok(())
}
