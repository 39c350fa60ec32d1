//! Thousands of connections to the agent's port, none of which asks for anything.

use anyhow::{Context, Result, ensure};
use debugtrail_tests::agent::RunningAgent;
use debugtrail_tests::attack::{Attack, is_whole, text};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use procfs::process::Process;
use xtask::poll;

const CONNECTIONS: &str = "1100";

/// The agent has some 40 descriptors of its own. More than these would be the connections'.
const DESCRIPTORS: usize = 100;

/// What the session exits with.
const CODE: u8 = 7;

/// A session that starts and ends meanwhile is recorded, and probes and scrapes are answered.
pub fn idle_connections_keep_no_client_out(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let folder = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, &folder.path().join("ledger"))?;
    let (host, port) = (agent.address().ip().to_string(), agent.address().port().to_string());
    let open = folder.path().join("open");
    let variables = [("HOST", &*host), ("PORT", &port), ("COUNT", CONNECTIONS), ("OPEN", text(&open)?)];
    let _attack = Attack::start("idle_connections", &variables)?;
    ensure!(poll::until(PATIENCE, || open.exists()), "the connections are not opened");
    let session = patient.session("dbg", CODE)?;
    agent.wait_for_session("session_started", "dbg")?;
    for path in ["/startupz", "/livez", "/readyz", "/metrics"] {
        let (status, body) = agent.get(path).with_context(|| format!("{path} is not answered"))?;
        ensure!(status == 200, "{path}: {status} {body}");
    }
    let descriptors = descriptors(&agent)?;
    ensure!(descriptors < DESCRIPTORS, "the agent has {descriptors} descriptors");
    session.end()?;
    agent.wait_for_session("session_ended", "dbg")?;
    is_whole(&session, CODE, &agent.stop()?)
}

fn descriptors(agent: &RunningAgent) -> Result<usize> {
    let records = agent.records();
    let started = records.iter().find(|record| record["type"] == "agent_started").context("no start")?;
    let pid = started["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).context("no pid")?;
    Ok(Process::new(pid)?.fd_count()?)
}
