//! The part that runs in the guest.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::{HashMap, Map, MapData, MapInfo};
use aya::sys::{Stats, enable_stats};
use debugtrail_common::maps::TRACKED;
use serde_json::{Value, json};
use xtask::{poll, repo};

use crate::empty::Empty;
use crate::kernel::{cgroup_mount, cgroups_kept_by};
use crate::load;
use crate::programs::{self, Counts, Held};
use crate::report::{HookInstructions, Instructions};
use crate::stats::median;

/// Stands before the results.
pub const MARK: &str = "instructions: ";

const ROUNDS: usize = 3;
/// Processes that exec, and as many that only fork, a round.
const PROCESSES: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(120);
const HOOKS: [&str; 4] =
    ["sched_process_fork", "sched_process_exec", "sched_process_exit", "signal_generate"];
/// A kubeconfig of a server that is away.
const AWAY: &str = "/tmp/away.kubeconfig";
/// As a kubelet names a container's cgroup.
const CONTAINER: &str = "kubepods/besteffort/pod0f9e8d7c-6b5a-4948-8372-615049382716/\
                         0000000000000000000000000000000000000000000000000000000000000001";

/// Counts, and prints the results behind [`MARK`].
///
/// # Errors
/// When a program or the load can't be run.
pub fn run() -> Result<()> {
    let _counted = enable_stats(Stats::RunTime).context("cannot have the kernel count programs' run time")?;
    let empty = Empty::attach()?;
    let debugtrail = Running::debugtrail()?;
    let [idle, of_empty] = hooks(&debugtrail, &empty)?;
    let exitsnoop = Running::exitsnoop()?;
    let exitsnoop_exit = medians(|| Ok([exitsnoop.busiest()?]))?[0];
    drop(exitsnoop);
    let session = Session::start(&debugtrail)?;
    let [live, _] = hooks(&debugtrail, &empty)?;
    ensure!(cgroups_kept_by(debugtrail.0.id())? == 1, "the session was not kept");
    drop(session);
    let instructions = Instructions { idle, live, empty: of_empty, exitsnoop_exit };
    println!("{MARK}{}", serde_json::to_string(&instructions)?);
    Ok(())
}

/// Instructions of each hook, of debugtrail's and of the empty programs.
fn hooks(debugtrail: &Running, empty: &Empty) -> Result<[HookInstructions; 2]> {
    let counted = medians(|| {
        let before = (debugtrail.held()?, empty.counts()?);
        processes()?;
        let after = (debugtrail.held()?, empty.counts()?);
        let mut round = [None; 2 * HOOKS.len()];
        for (at, hook) in HOOKS.iter().enumerate() {
            round[at] = per_run(hook, &before.0, &after.0);
            round[HOOKS.len() + at] = per_run(hook, &before.1, &after.1);
        }
        Ok(round)
    })?;
    let of = |at: &[Option<f64>]| HookInstructions { fork: at[0], exec: at[1], exit: at[2], signal: at[3] };
    let (ours, empties) = counted.split_at(HOOKS.len());
    Ok([of(ours), of(empties)])
}

fn per_run(hook: &str, before: &Held, after: &Held) -> Option<f64> {
    after.on(hook)?.since(before.on(hook).unwrap_or_default()).ns_per_run()
}

/// The median of each value, over some rounds; what no round had is not there.
fn medians<const N: usize>(mut round: impl FnMut() -> Result<[Option<f64>; N]>) -> Result<[Option<f64>; N]> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round()?);
    }
    Ok(std::array::from_fn(|at| median(&rounds.iter().filter_map(|round| round[at]).collect::<Vec<_>>())))
}

/// Processes of no session.
fn processes() -> Result<()> {
    load::execs(PROCESSES)?;
    load::forks(PROCESSES)
}

/// A tracer, ended when dropped.
struct Running(Child);

impl Running {
    /// Needs no API server: nothing here is a container.
    fn debugtrail() -> Result<Self> {
        fs::write(AWAY, kubeconfig().to_string())?;
        let mut command = Command::new(repo::debugtrail_binary());
        command.args(["trace", "--node", "guest", "--output", "json", "--kubeconfig", AWAY]);
        let debugtrail = Self::start(command)?;
        let hooked = || debugtrail.held().is_ok_and(|held| HOOKS.iter().all(|hook| held.on(hook).is_some()));
        ensure!(poll::until(PATIENCE, hooked), "debugtrail attaches no programs");
        Ok(debugtrail)
    }

    fn exitsnoop() -> Result<Self> {
        let exitsnoop = Self::start(Command::new("exitsnoop"))?;
        let runs = || {
            load::forks(1).is_ok()
                && exitsnoop.held().is_ok_and(|held| held.programs.values().any(|one| one.runs > 0))
        };
        ensure!(poll::until(PATIENCE, runs), "exitsnoop does not run");
        Ok(exitsnoop)
    }

    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?))
    }

    fn held(&self) -> Result<Held> {
        programs::held_by(self.0.id())
    }

    /// Instructions of the program that runs most.
    fn busiest(&self) -> Result<Option<f64>> {
        let before = self.held()?;
        processes()?;
        Ok(self.held()?.busiest_since(&before).and_then(Counts::ns_per_run))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A container made by hand, whose main process waits.
struct Session {
    main: Child,
    folder: PathBuf,
}

impl Session {
    fn start(debugtrail: &Running) -> Result<Self> {
        let folder = cgroup_mount()?.join(CONTAINER);
        fs::create_dir_all(&folder)?;
        let id = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&folder)?);
        let procs = folder.join("cgroup.procs");
        let mut main = Command::new("cat");
        main.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: system calls alone, none of which allocates or locks.
        unsafe {
            main.pre_exec(move || {
                rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)?;
                fs::write(&procs, "0")
            });
        }
        let main = main.spawn().context("cannot start the session's main process")?;
        track(debugtrail.0.id(), id)?;
        Ok(Self { main, folder })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.main.stdin.take());
        let _said = self.main.stdout.take().map(|mut out| out.read_to_end(&mut Vec::new()));
        let _reaped = self.main.wait();
        let _removed = fs::remove_dir(&self.folder);
    }
}

fn kubeconfig() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    })
}

/// As debugtrail does with what it knows to be a session: here nothing can say that it is one.
fn track(pid: u32, cgroup: u64) -> Result<()> {
    for id in programs::held_by(pid)?.maps.into_keys() {
        if MapInfo::from_id(id)?.name_as_str() == Some(TRACKED) {
            let mut map: HashMap<MapData, u64, u64> = Map::HashMap(MapData::from_id(id)?).try_into()?;
            map.insert(cgroup, cgroup, 0)?;
            return Ok(());
        }
    }
    anyhow::bail!("debugtrail has no map {TRACKED}")
}
