//! Can a tier run here? It is never skipped: where it can't, it fails and says what is missing.

use std::path::Path;

use anyhow::{Result, bail};
use procfs::process::Process;
use rustix::thread::{CapabilitySet, capabilities};

use super::Tier;

/// Fails with all that is missing, each with its hint.
pub(super) fn check(tier: Tier) -> Result<()> {
    match tier {
        Tier::Unit => Ok(()),
        Tier::Kernel | Tier::Containers | Tier::Cluster | Tier::Hostile | Tier::Runtimes => check_kernel(),
        // Its guests have all that is needed.
        Tier::Matrix => Ok(()),
    }
}

/// Fails with all that programs in the kernel lack here, each with its hint.
pub(crate) fn check_kernel() -> Result<()> {
    let missing = missing()?;
    if !missing.is_empty() {
        bail!("can't run here:\n  {}", missing.join("\n  "));
    }
    Ok(())
}

fn missing() -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root: put sudo -E before cargo xtask");
    }
    let effective = capabilities(None)?.effective;
    if !effective.contains(CapabilitySet::SYS_ADMIN) {
        missing.push("CAP_SYS_ADMIN: run on the machine itself or in a privileged container");
    }
    if !effective.contains(CapabilitySet::BPF | CapabilitySet::PERFMON) {
        missing.push("CAP_BPF and CAP_PERFMON: run on the machine itself or in a privileged container");
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        missing.push("/sys/kernel/btf/vmlinux: a kernel with CONFIG_DEBUG_INFO_BTF (and /sys mounted)");
    }
    let mounts = Process::myself()?.mountinfo()?;
    if !mounts.into_iter().any(|mount| mount.fs_type == "cgroup2") {
        missing.push("cgroup2: mount -t cgroup2 none /sys/fs/cgroup/unified");
    }
    Ok(missing)
}
