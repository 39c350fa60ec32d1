//! The DaemonSet by the files of deploy/ as they are: `kubectl logs` and the ledger hold what happened, whatever happens
//! to the API server, to the agent and to its pod.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use debugtrail::kernel::inspect;
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use xtask::deploy::{DaemonPod, DaemonSet, Which};
use xtask::poll;
use xtask::scenario::access::Access;
use xtask::scenario::folder::Scenario;
use xtask::scenario::{self, run};

use crate::agent::each_id_once;
use crate::api_server::{Away, one_end};

/// Scenarios at the same time: most of one is waiting.
const AT_ONCE: usize = 4;

/// Longer than a failing liveness probe would be borne with (three times ten seconds).
const MINUTE: Duration = Duration::from_secs(60);

/// The pod gets Ready, nothing restarts it, and it has what it asks the API for, by no more rights than it needs.
pub fn the_applied_files_get_ready(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    let pod = agent.wait_until_ready(None)?;
    ensure!(pod.restarts == 0, "restarted {} times before it was Ready", pod.restarts);
    let mut metrics = Ok(String::new());
    let synced = poll::until(PATIENCE, || {
        metrics = agent.get(&pod, "metrics");
        metrics.as_ref().is_ok_and(|text| text.lines().any(|line| line == "debugtrail_api_synced 1"))
    });
    ensure!(synced, "the agent does not know the node's pods: {metrics:?}");
    for (verb, resource, expected) in [
        ("list", "pods", true),
        ("watch", "pods", true),
        ("get", "nodes", true),
        ("list", "runtimeclasses", true),
        ("list", "nodes", false),
        ("get", "secrets", false),
        ("create", "pods", false),
        ("create", "pods/exec", false),
    ] {
        ensure!(agent.may(verb, resource)? == expected, "may it {verb} {resource}? It should be {expected}");
    }
    Ok(())
}

/// Several at a time, all through one agent; what each has to give, it gives. Those that stop parts of the node come one
/// by one after the others.
pub fn every_scenario_runs_through_it(tier: &Tier) -> Result<()> {
    let (agent, access) = (tier.daemon_set()?, tier.access()?);
    let pod = agent.wait_until_ready(None)?;
    let all = Scenario::all(&scenario::folder())?;
    let (alone, beside): (Vec<_>, Vec<_>) = all.into_iter().partition(|scenario| scenario.expect.alone);
    let scenarios = Mutex::new(beside);
    let findings = Mutex::new(Vec::new());
    let next = || scenarios.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(scenario) = next() {
                    let found = findings_of(&scenario, &agent, &pod, &access);
                    findings.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
            });
        }
    });
    let mut findings = findings.into_inner().unwrap_or_else(PoisonError::into_inner);
    for scenario in &alone {
        // Without a kubelet there are no logs.
        let outcome = run::run_before(agent.clone(), scenario, &access, &|_| ());
        findings.extend(findings_in(scenario, outcome));
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    ensure!(agent.wait_until_ready(None)? == pod, "the agent was restarted meanwhile");
    each_id_once(&agent.ledger()?)?;
    each_id_once(&agent.logs(&pod, Which::Current)?)
}

fn findings_of(scenario: &Scenario, agent: &DaemonSet, pod: &DaemonPod, access: &Access) -> Vec<String> {
    let outcome = agent.follow(pod).and_then(|logs| run::run_before(logs, scenario, access, &|_| ()));
    findings_in(scenario, outcome)
}

fn findings_in(scenario: &Scenario, outcome: Result<run::Outcome>) -> Vec<String> {
    let findings = outcome.map_or_else(|error| vec![format!("{error:#}")], |outcome| outcome.findings);
    findings.into_iter().map(|finding| format!("{}: {finding}", scenario.name)).collect()
}

/// One session ends while the API server is away; one ends then while the agent is dead, too; one goes on through it
/// all. The agent starts without an API server, and its liveness probe does not mind.
pub fn the_api_server_is_away_for_a_minute(tier: &Tier) -> Result<()> {
    let (cluster, agent) = (tier.cluster()?, tier.daemon_set()?);
    let pod = agent.wait_until_ready(None)?;
    let patient = Patient::admit(tier.access()?)?;
    let [early, unseen, after] = sessions(&patient, &agent, ["early", "unseen", "after"])?;
    let (away, began) = (Away::begin(&cluster)?, Instant::now());
    early.end()?;
    wait_for_end(&agent, &early)?;
    let starts = starts(&agent.ledger()?);
    kill(&agent, &pod)?;
    unseen.signal(Signal::KILL)?;
    agent.wait_for("another start of the agent", PATIENCE, |records| {
        (self::starts(records) > starts).then_some(())
    })?;
    // How long it is away is what this is about: nothing is awaited here.
    thread::sleep(MINUTE.saturating_sub(began.elapsed()));
    away.end()?;
    after.end()?;
    wait_for_end(&agent, &unseen)?;
    wait_for_end(&agent, &after)?;
    let restarted = agent.wait_until_ready(Some(&pod))?;
    ensure!(restarted.uid == pod.uid, "the pod is another one");
    ensure!(restarted.restarts == pod.restarts + 1, "restarted without need: {restarted:?}, before {pod:?}");
    let mut logs = agent.logs(&restarted, Which::Previous)?;
    logs.extend(agent.logs(&restarted, Which::Current)?);
    for records in [&agent.ledger()?, &logs] {
        one_end(&early, &observed(), records)?;
        one_end(&unseen, &killed_meanwhile(), records)?;
        one_end(&after, &observed(), records)?;
        each_id_once(records)?;
    }
    Ok(())
}

/// SIGKILL: nothing flushed, and no `agent_stopped`.
pub fn it_is_killed_in_the_middle_of_sessions(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    interrupted(tier, &agent, |pod| kill(&agent, pod))
}

/// SIGTERM, another pod, another container, the same ledger.
pub fn its_pod_is_deleted_in_the_middle_of_sessions(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    interrupted(tier, &agent, |pod| {
        let pid = agent.pid(pod)?;
        agent.delete_pod(pod)?;
        wait_until_dead(pid)
    })
}

/// Sessions that end before the agent does, while it is not there, and after it is back; and one whose whole life may lie
/// in between.
fn interrupted(tier: &Tier, agent: &DaemonSet, end: impl FnOnce(&DaemonPod) -> Result<()>) -> Result<()> {
    let pod = agent.wait_until_ready(None)?;
    let logs = agent.follow(&pod)?;
    let patient = Patient::admit(tier.access()?)?;
    let [before, across, unseen] = sessions(&patient, agent, ["before", "across", "unseen"])?;
    before.end()?;
    wait_for_end(agent, &before)?;
    end(&pod)?;
    unseen.signal(Signal::KILL)?;
    let mut logs = logs.to_the_end()?;
    patient.debug("short", "exit 4")?;
    let short = patient.ended("short")?;
    let back = agent.wait_until_ready(Some(&pod))?;
    across.end()?;
    for session in [&unseen, &short, &across] {
        wait_for_end(agent, session)?;
    }
    let ends = |records: &[Value]| !across.records("session_ended", records).is_empty();
    let logged =
        poll::until(PATIENCE, || agent.logs(&back, Which::Current).is_ok_and(|records| ends(&records)));
    ensure!(logged, "kubectl logs has no end of {}", across.container);
    logs.extend(agent.logs(&back, Which::Current)?);
    for records in [&agent.ledger()?, &logs] {
        one_end(&before, &observed(), records)?;
        one_end(&across, &observed(), records)?;
        one_end(&unseen, &killed_meanwhile(), records)?;
        let whole = json!({"pod_uid": patient.pod.uid, "container_name": "short", "exit_code": 4,
            "duration_ns": {"$min": 1}, "evidence": {"kernel": "full"}});
        one_end(&short, &whole, records)?;
        let away = records.iter().filter(|record| record["reason"] == "agent_away").count();
        ensure!(away == 0, "{away} gaps, though the kernel recorded all the time");
        each_id_once(records)?;
    }
    Ok(())
}

/// Deleted with all that was applied, it writes `agent_stopped` and goes; the records stay on the node.
pub fn a_deleted_agent_leaves_its_ledger(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    let pid = agent.pid(&agent.wait_until_ready(None)?)?;
    let before = agent.ledger()?;
    agent.delete()?;
    wait_until_dead(pid)?;
    let after = agent.ledger()?;
    ensure!(after.starts_with(&before), "the ledger lost records");
    tier.forget_daemon_set();
    let last = after.last().map_or(&Value::Null, |record| &record["type"]);
    ensure!(last == "agent_stopped", "its last record is {last}");
    Ok(())
}

/// The agent is deleted and its programs go on; the files of deploy/ take them out of the kernel.
pub fn unpin_takes_its_programs_out_of_the_node(tier: &Tier) -> Result<()> {
    let agent = tier.daemon_set()?;
    let pid = agent.pid(&agent.wait_until_ready(None)?)?;
    agent.delete()?;
    wait_until_dead(pid)?;
    tier.forget_daemon_set();
    let pinned = inspect::programs()?;
    ensure!(!pinned.is_empty(), "a deleted agent's programs are gone before they were taken out");
    agent.unpin()?;
    let mut left = Ok(Vec::new());
    let gone = poll::until(PATIENCE, || {
        left = inspect::programs();
        left.as_ref().is_ok_and(Vec::is_empty)
    });
    ensure!(gone, "still in the kernel: {left:?}");
    Ok(())
}

/// What these sessions exit with.
pub const EXIT_CODE: u8 = 7;

/// The end of one of [`sessions`] that an agent saw, also one whose start another agent saw.
fn observed() -> Value {
    json!({"exit_code": EXIT_CODE, "signal": null, "duration_ns": {"$min": 1}, "evidence": {"kernel": "full"}})
}

/// The end of one of them by SIGKILL without an agent: the kernel went on.
fn killed_meanwhile() -> Value {
    json!({"exit_code": null, "signal": 9, "exit_class": "SIGKILL", "duration_ns": {"$min": 1},
        "evidence": {"kernel": "full"}})
}

/// Running sessions whose starts are in the ledger.
pub fn sessions<const N: usize>(
    patient: &Patient,
    agent: &DaemonSet,
    names: [&str; N],
) -> Result<[Session; N]> {
    let mut sessions = Vec::new();
    for name in names {
        let session = patient.session(name, EXIT_CODE)?;
        agent.wait_for(&format!("session_started of {name}"), PATIENCE, |records| {
            (!session.records("session_started", records).is_empty()).then_some(())
        })?;
        sessions.push(session);
    }
    sessions.try_into().ok().context("as many sessions as names")
}

fn kill(agent: &DaemonSet, pod: &DaemonPod) -> Result<()> {
    let pid = agent.pid(pod)?;
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no pid")?;
    kill_process(process, Signal::KILL).context("cannot kill the agent")?;
    wait_until_dead(pid)
}

fn wait_until_dead(pid: u32) -> Result<()> {
    let alive = || {
        i32::try_from(pid).is_ok_and(|pid| {
            Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z')
        })
    };
    ensure!(poll::until(PATIENCE, || !alive()), "the agent, process {pid}, does not end");
    Ok(())
}

fn starts(records: &[Value]) -> usize {
    records.iter().filter(|record| record["type"] == "agent_started").count()
}

pub fn wait_for_end(agent: &DaemonSet, session: &Session) -> Result<()> {
    agent.wait_for(&format!("session_ended of {}", session.container), PATIENCE, |records| {
        (!session.records("session_ended", records).is_empty()).then_some(())
    })
}
