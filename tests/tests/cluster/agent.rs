//! `debugtrail agent` from one start to the next: nothing is lost, nothing comes twice.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::agent::{RunningAgent, ledger};
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::small_disk::SmallDisk;
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use serde_json::{Value, json};
use xtask::poll;
use xtask::scenario::matcher::mismatches;

use crate::api_server::{Away, one_end};

/// Killed in the middle of sessions: one runs on and ends under the next agent, one ends meanwhile, one begins and ends
/// meanwhile.
pub fn goes_on_where_it_was_killed(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let folder = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, folder.path())?;
    let (over, ends) = (patient.session("over", 41)?, patient.session("ends", 42)?);
    for container in ["over", "ends"] {
        agent.wait_for_session("session_started", container)?;
    }
    let first = agent.kill()?;
    ends.end()?;
    let meantime = patient.session("meantime", 43)?;
    meantime.end()?;
    for session in [&ends, &meantime] {
        wait_for_api_end(&patient, &session.container)?;
    }
    let agent = RunningAgent::start(&patient.access, folder.path())?;
    over.end()?;
    for container in ["ends", "meantime", "over"] {
        agent.wait_for_session("session_ended", container)?;
    }
    agent.wait_for_session("session_reconciled", "over")?;
    let mut second = agent.stop()?;
    // Killed between the write to stdout and the cursor's, it gives that record once more.
    if first.last() == second.first() {
        second.remove(0);
    }

    let all = [first, second].concat();
    ensure!(all == ledger(folder.path())?, "stdout of both agents is not what the ledger holds");
    each_id_once(&all)?;
    one_end(
        &over,
        &json!({"exit_code": 41, "duration_ns": {"$min": 1}, "evidence": {"kernel": "full"}}),
        &all,
    )?;
    let expected = |kernel: &str, code: u8| {
        json!({"exit_code": null, "signal": null, "exit_class": "UNKNOWN", "finished_at": null,
            "evidence": {"kernel": kernel, "api": {"exit_code": code, "synthetic": null}}})
    };
    one_end(&ends, &expected("start_only", 42), &all)?;
    one_end(&meantime, &expected("none", 43), &all)?;
    let gap = gap(&all)?;
    let wrong = mismatches(
        &json!({"from_boot_ns": {"$min": 1}, "to_boot_ns": {"$min": 1}, "from_at": {"$any_non_null": true}}),
        gap,
    );
    ensure!(wrong.is_empty(), "the gap: {}", wrong.join("; "));
    for session in [&over, &ends] {
        let ids = gap["sessions"].as_array().context("a gap has sessions")?;
        ensure!(ids.contains(&session.id.as_str().into()), "the gap does not name {}", session.container);
    }
    Ok(())
}

/// The API goes away, then the agent is killed and starts again: a container that crashes over and over has no record,
/// a session that ends has one, at once and under its name.
pub fn knows_its_pods_without_the_api(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let (patient, crashing) = (Patient::admit(tier.access()?)?, Patient::admit(tier.access()?)?);
    let folder = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, folder.path())?;
    let (session, app) = (patient.session("dbg", 44)?, crashing.app()?);
    agent.wait_for_session("session_started", "dbg")?;
    state_names(folder.path(), "dbg")?;
    let away = Away::begin(&cluster)?;
    agent.kill()?;

    let agent = RunningAgent::start(&patient.access, folder.path())?;
    // `agent_started` is written before the first round, which both probes go by.
    for probe in ["/livez", "/readyz"] {
        let passes = || agent.get(probe).is_ok_and(|(status, _)| status == 200);
        ensure!(poll::until(PATIENCE, passes), "an API outage must not fail {probe}");
    }
    app.signal(Signal::KILL)?;
    crashing.tasks.wait_for_exit(&app.id, PATIENCE)?;
    session.end()?;
    agent.wait_for_session("session_ended", "dbg")?;
    let metrics = agent.get("/metrics")?.1;
    ensure!(metrics.contains("debugtrail_api_synced 0"), "the API is away:\n{metrics}");
    away.end()?;
    agent.wait_for_session("session_reconciled", "dbg")?;
    agent.stop()?;
    let all = ledger(folder.path())?;
    each_id_once(&all)?;
    one_end(
        &session,
        &json!({"exit_code": 44, "container_name": "dbg", "evidence": {"kernel": "full"}}),
        &all,
    )?;
    ensure!(app.records("session_ended", &all).is_empty(), "an ordinary container that crashed has a record");
    Ok(())
}

/// The ledger of another boot: what was live then is closed at the next start, with its start and no known
/// end. The boot's id stands for the power loss; the ledger may also end in half a line.
pub fn closes_what_a_power_loss_cut_off(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let folder = tempfile::tempdir()?;
    let agent = RunningAgent::start(&patient.access, folder.path())?;
    let session = patient.session("dbg", 45)?;
    let started = agent.wait_for_session("session_started", "dbg")?;
    agent.kill()?;
    // Ends it: no process outlives a power loss.
    session.signal(Signal::KILL)?;
    wait_for_api_end(&patient, "dbg")?;
    pretend_another_boot(folder.path())?;

    let agent = RunningAgent::start(&patient.access, folder.path())?;
    agent.wait_for_session("session_ended", "dbg")?;
    agent.wait_for_session("session_reconciled", "dbg")?;
    agent.stop()?;
    let all = ledger(folder.path())?;
    each_id_once(&all)?;
    one_end(
        &session,
        &json!({"exit_code": null, "signal": null, "exit_class": "UNKNOWN", "started_at": started["started_at"],
            "started_boot_ns": null, "finished_at": null, "evidence": {"kernel": "start_only"}}),
        &all,
    )?;
    ensure!(gap(&all)?["from_boot_ns"].is_null(), "another boot's clock says nothing in this one");
    Ok(())
}

/// A ledger without room: recording goes on, records wait, and all are there once there is room.
pub fn waits_for_room_on_a_full_disk(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let disk = SmallDisk::mount("512k")?;
    let agent = RunningAgent::start(&patient.access, disk.path())?;
    let filler = disk.fill()?;
    // More than what is left of the ledger's last page, which the full file system still takes.
    let sessions: Vec<Session> =
        (1..=4).map(|n| patient.session(&format!("dbg-{n}"), 46)).collect::<Result<_>>()?;
    ensure!(
        poll::until(PATIENCE, || agent.get("/readyz").is_ok_and(|(status, _)| status == 503)),
        "a full disk does not show in /readyz"
    );
    for session in &sessions {
        session.end()?;
        patient.tasks.wait_for_exit(&session.id, PATIENCE)?;
    }
    ensure!(agent.get("/livez")?.0 == 200, "a full disk must not fail the liveness probe");
    let early = agent.records();
    ensure!(sessions.iter().all(|one| one.records("session_ended", &early).is_empty()), "stdout is ahead");
    std::fs::remove_file(filler)?;
    for session in &sessions {
        agent.wait_for_session("session_ended", &session.container)?;
    }
    ensure!(agent.get("/readyz")?.0 == 200, "there is room again");
    agent.stop()?;
    let all = ledger(disk.path())?;
    each_id_once(&all)?;
    for session in &sessions {
        one_end(session, &json!({"exit_code": 46, "evidence": {"kernel": "full", "lost_events": 0}}), &all)?;
        ensure!(session.records("session_started", &all).len() == 1, "a start is not in the ledger");
    }
    Ok(())
}

/// A second agent says who is there, and leaves the first alone.
pub fn one_on_a_node(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let folder = tempfile::tempdir()?;
    let first = RunningAgent::start(&access, folder.path())?;
    let mut second = access.debugtrail("agent");
    second.arg("--ledger").arg(folder.path()).args(["--listen", "127.0.0.1:0"]);
    let output = second.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && output.stdout.is_empty(), "a second agent came up");
    ensure!(said.lines().count() == 1 && said.contains("one agent a node"), "it says: {said}");
    first.stop()?;
    Ok(())
}

pub fn wait_for_api_end(patient: &Patient, container: &str) -> Result<()> {
    patient.pod.wait_for(&format!("the API's status of {container}"), PATIENCE, |pod, _| {
        let statuses = pod["status"]["ephemeralContainerStatuses"].as_array()?;
        let status = statuses.iter().find(|status| status["name"] == container)?;
        status["state"]["terminated"].is_object().then_some(())
    })
}

/// Waits until the kept state knows this container.
fn state_names(folder: &Path, container: &str) -> Result<()> {
    let state = folder.join("state.json");
    let names = || std::fs::read_to_string(&state).is_ok_and(|text| text.contains(container));
    ensure!(poll::until(PATIENCE, names), "the kept state does not know {container}");
    Ok(())
}

fn pretend_another_boot(folder: &Path) -> Result<()> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let other = "00000000-0000-4000-8000-000000000000";
    let records = std::fs::read_dir(folder.join("records"))?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = records.into_iter().map(|entry| entry.path()).collect();
    let newest = files.iter().max().context("no segment")?.clone();
    files.extend([folder.join("heartbeat.json"), folder.join("state.json")]);
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(file, text.replace(boot.trim(), other))?;
    }
    let mut torn = std::fs::read_to_string(&newest)?;
    torn.push_str("{\"schema\":\"debugtrail.dev/rec");
    std::fs::write(newest, torn)?;
    Ok(())
}

pub fn each_id_once(records: &[Value]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for record in records {
        let id = record["id"].as_str().with_context(|| format!("no id in {record}"))?;
        let same = || records.iter().filter(|record| record["id"] == id).map(ToString::to_string);
        ensure!(seen.insert(id), "{id} is there twice:\n{}", same().collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

fn gap(records: &[Value]) -> Result<&Value> {
    let is_it = |record: &&Value| record["type"] == "gap" && record["reason"] == "agent_away";
    let gaps: Vec<&Value> = records.iter().filter(is_it).collect();
    ensure!(gaps.len() == 1, "{} gaps of the time away", gaps.len());
    Ok(gaps[0])
}
