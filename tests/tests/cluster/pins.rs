//! `debugtrail agent` with its programs pinned: dead, killed over and over, replaced by another version; the kernel goes on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use debugtrail::session::UNRESOLVED_AFTER;
use debugtrail_tests::agent::{RunningAgent, ledger};
use debugtrail_tests::bpf_fs::BpfFs;
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::scenario::access::Access;
use xtask::scenario::matcher::mismatches;
use xtask::{poll, repo};

use crate::agent::{each_id_once, wait_for_api_end};
use crate::api_server::one_end;
use crate::clock::Stepped;

/// A ledger and a place for pins.
pub struct Node {
    access: Access,
    ledger: TempDir,
    pub fs: BpfFs,
}

impl Node {
    pub fn new(tier: &Tier) -> Result<Self> {
        Ok(Self { access: tier.access()?, ledger: tempfile::tempdir()?, fs: BpfFs::mount()? })
    }

    pub fn agent(&self) -> Result<RunningAgent> {
        RunningAgent::pinned(&self.access, self.ledger.path(), &self.fs.pins(), &[])
    }

    fn spawn(&self) -> Result<RunningAgent> {
        RunningAgent::spawn_pinned(&self.access, self.ledger.path(), &self.fs.pins(), &[])
    }

    /// Of another version, with other structures.
    pub fn other_agent(&self) -> Result<RunningAgent> {
        let object = repo::other_bpf_object();
        ensure!(object.exists(), "{} is missing: cargo xtask test builds it", object.display());
        let object = object.to_str().context("a path in UTF-8")?;
        RunningAgent::pinned(&self.access, self.ledger.path(), &self.fs.pins(), &["--object", object])
    }

    pub fn records(&self) -> Result<Vec<Value>> {
        ledger(self.ledger.path())
    }

    pub fn generations(&self) -> Vec<String> {
        let entries = fs::read_dir(self.fs.pins()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

pub fn full(code: u8) -> Value {
    json!({"exit_code": code, "signal": null, "duration_ns": {"$min": 1}, "finished_at": {"$any_non_null": true},
        "evidence": {"kernel": "full", "lost_events": 0}})
}

pub fn named_by_api(code: u8) -> Value {
    let mut end = full(code);
    end["evidence"]["named_by"] = "api".into();
    end
}

pub fn none_of(reason: &str, records: &[Value]) -> Result<()> {
    let gaps: Vec<_> = records.iter().filter(|record| record["reason"] == reason).collect();
    ensure!(gaps.is_empty(), "{gaps:?}, though the kernel recorded all the time");
    Ok(())
}

/// One session runs on and ends under the next agent, one ends meanwhile, one begins and ends meanwhile: the
/// kernel has seen each from its beginning to its end. And again after a SIGTERM.
pub fn everything_is_recorded_while_it_is_dead(tier: &Tier) -> Result<()> {
    let (patient, crashing) = (Patient::admit(tier.access()?)?, Patient::admit(tier.access()?)?);
    let node = Node::new(tier)?;
    let agent = node.agent()?;
    let (over, ends) = (patient.session("over", 41)?, patient.session("ends", 42)?);
    for container in ["over", "ends"] {
        agent.wait_for_session("session_started", container)?;
    }
    agent.kill()?;
    let generations = node.generations();
    ends.end()?;
    let meantime = patient.session("meantime", 43)?;
    meantime.end()?;
    // The API's status has the last run and the one before; the first that began meanwhile is in none.
    crash(&crashing, 3)?;
    for session in [&ends, &meantime] {
        wait_for_api_end(&patient, &session.container)?;
    }
    let agent = node.agent()?;
    for container in ["ends", "meantime"] {
        agent.wait_for_session("session_ended", container)?;
    }
    // Longer than an unnamed session may stay undecided.
    std::thread::sleep(UNRESOLVED_AFTER + Duration::from_secs(2));
    agent.stop()?;
    patient.debug("later", "exit 44")?;
    let later = patient.ended("later")?;
    let agent = node.agent()?;
    over.end()?;
    for container in ["later", "over"] {
        agent.wait_for_session("session_ended", container)?;
    }
    agent.stop()?;
    ensure!(node.generations() == generations, "{:?}, not {generations:?}: loaded anew", node.generations());
    let all = node.records()?;
    each_id_once(&all)?;
    one_end(&over, &full(41), &all)?;
    one_end(&ends, &full(42), &all)?;
    one_end(&meantime, &named_by_api(43), &all)?;
    one_end(&later, &named_by_api(44), &all)?;
    let crashed: Vec<_> = all.iter().filter(|record| record["pod_uid"] == crashing.pod.uid).collect();
    ensure!(crashed.is_empty(), "an ordinary container that crashed has a record: {crashed:?}");
    for session in [&over, &ends, &meantime, &later] {
        let starts = session.records("session_started", &all).len();
        ensure!(starts == 1, "{} has {starts} starts", session.container);
    }
    none_of("agent_away", &all)
}

/// Kills the ordinary container as often, each time a new run of it.
fn crash(patient: &Patient, times: usize) -> Result<()> {
    let mut killed = BTreeSet::new();
    for _ in 0..times {
        let mut app = patient.app()?;
        let again = poll::until(PATIENCE, || {
            patient.app().is_ok_and(|now| {
                app = now;
                !killed.contains(&app.id)
            })
        });
        ensure!(again, "the container does not run again");
        app.signal(Signal::KILL)?;
        patient.tasks.wait_for_exit(&app.id, PATIENCE)?;
        killed.insert(app.id);
    }
    Ok(())
}

/// Sessions come and go, several at a time, while the agent is killed over and over at any moment of its work.
pub fn killed_again_and_again_in_a_storm(tier: &Tier) -> Result<()> {
    const PODS: usize = 3;
    const EACH: u8 = 10;
    let node = Node::new(tier)?;
    let patients = (0..PODS).map(|_| Patient::admit(tier.access()?)).collect::<Result<Vec<_>>>()?;
    let over = AtomicBool::new(false);
    // What begins before any programs were there is not what this is about.
    node.agent()?.kill()?;
    let (sessions, kills) = std::thread::scope(|scope| {
        let killing = scope.spawn(|| kill_until(&over, &node));
        let storms: Vec<_> = patients.iter().map(|patient| scope.spawn(|| storm(patient, EACH))).collect();
        let sessions =
            storms.into_iter().map(|storm| storm.join().expect("no panic")).collect::<Result<Vec<_>>>();
        over.store(true, Ordering::Relaxed);
        (sessions, killing.join().expect("no panic"))
    });
    let (sessions, kills) = (sessions?.concat(), kills?);
    let agent = node.agent()?;
    let all_ended = |records: &[Value]| {
        sessions.iter().all(|(session, _)| !session.records("session_ended", records).is_empty())
    };
    let ended = poll::until(PATIENCE, || node.records().is_ok_and(|records| all_ended(&records)));
    agent.stop()?;
    let all = node.records()?;
    println!("{} sessions, {kills} kills, {} records", sessions.len(), all.len());
    let missing: Vec<_> = sessions
        .iter()
        .filter(|(session, _)| session.records("session_ended", &all).is_empty())
        .map(|(session, _)| &session.container)
        .collect();
    ensure!(ended, "no end of {missing:?}");
    each_id_once(&all)?;
    for (session, code) in &sessions {
        one_end(session, &full(*code), &all)?;
    }
    none_of("agent_away", &all)
}

/// Kills an agent at a moment that is later each time, and starts the next.
fn kill_until(over: &AtomicBool, node: &Node) -> Result<u32> {
    let mut kills = 0;
    while !over.load(Ordering::Relaxed) {
        // In turn from its first record on and from its start on.
        let agent = if kills % 2 == 0 { node.agent()? } else { node.spawn()? };
        std::thread::sleep(Duration::from_millis(u64::from(kills) * 37 % 900));
        agent.kill()?;
        kills += 1;
    }
    Ok(kills)
}

/// Whatever half of a generation it leaves, the next one cleans it up and records.
pub fn killed_at_any_moment_of_its_start(tier: &Tier) -> Result<()> {
    let (patient, node) = (Patient::admit(tier.access()?)?, Node::new(tier)?);
    let began = Instant::now();
    node.agent()?.kill()?;
    let whole = began.elapsed();
    let mut halves = 0;
    for part in 1..=8 {
        unpin(&node.fs.pins())?;
        let agent = node.spawn()?;
        if part <= 4 {
            std::thread::sleep(whole * part / 4);
        } else {
            // Pinning takes a moment: at once. (Half of it for certain: the kernel tier.)
            let deadline = Instant::now() + PATIENCE;
            while node.generations().is_empty() && Instant::now() < deadline {}
        }
        agent.kill()?;
        let is_half = |name: &String| !node.fs.pins().join(name).join("layout").exists();
        halves += node.generations().iter().filter(|name| is_half(name)).count();
        node.agent()?.kill()?;
        ensure!(node.generations().len() == 1, "pinned: {:?}", node.generations());
    }
    println!("{halves} half-made generations; a start takes {whole:?}");
    let agent = node.agent()?;
    let session = patient.session("dbg", 58)?;
    session.end()?;
    agent.wait_for_session("session_ended", "dbg")?;
    agent.stop()?;
    let all = node.records()?;
    each_id_once(&all)?;
    one_end(&session, &full(58), &all)
}

/// Short sessions one after the other, each with its own code.
fn storm(patient: &Patient, count: u8) -> Result<Vec<(Session, u8)>> {
    let name = |n: u8| format!("storm-{n}");
    for n in 1..=count {
        patient.debug(&name(n), &format!("sleep 0.{}; exit {n}", n % 4))?;
    }
    (1..=count).map(|n| Ok((patient.ended(&name(n))?, n))).collect()
}

/// The end comes before the step: it has its time by the clock of that moment, and the step is reported.
pub fn the_clock_steps_while_it_is_dead(tier: &Tier) -> Result<()> {
    let (patient, node) = (Patient::admit(tier.access()?)?, Node::new(tier)?);
    let agent = node.agent()?;
    let session = patient.session("dbg", 57)?;
    agent.wait_for_session("session_started", "dbg")?;
    agent.kill()?;
    session.end()?;
    patient.tasks.wait_for_exit(&session.id, PATIENCE)?;
    let ended_at = clock_gettime(ClockId::Realtime).tv_sec;
    let stepped = Stepped::forward()?;
    let agent = node.agent();
    let ended = agent.as_ref().ok().map(|agent| agent.wait_for_session("session_ended", "dbg"));
    drop(stepped);
    agent?.stop()?;
    let ended = ended.context("an agent")??;
    let all = node.records()?;
    let first = all.iter().find(|record| record["type"] == "clock_stepped").context("no step is reported")?;
    let step = json!({"step_ns": {"$min": 3.599e12, "$max": 3.601e12}, "from_boot_ns": {"$min": 1}});
    ensure!(mismatches(&step, first).is_empty(), "the step: {first}");
    let finished: jiff::Timestamp = ended["finished_at"].as_str().unwrap_or_default().parse()?;
    ensure!(finished.as_second().abs_diff(ended_at) <= 2, "{finished} is not of the clock before the step");
    one_end(&session, &full(57), &all)
}

/// Not while an agent runs; then everything; then nothing, and that is no failure.
pub fn unpin_removes_every_trace(tier: &Tier) -> Result<()> {
    let node = Node::new(tier)?;
    let unpin = || unpin(&node.fs.pins());
    let (code, said) = unpin()?;
    ensure!(code == 0 && said.contains("nothing is pinned"), "{code}: {said}");
    let agent = node.agent()?;
    let (code, said) = unpin()?;
    ensure!(code == 6 && said.contains("one agent a node") && said.lines().count() == 1, "{code}: {said}");
    agent.stop()?;
    ensure!(node.generations().len() == 1, "a SIGTERM leaves the programs: {:?}", node.generations());
    let (code, said) = unpin()?;
    ensure!(code == 0 && !node.fs.pins().exists(), "{code}: {said}");
    Ok(())
}

fn unpin(pins: &Path) -> Result<(i32, String)> {
    let started = Instant::now();
    let mut command = std::process::Command::new(repo::debugtrail_under_test());
    let output = command.args(["agent", "--unpin", "--pins"]).arg(pins).output()?;
    ensure!(started.elapsed() < PATIENCE, "it took {:?}", started.elapsed());
    let code = output.status.code().context("ended by a signal")?;
    Ok((code, String::from_utf8_lossy(&output.stderr).into_owned()))
}
