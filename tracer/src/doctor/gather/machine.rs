//! Looks at this machine.

use std::path::Path;

use procfs::process::Process;

use crate::cgroup::{Hierarchy, HierarchyError};
use crate::cli::exit_code::Failure;
use crate::kernel::{Kernel, KernelError, LoadOptions, pins};
use crate::pid_namespace;

use super::super::facts::{CgroupFacts, Problem};

pub(super) fn initial_pid_namespace() -> bool {
    pid_namespace::is_initial()
}

pub(super) fn init_root() -> Result<(), String> {
    std::fs::metadata("/proc/1/root/").map(drop).map_err(|error| error.to_string())
}

pub(super) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Really loads and attaches the programs, and takes them out again.
pub(super) fn try_programs() -> Result<(), Problem> {
    Kernel::load(LoadOptions::default()).map(drop).map_err(|error| problem(&error))
}

pub(super) fn problem(error: &KernelError) -> Problem {
    Problem::of(error.into(), error)
}

pub(super) fn cgroups() -> Result<CgroupFacts, Problem> {
    let lacking = |error: HierarchyError| Problem::of(Failure::Machine, &error);
    let hierarchy = Hierarchy::find().map_err(lacking)?;
    let mounts = Process::myself().and_then(|own| own.mountinfo()).map_err(|error| lacking(error.into()))?;
    let mut hybrid = false;
    let mut root = String::from("/");
    for mount in mounts {
        hybrid |= mount.fs_type == "cgroup";
        if mount.fs_type == "cgroup2" && mount.mount_point == hierarchy.mount() {
            root = mount.root;
        }
    }
    Ok(CgroupFacts { mount: hierarchy.mount().to_owned(), root, hybrid })
}

pub(super) fn has_bpffs() -> bool {
    pins::is_bpf_fs(Path::new("/sys/fs/bpf")).unwrap_or(false)
}
