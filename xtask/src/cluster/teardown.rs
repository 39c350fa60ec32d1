//! Taking a cluster down, in whatever condition it is: also half started, or left by a SIGKILL.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::control;
use super::paths::Paths;
use super::process::{ProcessId, reap};
use super::state::State;
use super::{cgroups, leftovers, mount_space, network};
use crate::{family, poll};

/// SIGKILL is quick; the kernel needs its time to tear down a container's namespaces.
const PATIENCE: Duration = Duration::from_secs(30);
/// The machine's init may take its time to wait for ours, and may never do so in a container.
const REAP_PATIENCE: Duration = Duration::from_secs(2);

/// Takes everything down that a cluster of this checkout left. Nothing there is fine.
pub(super) fn run(paths: &Paths) -> Result<()> {
    let _gate = control::teardown_gate();
    let state = State::load(paths)?.unwrap_or_default();
    end_guard(&state)?;
    kill_all(&state)?;
    if let Some(init) = state.init {
        init.end(Signal::KILL, PATIENCE)?;
        wait_until_reaped(&[init]);
    }
    cgroups::remove()?;
    network::remove()?;
    mount_space::remove_mount_points(&state.made_folders);
    remove_files(paths)?;
    confirm()
}

/// The guard itself may be who takes the cluster down.
fn end_guard(state: &State) -> Result<()> {
    match state.guard {
        Some(guard) if guard.pid().cast_unsigned() != std::process::id() => guard.end(Signal::KILL, PATIENCE),
        _ => Ok(()),
    }
}

/// Kills all but init until nothing is left: init adopts what loses its parent meanwhile.
fn kill_all(state: &State) -> Result<()> {
    let mut killed: Vec<ProcessId> = Vec::new();
    let mut alive = Vec::new();
    let dead = poll::until(PATIENCE, || {
        let _no_cgroup2 = cgroups::kill_subtrees();
        alive = ours(state);
        killed.extend(&alive);
        alive.retain(|process| process.alive());
        for process in &alive {
            let _gone = process.end(Signal::KILL, Duration::ZERO);
        }
        alive.is_empty()
    });
    if !dead {
        let pids: Vec<i32> = alive.iter().map(|process| process.pid()).collect();
        bail!("processes {pids:?} of the cluster survive SIGKILL");
    }
    wait_until_reaped(&killed);
    Ok(())
}

/// Init waits for its children; what has another parent stays a zombie until that parent cares.
fn wait_until_reaped(killed: &[ProcessId]) {
    poll::until(REAP_PATIENCE, || {
        killed.iter().for_each(|process| reap(process.pid()));
        !killed.iter().any(|process| process.exists())
    });
}

/// What is in our cgroups, and what descends from init wherever it has moved to.
fn ours(state: &State) -> Vec<ProcessId> {
    let mut pids = cgroups::processes().unwrap_or_default();
    if let Some(init) = state.init.filter(|init| init.alive()) {
        pids.extend(family::descendants(init.pid()).iter().map(|stat| stat.pid));
    }
    pids.into_iter().filter_map(|pid| ProcessId::of(pid).ok()).collect()
}

/// All but the logs and the lock.
fn remove_files(paths: &Paths) -> Result<()> {
    let data = paths.data();
    ignore_missing(fs::remove_dir_all(&data)).with_context(|| format!("cannot remove {}", data.display()))?;
    let sockets = [paths.init_socket(), paths.containerd_socket(), paths.cri_o_socket()];
    let ttrpc = paths.containerd_socket().with_extension("sock.ttrpc");
    for file in sockets.iter().chain([&ttrpc, &paths.state()]) {
        remove_file(file)?;
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<()> {
    ignore_missing(fs::remove_file(path)).with_context(|| format!("cannot remove {}", path.display()))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn confirm() -> Result<()> {
    let mut left = Vec::new();
    // A dead process's /proc entry and a veth's other end go a moment later.
    if poll::until(PATIENCE, || {
        left = leftovers::list().unwrap_or_else(|error| vec![format!("{error:#}")]);
        left.is_empty()
    }) {
        return Ok(());
    }
    bail!("the embedded cluster left:\n  {}", left.join("\n  "))
}
