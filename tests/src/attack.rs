//! Attacks on the agent: scripts of `tests/hostile`, which a person can run as well.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use debugtrail::cgroup::Hierarchy;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use xtask::scenario::matcher::mismatches;
use xtask::{interrupt, poll, repo};

use crate::debug::{PATIENCE, Session};

/// A script that runs as root on the node. Dropping it kills it and all that it started, and so does Ctrl-C.
#[derive(Debug)]
pub struct Attack {
    script: PathBuf,
    child: Child,
    stderr: NamedTempFile,
    _cleanup: interrupt::Cleanup,
}

impl Attack {
    /// Starts `tests/hostile/NAME.sh` with these variables, in a process group of its own.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(name: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let script = script(name);
        ensure!(script.is_file(), "there is no {}", script.display());
        let stderr = NamedTempFile::new()?;
        let mut bash = Command::new("bash");
        bash.arg(&script).envs(variables.iter().copied()).process_group(0);
        bash.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.reopen()?);
        let child = bash.spawn().context("cannot start bash")?;
        let group = group(&child);
        let cleanup = interrupt::on_exit(move || end(group));
        Ok(Self { script, child, stderr, _cleanup: cleanup })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// As [`Attack::start`] and [`Attack::wait`].
    pub fn run(name: &str, variables: &[(&str, &str)]) -> Result<()> {
        Self::start(name, variables)?.wait()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it fails, with what it said, or does not end.
    pub fn wait(mut self) -> Result<()> {
        let mut status: Option<ExitStatus> = None;
        let ended = poll::until(PATIENCE, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        let name = self.script.display();
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                bail!("{name} failed: {status}\n{}", std::fs::read_to_string(self.stderr.path())?)
            }
            None => bail!("{name} does not end ({ended})"),
        }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            end(group(&self.child));
            if let Err(error) = self.child.wait() {
                eprintln!("{}: {error}", self.script.display());
            }
        }
    }
}

fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn end(group: Option<Pid>) {
    // It may have ended by itself.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
}

/// The script of this name.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    repo::root().join("tests/hostile").join(format!("{name}.sh"))
}

/// The v2 cgroup of a session's main process, as a folder of this machine.
///
/// # Errors
/// When the process or the hierarchy is gone.
pub fn cgroup(session: &Session) -> Result<PathBuf> {
    let pid = session.pid;
    let lines = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .with_context(|| format!("no process {pid}"))?;
    let path = lines.lines().find_map(|line| line.strip_prefix("0::/")).context("no v2 cgroup")?;
    Ok(hierarchy()?.join(path))
}

/// Where the v2 hierarchy is mounted.
///
/// # Errors
/// When it is not.
pub fn hierarchy() -> Result<PathBuf> {
    Ok(Hierarchy::find()?.mount().to_owned())
}

/// A cgroup of an attacker's, beside all others. Dropping it removes what is left of it, with the processes inside.
#[derive(Debug)]
pub struct Apart {
    name: String,
    path: PathBuf,
}

impl Apart {
    /// Of this name in the hierarchy; the script makes it.
    ///
    /// # Errors
    /// When there is no hierarchy.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self { name: name.to_owned(), path: hierarchy()?.join(name) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As a folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let gone = poll::until(PATIENCE, || {
            end_processes(&self.path);
            remove_cgroups(&self.path);
            !self.path.exists()
        });
        if !gone {
            eprintln!("{} is left", self.path.display());
        }
    }
}

/// Sends SIGKILL to what is in a cgroup or below it.
fn end_processes(cgroup: &Path) {
    let below = std::fs::read_dir(cgroup).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).for_each(|path| end_processes(&path));
    let pids = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)) {
        // It may be gone by now.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

fn remove_cgroups(cgroup: &Path) {
    let below = std::fs::read_dir(cgroup).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).for_each(|path| remove_cgroups(&path));
    // Busy as long as a process that was killed is not gone.
    let _ = std::fs::remove_dir(cgroup);
}

/// Checks that the records have all of a session that ended with `code`, and nothing twice: what an attack
/// beside it must not change.
///
/// # Errors
/// The first thing that is not so.
pub fn is_whole(session: &Session, code: u8, records: &[Value]) -> Result<()> {
    for kind in ["session_started", "session_ended"] {
        let of_kind = session.records(kind, records);
        ensure!(of_kind.len() == 1, "{}: {} {kind}", session.container, of_kind.len());
    }
    let expected = json!({
        "container_name": session.container, "exit_code": code, "signal": null,
        "duration_ns": {"$min": 1}, "evidence": {"kernel": "full", "lost_events": 0},
    });
    let wrong = mismatches(&expected, session.records("session_ended", records)[0]);
    ensure!(wrong.is_empty(), "{}: {}", session.container, wrong.join("; "));
    Ok(())
}

/// The most memory that a process has had at once, in bytes (`VmHWM` of proc(5)).
///
/// # Errors
/// When it is gone.
pub fn peak_memory(pid: u32) -> Result<u64> {
    let status = procfs::process::Process::new(i32::try_from(pid)?)?.status()?;
    Ok(status.vmhwm.context("no VmHWM")? * 1024)
}

/// The limit that deploy/ sets, in bytes.
pub const MEMORY_LIMIT: u64 = 128 << 20;

/// Makes a folder's path text for a script's variable.
///
/// # Errors
/// When it is no UTF-8.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}
