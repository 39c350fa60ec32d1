//! The cgroup of a pod, as the kubelet names it with either of its drivers.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use debugtrail::ids::ContainerId;

use crate::containerd::POD_UID;

/// `systemd` where systemd is to make the cgroups, which it has to be the guest's first process for.
const DRIVER: &str = "DEBUGTRAIL_TEST_CGROUP_DRIVER";

pub enum Pod {
    /// The runtime makes the cgroups, below one of the test's own.
    Cgroupfs { parent: String },
    /// systemd makes them, a slice for the pod and a scope for each container.
    Systemd { slice: String },
}

impl Pod {
    pub fn of_environment() -> Self {
        match std::env::var(DRIVER).as_deref() {
            Ok("systemd") => {
                Self::Systemd { slice: format!("kubepods-besteffort-pod{}.slice", POD_UID.replace('-', "_")) }
            }
            Ok(other) => panic!("{DRIVER} is {other}: it can be systemd"),
            Err(_) => {
                let parent =
                    format!("/debugtrail-test-{}/kubepods/besteffort/pod{POD_UID}", std::process::id());
                Self::Cgroupfs { parent }
            }
        }
    }

    /// What `ctr run` gets of a container's cgroup.
    pub fn options(&self, id: &ContainerId) -> Vec<String> {
        match self {
            Self::Cgroupfs { parent } => vec!["--cgroup".into(), format!("{parent}/{id}")],
            Self::Systemd { slice } => {
                vec![
                    "--runc-systemd-cgroup".into(),
                    "--cgroup".into(),
                    format!("{slice}:cri-containerd:{id}"),
                ]
            }
        }
    }

    pub fn pids(&self) -> Vec<i32> {
        match self {
            Self::Cgroupfs { parent } => pids_below(parent),
            Self::Systemd { slice } => {
                pids_below(&format!("/kubepods.slice/kubepods-besteffort.slice/{slice}"))
            }
        }
    }

    /// Removes it. systemd removes what it has made itself.
    pub fn remove(&self) {
        if let Self::Cgroupfs { parent } = self {
            remove_cgroups(parent);
        }
    }
}

/// The folder of a cgroup in every hierarchy.
fn in_every_hierarchy(path: &str) -> Vec<PathBuf> {
    let mounts = procfs::process::Process::myself().and_then(|me| me.mountinfo()).expect("mountinfo");
    let cgroups = mounts.into_iter().filter(|mount| mount.fs_type.starts_with("cgroup"));
    cgroups.map(|mount| mount.mount_point.join(path.trim_start_matches('/'))).collect()
}

fn pids_below(path: &str) -> Vec<i32> {
    let folders = in_every_hierarchy(path).into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten();
    let procs =
        folders.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("cgroup.procs")).ok());
    procs.flat_map(|pids| pids.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Removes the tree from its leaves on; containers may take a moment to go.
fn remove_cgroups(path: &str) {
    let top = path.split('/').nth(1).expect("the test's own cgroup");
    let deadline = Instant::now() + Duration::from_secs(10);
    for root in in_every_hierarchy(top) {
        while root.exists() && Instant::now() < deadline {
            remove_tree(&root);
            std::thread::yield_now();
        }
        if !std::thread::panicking() {
            assert!(!root.exists(), "{} is still there", root.display());
        }
    }
}

fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}
