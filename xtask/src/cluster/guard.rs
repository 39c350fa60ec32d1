//! The guard: a process of its own that takes the cluster down when the owner dies without having
//! done so, be it by SIGKILL or because a test binary ended before its statics were dropped.

use std::fs::File;
use std::io::Read;
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

use super::paths::Paths;
use super::process::ProcessId;
use super::state::State;
use super::{ownership, teardown};

/// Starts the guard. It acts when the returned pipe is closed, which the kernel does at the latest.
pub(super) fn spawn(paths: &Paths, generation: &str) -> Result<(ChildStdin, ProcessId)> {
    let log = File::options().create(true).append(true).open(paths.log("guard"))?;
    let mut child = Command::new("setsid")
        .arg(paths.xtask())
        .args(["internal", "guard", generation])
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the cluster's guard")?;
    let pipe = child.stdin.take().context("the guard has no stdin")?;
    Ok((pipe, ProcessId::of(child.id().cast_signed())?))
}

/// The guard's work, from start to end.
pub(super) fn run(generation: &str) -> Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let paths = Paths::new();
    let _lock = ownership::wait(&paths)?;
    match State::load(&paths)? {
        Some(state) if state.generation == generation && !state.kept => teardown::run(&paths),
        _ => Ok(()),
    }
}
