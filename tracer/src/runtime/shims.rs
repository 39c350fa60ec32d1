//! Running containerd shims: each has its working directory in a bundle, so its `/proc` entry leads to the state
//! directory also where containerd has one of its own, or a mount namespace of its own (kind, k3s, snaps).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::process::Process;

/// What a shim's name starts with; the kernel cuts `containerd-shim-runc-v2` to just that.
const NAME: &str = "containerd-shim";

/// `CAP_SYS_ADMIN` in a capability mask.
const SYS_ADMIN: u64 = 1 << 21;

/// The way to one state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shim {
    /// `/proc/PID`.
    process: PathBuf,
    /// Whether pids of that containerd are ours too.
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
        shim(&self.process).is_some()
    }
}

/// A shim for each state directory that any shows.
pub(super) fn running(proc: &Path) -> Vec<Shim> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Some(shim) = shim(&process) else { continue };
        let Ok(directory) = fs::metadata(shim.bundles()) else { continue };
        let directory = (directory.dev(), directory.ino());
        if !seen.contains(&directory) {
            seen.push(directory);
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
    let namespace = |process: &Path| fs::read_link(process.join("ns/pid")).ok();
    let our_pids = namespace(process) == namespace(Path::new("/proc/self"));
    Some(Shim { process: process.to_owned(), our_pids })
}

/// Whether the process could do anything to this node anyway. Any process may call itself a shim and sit beside a
/// forged bundle, one inside a debug session too; but not with `CAP_SYS_ADMIN` in our user namespace.
fn trusted(process: &Path) -> bool {
    let user_namespace = |process: &Path| fs::read_link(process.join("ns/user")).ok();
    let status = Process::new_with_root(process.to_owned()).and_then(|process| process.status());
    status.is_ok_and(|status| status.capeff & SYS_ADMIN != 0)
        && user_namespace(process) == user_namespace(Path::new("/proc/self"))
}

#[cfg(test)]
mod tests;
