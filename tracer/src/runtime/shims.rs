//! Running containerd shims: each has its working directory in a bundle, so its `/proc` entry leads to the state
//! directory also where containerd has one of its own, or a mount namespace of its own (kind, k3s, snaps).

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use procfs::process::Process;

use super::bundles::{RuntimeFacts, of_shim};
use crate::cgroup::Place;
use crate::ids::ContainerId;
use crate::pid_namespace;

/// What a shim's name starts with; the kernel cuts `containerd-shim-runc-v2` to just that.
const NAME: &str = "containerd-shim";

/// `CAP_SYS_ADMIN` in a capability mask.
const SYS_ADMIN: u64 = 1 << 21;

/// Between two looks at all processes passes this many times what one takes: at most a tenth of a CPU.
const PAUSE: u32 = 10;

/// Processes that are not looked at again, at most.
const AVOIDED: usize = 256;

/// The way to one state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shim {
    /// `/proc/PID`.
    process: PathBuf,
    /// Since when the process runs, in clock ticks: with the pid, its identity.
    since: u64,
    /// Whether pids of that containerd are the kernel's.
    pub our_pids: bool,
}

impl Shim {
    /// The directory with all bundles of the shim's containerd namespace.
    pub fn bundles(&self) -> PathBuf {
        self.process.join("cwd/..")
    }

    /// `/proc/PID` of the shim.
    pub fn process(&self) -> &Path {
        &self.process
    }

    /// Whether the pid is still a shim's: it may have been given to another process since.
    pub fn lives(&self) -> bool {
        shim(&self.process).is_some_and(|now| now == *self)
    }
}

/// How a look through shims comes along. Their working directories may be on a file system that never answers.
#[derive(Debug, Default)]
pub(super) struct Progress {
    at: Mutex<At>,
}

#[derive(Debug, Default)]
struct At {
    moved: Option<Instant>,
    /// The process whose files are looked at.
    process: Option<(PathBuf, u64)>,
    avoided: HashSet<(PathBuf, u64)>,
}

impl Progress {
    /// Something was done; what comes next may hang.
    pub fn moved(&self) {
        self.with(|at| at.moved = Some(Instant::now()));
    }

    /// Nothing is being done.
    pub fn rests(&self) {
        self.with(|at| (at.moved, at.process) = (None, None));
    }

    /// For how long nothing has moved that should.
    pub fn stands_still(&self) -> Option<Duration> {
        self.with(|at| at.moved.map(|moved| moved.elapsed()))
    }

    /// Never to look at the process again whose files are looked at now.
    pub fn avoid(&self) -> Option<PathBuf> {
        self.with(|at| {
            let process = at.process.take()?;
            if at.avoided.len() < AVOIDED {
                at.avoided.insert(process.clone());
            }
            at.moved = None;
            Some(process.0)
        })
    }

    /// For the thread that takes over: without what is being done.
    pub fn of_next(&self) -> Self {
        let avoided = self.with(|at| at.avoided.clone());
        Self { at: Mutex::new(At { avoided, ..At::default() }) }
    }

    /// Looks at files of a shim, unless that once hung.
    fn at<T>(&self, shim: &Shim, look: impl FnOnce() -> Option<T>) -> Option<T> {
        let process = (shim.process.clone(), shim.since);
        let avoided = self.with(|at| {
            at.moved = Some(Instant::now());
            let avoided = at.avoided.contains(&process);
            at.process = (!avoided).then_some(process);
            avoided
        });
        let found = if avoided { None } else { look() };
        self.with(|at| at.process = None);
        found
    }

    fn with<T>(&self, change: impl FnOnce(&mut At) -> T) -> T {
        change(&mut self.at.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The shims that lead to a state directory, as last listed.
#[derive(Debug)]
pub(super) struct Shims {
    proc: PathBuf,
    progress: Arc<Progress>,
    shims: Vec<Shim>,
    /// When they were listed, and how long that took.
    listed: Option<(Instant, Duration)>,
}

impl Shims {
    pub fn new(proc: PathBuf, progress: Arc<Progress>) -> Self {
        Self { proc, progress, shims: Vec::new(), listed: None }
    }

    /// The same without what it has listed, for another thread.
    pub fn anew(&self, progress: Arc<Progress>) -> Self {
        Self::new(self.proc.clone(), progress)
    }

    /// What a shim listed so far leads to.
    pub fn known(&self, id: &ContainerId) -> Option<RuntimeFacts> {
        let has = |shim: &Shim| shim.bundles().join(id.as_str()).join("config.json").exists().then_some(());
        let shim =
            self.shims.iter().find(|shim| shim.lives() && self.progress.at(shim, || has(shim)).is_some())?;
        self.progress.at(shim, || of_shim(shim, id))
    }

    /// How long to wait before the next listing; `None` where one that was made after `asked` says all there is.
    pub fn wait(&self, asked: Instant) -> Option<Duration> {
        let Some((began, took)) = self.listed else { return Some(Duration::ZERO) };
        (began <= asked).then(|| (took * PAUSE).saturating_sub(began.elapsed()))
    }

    /// Lists a shim for each state directory that any shows.
    pub fn list(&mut self) {
        let began = Instant::now();
        self.shims = running(&self.proc, &self.progress);
        self.listed = Some((began, began.elapsed()));
    }

    /// The state directories.
    pub fn folders(&mut self) -> Vec<PathBuf> {
        self.list();
        let folder = |shim: &Shim| Some(fs::read_link(shim.process.join("cwd")).ok()?.parent()?.to_owned());
        self.shims.iter().filter_map(folder).collect()
    }
}

fn running(proc: &Path, progress: &Progress) -> Vec<Shim> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.path()) {
        progress.moved();
        let Some(shim) = shim(&process) else { continue };
        let directory = progress.at(&shim, || fs::metadata(shim.bundles()).ok());
        let Some(directory) = directory else { continue };
        if seen.insert((directory.dev(), directory.ino())) {
            found.push(shim);
        }
    }
    found
}

fn shim(process: &Path) -> Option<Shim> {
    let named = fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.starts_with(NAME));
    if !named || !trusted(process) {
        return None;
    }
    let our_pids = pid_namespace::is_initial_of(process);
    Some(Shim { process: process.to_owned(), since: since(process)?, our_pids })
}

fn since(process: &Path) -> Option<u64> {
    Process::new_with_root(process.to_owned())
        .and_then(|process| process.stat())
        .ok()
        .map(|stat| stat.starttime)
}

/// Whether the process could do anything to this node anyway. Any process may call itself a shim and sit beside a
/// forged bundle, one inside a debug session too; but not with `CAP_SYS_ADMIN` in our user namespace, and outside of
/// every container of a pod.
fn trusted(process: &Path) -> bool {
    let user_namespace = |process: &Path| fs::read_link(process.join("ns/user")).ok();
    let Ok(entry) = Process::new_with_root(process.to_owned()) else { return false };
    entry.status().is_ok_and(|status| status.capeff & SYS_ADMIN != 0)
        && user_namespace(process) == user_namespace(Path::new("/proc/self"))
        && !is_in_container(&entry)
}

fn is_in_container(process: &Process) -> bool {
    let Ok(cgroups) = process.cgroups() else { return true };
    cgroups.into_iter().any(|cgroup| matches!(Place::of(&cgroup.pathname), Place::Container { .. }))
}

#[cfg(test)]
mod tests;
