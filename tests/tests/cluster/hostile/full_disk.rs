//! A disk that is full while a session makes more records than may wait.

use anyhow::{Context, Result, ensure};
use debugtrail_tests::agent::{RunningAgent, ledger};
use debugtrail_tests::attack::{MEMORY_LIMIT, is_whole, peak_memory};
use debugtrail_tests::debug::Patient;
use debugtrail_tests::small_disk::SmallDisk;
use debugtrail_tests::tier::Tier;
use serde_json::Value;

use super::exec_storm;
use crate::agent::wait_for_api_end;

/// What the session beside it exits with.
const CODE: u8 = 8;

/// What was recorded before there was no room any more is whole; what had none is counted and named, in bounded memory.
pub fn the_loss_of_a_full_disk_is_counted(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let disk = SmallDisk::mount("64m")?;
    let options = ["--argv", "--processes", exec_storm::RECORDED];
    let agent = RunningAgent::start_with(&patient.access, disk.path(), &options)?;
    let beside = patient.session("beside", CODE)?;
    agent.wait_for_session("session_started", "beside")?;
    let filler = disk.fill()?;
    beside.end()?;
    wait_for_api_end(&patient, "beside")?;
    patient.debug("storm", &exec_storm::attack()?)?;
    let storm = patient.ended("storm")?;
    let peak = peak_memory(agent.pid())?;
    std::fs::remove_file(filler)?;
    agent.wait_for_session("session_ended", "beside")?;
    let gap = agent.wait_for("a gap about the full disk", |records| {
        records.iter().find(|record| record["reason"] == "ledger_full").cloned()
    })?;
    agent.stop()?;
    println!("an agent beside a full disk: {} KiB at most", peak / 1024);
    ensure!(peak < MEMORY_LIMIT, "{peak} bytes at most");
    names(&gap, &storm.id)?;
    is_whole(&beside, CODE, &ledger(disk.path())?)
}

fn names(gap: &Value, session: &str) -> Result<()> {
    let lost = gap["lost"].as_u64().context("a gap without a number")?;
    let sessions = gap["sessions"].as_array().context("a gap without sessions")?;
    ensure!(lost > 0 && sessions.iter().any(|named| named == session), "{gap}");
    Ok(())
}
