//! After the tests: is anything of ours still on the machine?

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use procfs::process::{FDTarget, Process, all_processes};

use crate::{cluster, poll, repo};

/// A killed process's descriptors go a moment after it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fails and lists it where something is left.
pub(crate) fn check() -> Result<()> {
    let mut left = Vec::new();
    let mut looked = Ok(());
    poll::until(PATIENCE, || {
        looked = list().map(|found| left = found);
        left.is_empty()
    });
    looked?;
    if !left.is_empty() {
        bail!("left on the machine:\n  {}", left.join("\n  "));
    }
    println!("nothing: no process, mount, cgroup, network link or BPF program");
    Ok(())
}

fn list() -> Result<Vec<String>> {
    // A kept cluster is there on purpose.
    let mut left = if cluster::Cluster::attach()?.is_some() { Vec::new() } else { cluster::leftovers()? };
    left.extend(bpf_holders()?);
    left.extend(bpf_pins());
    Ok(left)
}

/// A BPF program lives as long as a process holds it or a file pins it: programs that this
/// checkout built and that hold one.
fn bpf_holders() -> Result<Vec<String>> {
    let built = repo::target();
    let holders = all_processes()?.flatten().filter(|process| {
        process.exe().is_ok_and(|program| program.starts_with(&built)) && holds_bpf(process)
    });
    Ok(holders.map(|process| format!("BPF objects of process {}", process.pid())).collect())
}

fn holds_bpf(process: &Process) -> bool {
    process.fd().into_iter().flatten().flatten().any(|fd| match fd.target {
        FDTarget::AnonInode(name) => name.contains("bpf"),
        _ => false,
    })
}

fn bpf_pins() -> Vec<String> {
    let pins = fs::read_dir(Path::new("/sys/fs/bpf")).into_iter().flatten().flatten();
    pins.filter(|entry| entry.file_name().to_string_lossy().contains("debugtrail"))
        .map(|entry| format!("BPF pin {}", entry.path().display()))
        .collect()
}
