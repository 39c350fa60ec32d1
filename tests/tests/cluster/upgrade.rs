//! The agent before was another version.

use std::fs;

use anyhow::{Result, bail, ensure};
use aya::maps::MapData;
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use serde_json::json;
use xtask::poll;
use xtask::scenario::matcher::mismatches;

use crate::agent::{each_id_once, wait_for_api_end};
use crate::api_server::one_end;
use crate::pins::{Node, full, named_by_api, none_of};

/// An agent with other structures is killed; one session ends meanwhile, one goes on, and one began and ended. The new
/// one reads what the old programs kept, and takes over.
pub fn an_upgrade_to_other_structures(tier: &Tier) -> Result<()> {
    let (patient, node) = (Patient::admit(tier.access()?)?, Node::new(tier)?);
    let old = node.other_agent()?;
    let (over, ends) = (patient.session("over", 51)?, patient.session("ends", 52)?);
    for container in ["over", "ends"] {
        old.wait_for_session("session_started", container)?;
    }
    patient.debug("before", "exit 53")?;
    let before = patient.ended("before")?;
    old.wait_for_session("session_ended", "before")?;
    old.kill()?;
    let generations = node.generations();
    ends.end()?;
    patient.debug("meantime", "exit 54")?;
    let meantime = patient.ended("meantime")?;
    wait_for_api_end(&patient, "ends")?;

    let new = node.agent()?;
    for container in ["ends", "meantime"] {
        new.wait_for_session("session_ended", container)?;
    }
    let replaced =
        poll::until(PATIENCE, || node.generations().len() == 1 && node.generations() != generations);
    ensure!(replaced, "the old programs are still pinned: {:?}", node.generations());
    over.end()?;
    new.wait_for_session("session_ended", "over")?;
    // And back: an older version reads the newer one's.
    new.kill()?;
    patient.debug("back", "exit 55")?;
    let back = patient.ended("back")?;
    let old = node.other_agent()?;
    old.wait_for_session("session_ended", "back")?;
    old.stop()?;
    let all = node.records()?;
    each_id_once(&all)?;
    for (session, end) in [
        (&over, full(51)),
        (&ends, full(52)),
        (&before, full(53)),
        (&meantime, named_by_api(54)),
        (&back, named_by_api(55)),
    ] {
        one_end(session, &end, &all)?;
    }
    none_of("agent_away", &all)
}

/// What another version kept can't be made out: reported with its reason, its interval and the sessions it
/// touches.
pub fn an_unreadable_generation_is_a_gap(tier: &Tier) -> Result<()> {
    let (patient, node) = (Patient::admit(tier.access()?)?, Node::new(tier)?);
    let old = node.other_agent()?;
    let session = patient.session("dbg", 56)?;
    old.wait_for_session("session_started", "dbg")?;
    old.kill()?;
    let generation = node.fs.pins().join(&node.generations()[0]);
    fs::remove_file(generation.join("layout"))?;
    MapData::from_pin(generation.join("map_KEPT"))?.pin(generation.join("layout"))?;
    let new = node.agent()?;
    session.end()?;
    new.wait_for_session("session_ended", "dbg")?;
    let removed = poll::until(PATIENCE, || !generation.exists());
    ensure!(removed, "what can't be read stays pinned");
    new.stop()?;
    let all = node.records()?;
    let gaps: Vec<_> = all.iter().filter(|record| record["type"] == "gap").collect();
    let [gap] = gaps[..] else { bail!("gaps: {gaps:?}") };
    let expected =
        json!({"reason": "witness_unreadable", "from_boot_ns": {"$min": 1}, "sessions": [session.id]});
    ensure!(mismatches(&expected, gap).is_empty(), "{gap}");
    one_end(&session, &full(56), &all)
}
