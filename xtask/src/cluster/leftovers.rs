//! What is still there of a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use procfs::process::{Process, all_processes};

use super::paths::{Paths, link};
use super::{cgroups, network};

/// Programs that others may run as well: ours are those with a path of the cluster among their arguments.
const SHARED_PROGRAMS: [&str; 5] = ["containerd", "containerd-shim-runc-v2", "crio", "etcd", "kubernetes"];

/// Lists processes, mounts, cgroups, links and files, each with what it is.
pub(super) fn list() -> Result<Vec<String>> {
    let paths = Paths::new();
    let mut left = processes(&paths)?;
    left.extend(mounts(&paths)?);
    left.extend(cgroups::existing()?.iter().map(|path| format!("cgroup {}", path.display())));
    left.extend(network::exists().then(|| format!("network link {}", link())));
    let sockets = [paths.init_socket(), paths.containerd_socket(), paths.cri_o_socket()];
    let files = [paths.data(), paths.state()].into_iter().chain(sockets);
    let there = files.filter(|path| path.exists());
    left.extend(there.map(|path| format!("file {}", path.display())));
    Ok(left)
}

fn processes(paths: &Paths) -> Result<Vec<String>> {
    let in_cgroups = cgroups::processes()?;
    let mut found = Vec::new();
    for process in all_processes().context("cannot read /proc")?.flatten() {
        // Some end while we look: whatever of them can't be read is gone.
        let pid = process.pid();
        let alive = process.stat().is_ok_and(|stat| stat.state != 'Z');
        if alive
            && pid != std::process::id().cast_signed()
            && (in_cgroups.contains(&pid) || is_ours(&process, paths))
        {
            let command = process.cmdline().unwrap_or_default().join(" ");
            found.push(format!("process {pid} ({command})"));
        }
    }
    Ok(found)
}

fn is_ours(process: &Process, paths: &Paths) -> bool {
    let Ok(program) = process.exe() else { return false };
    if program.starts_with(paths.root()) {
        return true;
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // A program that was built anew meanwhile.
    let name = name.trim_end_matches(" (deleted)");
    let root = paths.root().to_string_lossy();
    SHARED_PROGRAMS.contains(&name)
        && process.cmdline().is_ok_and(|words| words.iter().any(|word| word.contains(&*root)))
}

fn mounts(paths: &Paths) -> Result<Vec<String>> {
    let mounts = Process::myself()?.mountinfo().context("cannot read /proc/self/mountinfo")?;
    let ours = |path: &Path, root: &str| {
        path.starts_with(paths.root()) || PathBuf::from(root).starts_with(paths.root())
    };
    Ok(mounts
        .into_iter()
        .filter(|mount| ours(&mount.mount_point, &mount.root))
        .map(|mount| format!("mount {}", mount.mount_point.display()))
        .collect())
}
