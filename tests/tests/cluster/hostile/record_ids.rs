//! Two runs in one boot, which is also what the nodes of a kind cluster are.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use serde_json::Value;
use xtask::scenario::trace::Trace;

/// Records of two runs have ids of their own. A session's are the same: they are about the same fact.
pub fn two_runs_in_a_boot_share_none(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let runs = [Trace::start(&patient.access, &[])?, Trace::start(&patient.access, &[])?];
    let session = patient.session("dbg", 3)?;
    session.end()?;
    for run in &runs {
        run.wait_for_session("session_ended", "dbg", PATIENCE)?;
    }
    let [first, second] = runs.map(Trace::stop);
    let (first, second) = (first?, second?);
    let (first_ids, second_ids) = (ids_of_the_node(&first), ids_of_the_node(&second));
    ensure!(first_ids.len() >= 2 && second_ids.len() >= 2, "{first_ids:?} and {second_ids:?}");
    ensure!(first_ids.is_disjoint(&second_ids), "{first_ids:?} and {second_ids:?}");
    let ended = [&first, &second].map(|records| session.records("session_ended", records)[0]["id"].clone());
    ensure!(ended[0] == ended[1], "{ended:?}");
    Ok(())
}

/// Of the records that are about no session.
fn ids_of_the_node(records: &[Value]) -> BTreeSet<&str> {
    let of_none = records.iter().filter(|record| record["session_id"].is_null());
    of_none.filter_map(|record| record["id"].as_str()).collect()
}
