//! The cluster's own cgroup in every hierarchy of the machine: what is in it is ours.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use procfs::process::Process;

use super::paths::cgroup;
use crate::poll;

/// Holds init, which must survive until everything else is dead.
const INIT: &str = "init";
/// Holds the components; containers go to `kubepods` beside it.
const SYSTEM: &str = "system";
/// What the kubelet wants delegated in a v2 hierarchy.
const CONTROLLERS: [&str; 6] = ["+cpu", "+cpuset", "+io", "+memory", "+pids", "+hugetlb"];
/// How long the kernel may take to empty and release cgroups of killed processes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the cgroups. A machine that has them already has a cluster or what is left of one.
pub(super) fn make() -> Result<()> {
    let roots = roots()?;
    // Beside v1 hierarchies the controllers are v1's, and the machine's v2 root stays as it is.
    let only_v2 = roots.len() == 1;
    for root in &roots {
        make_folder(root)?;
        if only_v2 {
            delegate(root.parent().unwrap_or(root));
            delegate(root);
        }
    }
    let unified = unified()?;
    make_folder(&unified.join(INIT))?;
    make_folder(&unified.join(SYSTEM))?;
    copy_cpusets(&roots)
}

/// Moves the calling process to init's cgroup.
pub(super) fn enter_init() -> Result<()> {
    let procs = unified()?.join(INIT).join("cgroup.procs");
    fs::write(&procs, std::process::id().to_string())
        .with_context(|| format!("cannot enter {}", procs.display()))
}

/// The file whose writers become components.
pub(super) fn system_procs() -> Result<PathBuf> {
    Ok(unified()?.join(SYSTEM).join("cgroup.procs"))
}

/// Every process of ours but init, from every hierarchy.
pub(super) fn processes() -> Result<BTreeSet<i32>> {
    let mut pids = BTreeSet::new();
    for root in roots()? {
        for folder in subtree(&root) {
            if folder.file_name().is_some_and(|name| name == INIT) {
                continue;
            }
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
    }
    Ok(pids)
}

/// Kills whole subtrees at once where the kernel can (5.14), which no fork bomb outruns.
pub(super) fn kill_subtrees() -> Result<()> {
    let entries = match fs::read_dir(unified()?) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for folder in entries.flatten().map(|entry| entry.path()) {
        if folder.is_dir() && folder.file_name().is_some_and(|name| name != INIT) {
            let _older_kernel = fs::write(folder.join("cgroup.kill"), "1");
        }
    }
    Ok(())
}

/// Removes every cgroup of ours.
pub(super) fn remove() -> Result<()> {
    for root in roots()? {
        let removed = poll::until(PATIENCE, || {
            for folder in subtree(&root).iter().rev() {
                // EBUSY until the kernel has let go of the last dead process: tried again.
                let _again = fs::remove_dir(folder);
            }
            !root.exists()
        });
        if !removed {
            bail!("cannot remove the cgroup {}: a process is still in it", root.display());
        }
    }
    Ok(())
}

/// Our cgroups that exist.
pub(super) fn existing() -> Result<Vec<PathBuf>> {
    Ok(roots()?.into_iter().filter(|root| root.exists()).collect())
}

/// Our cgroup's path in each mounted hierarchy, each hierarchy once.
fn roots() -> Result<Vec<PathBuf>> {
    let mounts = Process::myself()?.mountinfo().context("cannot read /proc/self/mountinfo")?;
    let mut devices = BTreeSet::new();
    let mut roots = Vec::new();
    for mount in mounts {
        if matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2") && devices.insert(mount.majmin) {
            roots.push(mount.mount_point.join(cgroup()));
        }
    }
    Ok(roots)
}

/// Where cgroup2 is mounted, if v1 hierarchies are mounted beside it.
pub(super) fn hybrid_root() -> Result<Option<PathBuf>> {
    let unified = unified()?;
    Ok((roots()?.len() > 1).then(|| unified.parent().unwrap_or(&unified).to_owned()))
}

fn unified() -> Result<PathBuf> {
    let mounts = Process::myself()?.mountinfo().context("cannot read /proc/self/mountinfo")?;
    mounts
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2")
        .map(|mount| mount.mount_point.join(cgroup()))
        .context("no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")
}

/// The folder and all below it, parents first.
fn subtree(root: &Path) -> Vec<PathBuf> {
    if !root.is_dir() {
        return Vec::new();
    }
    let mut folders = vec![root.to_owned()];
    let mut next = 0;
    while let Some(folder) = folders.get(next) {
        let below: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        folders.extend(below);
        next += 1;
    }
    folders
}

fn make_folder(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make the cgroup {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A kernel has the controllers it has, so each is tried alone.
fn delegate(folder: &Path) {
    for controller in CONTROLLERS {
        let _not_here = fs::write(folder.join("cgroup.subtree_control"), controller);
    }
}

/// A new v1 cpuset has neither CPUs nor memory and so takes no process until it gets some.
fn copy_cpusets(roots: &[PathBuf]) -> Result<()> {
    for root in roots {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (ours, above) = (root.join(file), root.parent().unwrap_or(root).join(file));
            if let Ok(value) = fs::read_to_string(&above) {
                fs::write(&ours, value.trim()).with_context(|| format!("cannot set {}", ours.display()))?;
            }
        }
    }
    Ok(())
}
