//! The mount namespace: folders of `target/cluster` over the machine's, so that nothing that
//! the container runtime, the CNI plugins and the kubelet mount or write reaches the machine.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use procfs::process::all_processes;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

use super::cgroups;
use super::paths::Paths;
use super::runtime::Runtime;

/// What the kubelet sets machine-wide where it finds another value. In the namespace it finds
/// these values already, and so leaves the machine's alone.
const SYSCTLS: [(&str, &str); 5] = [
    ("vm/overcommit_memory", "1"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Where programs and maps are pinned.
const BPF_FS: &str = "/sys/fs/bpf";

/// Makes the mount points that the machine lacks; those made, outermost first.
pub(super) fn make_mount_points(paths: &Paths, runtime: Runtime) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    for (_, theirs) in binds(paths, runtime) {
        let mut missing: Vec<&Path> = theirs.ancestors().take_while(|path| !path.exists()).collect();
        missing.reverse();
        for folder in missing {
            fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            made.push(folder.to_owned());
        }
    }
    Ok(made)
}

/// Removes what [`make_mount_points`] made, unless it is used by others by now.
pub(super) fn remove_mount_points(made: &[PathBuf]) {
    if made.is_empty() {
        return;
    }
    // To remove a folder takes away what is mounted on it in another namespace, too.
    let used = mount_points_everywhere();
    for folder in made.iter().rev().filter(|folder| !used.contains(*folder)) {
        let _not_empty = fs::remove_dir(folder);
    }
}

fn mount_points_everywhere() -> BTreeSet<PathBuf> {
    let tables = all_processes().into_iter().flatten().flatten();
    let mounts = tables.filter_map(|process| process.mountinfo().ok()).flatten();
    mounts.map(|mount| mount.mount_point).collect()
}

/// Sets the namespace up; run by init, inside it.
pub(super) fn prepare(paths: &Paths, runtime: Runtime) -> Result<()> {
    // Peers among the cluster's own processes only: unshare made everything private first.
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", shared).context("cannot make the mount namespace shared inside")?;
    for (ours, theirs) in binds(paths, runtime) {
        fs::create_dir_all(&ours)?;
        bind(&ours, &theirs)?;
    }
    // As on a node without systemd. There a container that asks for the mounts to come (`mountPropagation`) is refused; what
    // deploy/ asks for must do, and does on a node whose /sys is shared, too.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/sys", private).context("cannot make /sys private inside")?;
    // The node's own: what the agent pins goes with the cluster.
    mount("bpf", BPF_FS, "bpf", MountFlags::empty(), None)
        .map_err(io::Error::from)
        .with_context(|| format!("cannot mount a BPF file system over {BPF_FS}"))?;
    for (name, value) in SYSCTLS {
        shadow(paths, &Path::new("/proc/sys").join(name), &format!("{value}\n"))?;
    }
    for (theirs, content) in runtime.shadows() {
        shadow(paths, Path::new(theirs), content)?;
    }
    if let Some(hybrid) = cgroups::hybrid_root()? {
        // crun refuses a hybrid setup whose v2 side has a controller, used or not.
        shadow(paths, &hybrid.join("cgroup.controllers"), "")?;
    }
    Ok(())
}

fn binds(paths: &Paths, runtime: Runtime) -> Vec<(PathBuf, PathBuf)> {
    [paths.binds(), runtime.binds(paths)].concat()
}

/// Lets a file of the machine read otherwise, where it exists.
fn shadow(paths: &Paths, theirs: &Path, content: &str) -> Result<()> {
    if !theirs.exists() {
        return Ok(());
    }
    let ours = paths.data().join("shadows").join(theirs.strip_prefix("/")?);
    fs::create_dir_all(ours.parent().unwrap_or(&ours))?;
    fs::write(&ours, content)?;
    bind(&ours, theirs)
}

fn bind(ours: &Path, theirs: &Path) -> Result<()> {
    mount_bind(ours, theirs)
        .map_err(io::Error::from)
        .with_context(|| format!("cannot mount {} over {}", ours.display(), theirs.display()))
}
