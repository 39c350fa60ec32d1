//! What each hook costs a process that belongs to no session, beside an empty program on the same tracepoint and
//! other tracers, all under the same load in one run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::sys::{Stats, enable_stats};
use xtask::interrupt::{self, Cleanup};
use xtask::poll;
use xtask::progress::Step;

use crate::empty::Empty;
use crate::kernel::cgroup_mount;
use crate::load;
use crate::peers::{self, Peer, PeerTotals, Running};
use crate::programs::{Counts, Held};
use crate::report::{HookRow, MemoryRow};
use crate::samples::Samples;
use crate::stage::Stage;
use crate::trace::TimedTrace;

/// Rounds of each case; the report has their medians.
const ROUNDS: usize = 7;
/// Rounds in which the other tracers take their turn.
const PEER_ROUNDS: usize = 3;
/// Processes of a round that are forked and exit, and as many that are vforked, exec and exit.
const PROCESSES: u64 = 10_000;
/// Moves between cgroups, and cgroups made and removed.
const CGROUP_CHANGES: u64 = 100;
/// Tries for a round in which nothing else on the machine was of interest to debugtrail.
const TRIES: usize = 5;

/// For the load to leave the cgroups that it moved between.
const LEAVING: Duration = Duration::from_secs(5);

const IDLE: &str = "no session live";
const LIVE: &str = "one session live";
const AIM_IDLE: f64 = 1.25;
const AIM_LIVE: f64 = 2.0;
const OURS: &str = "debugtrail";
const EMPTY: &str = "empty program";
/// What the peers trace.
const EXIT: &str = "sched_process_exit";

/// Hooks that every process passes, in the report's order; one that debugtrail has no program on is left out.
const PROCESS_HOOKS: [&str; 5] =
    ["sched_process_fork", "sched_process_exec", EXIT, "sched_process_free", "signal_generate"];
/// Hooks of those who manage cgroups. A new one is a candidate: this is no idle path, and has no aim.
const CGROUP_HOOKS: [&str; 3] = ["cgroup_attach_task", "cgroup_mkdir", "cgroup_rmdir"];

/// What the section gives.
#[derive(Debug, Default)]
pub struct Results {
    /// The hooks.
    pub hooks: Vec<HookRow>,
    /// The other tracers' memory.
    pub memory: Vec<MemoryRow>,
}

/// Measures all of it.
///
/// # Errors
/// When a program or the load cannot be run.
pub fn measure(stage: &Stage) -> Result<Results> {
    let _counted =
        enable_stats(Stats::RunTime).context("cannot have the kernel count the run time of programs")?;
    // Before debugtrail, which would see them made.
    let folder = CgroupFolder::make()?;
    let empty = Empty::attach()?;
    let trace = TimedTrace::start(&stage.access)?;
    let bench = Bench { empty, _after: Empty::attach()?, trace };
    let peers = peers::all(&pods_folder(stage)?);

    let step = Step::begin("hooks, no session live");
    let (mut idle, mut beside, mut totals) = (Samples::default(), Samples::default(), BTreeMap::new());
    for round in 0..ROUNDS {
        bench.round_while_idle(&mut idle)?;
        if round < PEER_ROUNDS {
            for peer in &peers {
                step.detail(peer.name);
                bench.peer_round(peer, &mut beside, totals.entry(peer.name).or_default())?;
            }
        }
    }
    step.done();

    let step = Step::begin("hooks, one session live");
    let (mut live, mut cgroups) = (Samples::default(), Samples::default());
    let session = stage.live_session(&bench.trace, &stage.patients[0], "hooks-live")?;
    for _ in 0..ROUNDS {
        bench.round(&mut live)?;
    }
    bench.cgroup_round(&folder, &mut cgroups)?;
    session.end()?;
    bench.trace.wait_for_session("session_ended", &session.pod_uid, &session.container)?;
    bench.trace.stop()?;
    step.done();

    Ok(Results { hooks: rows(&idle, &live, &cgroups, &beside, &totals), memory: memory(&totals) })
}

/// An empty program runs before debugtrail's and another after it: the first on a tracepoint waits longest for memory.
struct Bench {
    empty: Empty,
    _after: Empty,
    trace: TimedTrace,
}

impl Bench {
    /// One load, and what the programs took for it.
    fn round(&self, samples: &mut Samples) -> Result<()> {
        self.measured(samples, &PROCESS_HOOKS, processes)
    }

    /// The same while debugtrail kept no cgroup: others that share the machine may make containers, too.
    fn round_while_idle(&self, samples: &mut Samples) -> Result<()> {
        for _ in 0..TRIES {
            self.trace.wait_until_idle()?;
            let mut round = Samples::default();
            self.round(&mut round)?;
            if self.trace.kept()? == 0 {
                samples.extend(round);
                return Ok(());
            }
        }
        anyhow::bail!("containers come and go on this machine: no round of {TRIES} had none")
    }

    fn cgroup_round(&self, folder: &CgroupFolder, samples: &mut Samples) -> Result<()> {
        let path = folder.path.to_str().context("the cgroup mount has no plain name")?;
        self.measured(samples, &CGROUP_HOOKS, || load::cgroups(CGROUP_CHANGES, path))
    }

    fn measured(
        &self,
        samples: &mut Samples,
        hooks: &[&str],
        run: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let before = (self.empty.counts()?, self.trace.counts()?);
        run()?;
        let after = (self.empty.counts()?, self.trace.counts()?);
        for hook in hooks {
            let Some(ours) = on(hook, &before.1, &after.1) else { continue };
            let empty =
                on(hook, &before.0, &after.0).with_context(|| format!("no empty program on {hook}"))?;
            samples.add(hook, OURS, ours, empty);
            samples.add(hook, EMPTY, empty, empty);
        }
        Ok(())
    }

    /// The same load with another tracer on the exit hook.
    fn peer_round(&self, peer: &Peer, samples: &mut Samples, totals: &mut PeerTotals) -> Result<()> {
        let running = Running::start(peer, || load::forks(1))?;
        let before = (self.empty.counts()?, running.counts()?);
        processes()?;
        let after = (self.empty.counts()?, running.counts()?);
        let end = running.stop()?;
        let theirs =
            after.1.busiest_since(&before.1).with_context(|| format!("{} has no program", peer.name))?;
        let empty = on(EXIT, &before.0, &after.0).context("no empty program on the exit hook")?;
        samples.add(EXIT, peer.name, theirs, empty);
        totals.exits += end.exits;
        totals.lost += end.lost;
        totals.peak_kib = totals.peak_kib.max(end.peak_kib);
        Ok(())
    }
}

fn processes() -> Result<()> {
    load::execs(PROCESSES)?;
    load::forks(PROCESSES)
}

fn on(hook: &str, before: &Held, after: &Held) -> Option<Counts> {
    Some(after.on(hook)?.since(before.on(hook).unwrap_or_default()))
}

fn rows(
    idle: &Samples,
    live: &Samples,
    cgroups: &Samples,
    beside: &Samples,
    totals: &BTreeMap<&str, PeerTotals>,
) -> Vec<HookRow> {
    let mut rows = Vec::new();
    for (case, samples, aim) in
        [(IDLE, idle, Some(AIM_IDLE)), (LIVE, live, Some(AIM_LIVE)), (LIVE, cgroups, None)]
    {
        for hook in PROCESS_HOOKS.into_iter().chain(CGROUP_HOOKS) {
            for program in [EMPTY, OURS] {
                let aim_ratio = aim.filter(|_| program == OURS);
                rows.extend(samples.row(hook, program).map(|row| HookRow { case, aim_ratio, ..row }));
            }
        }
    }
    for (program, totals) in totals {
        let row = beside.row(EXIT, program);
        rows.extend(row.map(|row| HookRow {
            case: IDLE,
            printed: Some(totals.exits),
            lost: Some(totals.lost),
            ..row
        }));
    }
    rows
}

fn memory(totals: &BTreeMap<&str, PeerTotals>) -> Vec<MemoryRow> {
    let row = |(program, totals): (&&str, &PeerTotals)| MemoryRow {
        program: (*program).to_owned(),
        case: "tracing exits",
        rss_kib: None,
        anonymous_kib: None,
        file_kib: None,
        peak_kib: Some(totals.peak_kib),
        kernel_maps_kib: None,
        aim_rss_kib: None,
    };
    totals.iter().map(row).collect()
}

/// The cgroup above all pods.
fn pods_folder(stage: &Stage) -> Result<String> {
    let below = stage.cluster.cgroup_root();
    let folder = cgroup_mount()?.join(below.trim_start_matches('/')).join("kubepods");
    ensure!(folder.is_dir(), "{} is no folder", folder.display());
    Ok(folder.display().to_string())
}

/// Two cgroups to move between, removed when dropped and on Ctrl-C.
struct CgroupFolder {
    path: PathBuf,
    _cleanup: Cleanup,
}

impl CgroupFolder {
    fn make() -> Result<Self> {
        let path = cgroup_mount()?.join(format!("debugtrail-bench-{}", std::process::id()));
        let made = path.clone();
        let cleanup = interrupt::on_exit(move || remove(&made));
        for name in ["", "a", "b"] {
            let made = path.join(name);
            fs::create_dir(&made).with_context(|| format!("cannot make the cgroup {}", made.display()))?;
        }
        Ok(Self { path, _cleanup: cleanup })
    }
}

/// What moved about in it may take a moment to end.
fn remove(folder: &Path) {
    let gone = poll::until(LEAVING, || {
        for name in ["c", "b", "a", ""] {
            let _not_yet = fs::remove_dir(folder.join(name));
        }
        !folder.exists()
    });
    if !gone {
        eprintln!("{} is left behind", folder.display());
    }
}
