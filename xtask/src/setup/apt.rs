//! System packages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::toolchain;
use crate::command;
use crate::progress::Step;

/// A Debian package and why it is needed.
type Package = (&'static str, &'static str);

const BUILD: [Package; 5] = [
    ("g++", "bpf-linker links LLVM's C++"),
    ("libpolly-22-dev", "bpf-linker links LLVM 22"),
    ("libzstd-dev", "LLVM 22 links it"),
    ("llvm-22-dev", "bpf-linker links LLVM 22"),
    ("zlib1g-dev", "LLVM 22 links it"),
];

const CLUSTER: [Package; 9] = [
    ("buildah", "builds the image that the DaemonSet runs"),
    ("busybox-static", "the test images are made of it"),
    ("containerd", "the container runtime of the embedded cluster"),
    ("containernetworking-plugins", "pods get their addresses from them"),
    ("crun", "the second OCI runtime that the tests run sessions on"),
    ("etcd-server", "the embedded cluster's store"),
    ("iproute2", "makes the embedded cluster's network"),
    ("nftables", "kube-proxy gives the kernel service addresses with it"),
    ("runc", "the OCI runtime that the tests run sessions on"),
];

const CRI_O: [Package; 5] = [
    ("conmon", "CRI-O has it watch each container"),
    ("gcc", "CRI-O is linked to C"),
    ("libseccomp-dev", "CRI-O makes seccomp profiles with it"),
    ("pkg-config", "finds libseccomp for CRI-O's build"),
    ("skopeo", "puts the test images into CRI-O's storage"),
];

const MATRIX: [Package; 5] = [
    ("busybox-static", "begins the guests of the matrix tier"),
    ("e2fsprogs", "makes the guests' disks"),
    ("kmod", "knows which modules the guests' disks need"),
    ("qemu-system-x86", "boots other kernels in the matrix tier"),
    ("systemd", "makes the cgroups in some of the guests"),
];

const BENCH: [Package; 2] = [
    ("bpftrace", "a tracer that the bench compares with"),
    ("libbpf-tools", "its exitsnoop is a tracer that the bench compares with"),
];

/// Needed where rustup has no nightly that can compile for the kernel.
const RUST: [Package; 3] = [
    ("cargo-web", "builds the eBPF programs with rustc-web"),
    ("rust-web-src", "core is compiled for the kernel's target"),
    ("rustc-web", "compiles the eBPF programs (no rustup nightly with rust-src is here)"),
];

/// What packages are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To build.
    Build,
    /// To run the embedded cluster, and to build.
    Cluster,
    /// To run the embedded cluster on CRI-O.
    CriO,
    /// To boot other kernels, whose guests get the cluster's runtimes.
    Matrix,
    /// To measure beside other tracers, on the cluster and on other kernels.
    Bench,
}

impl Purpose {
    const fn packages(self) -> &'static [&'static [Package]] {
        match self {
            Self::Build => &[&BUILD],
            Self::Cluster => &[&BUILD, &CLUSTER],
            Self::CriO => &[&BUILD, &CLUSTER, &CRI_O],
            Self::Matrix => &[&BUILD, &CLUSTER, &MATRIX],
            Self::Bench => &[&BUILD, &CLUSTER, &MATRIX, &BENCH],
        }
    }
}

/// Installs the packages that are missing for a purpose, after saying which and why.
///
/// # Errors
/// When this is no Debian-like machine, we are not root, or apt-get fails.
pub fn install_missing(purpose: Purpose) -> Result<()> {
    let mut wanted: Vec<Package> = purpose.packages().concat();
    if toolchain::rustup_nightly().is_none() {
        wanted.extend(RUST);
    }
    wanted.sort_unstable();
    wanted.dedup_by_key(|(name, _)| *name);
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let installed = installed(&names)?;
    let missing: Vec<Package> = wanted.into_iter().filter(|(name, _)| !installed.contains(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("system packages to install with apt-get:");
    for (name, why) in &missing {
        eprintln!("    {name:28} {why}");
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "installing packages needs root: sudo apt-get install {}",
        join(&missing)
    );
    install(&missing)
}

fn install(missing: &[Package]) -> Result<()> {
    let step = Step::begin("apt-get update");
    command::run_quietly(apt_get().arg("update"), &step)?;
    step.done();
    let step = Step::begin(&format!("apt-get install {}", join(missing)));
    let names = missing.iter().map(|(name, _)| name);
    command::run_quietly(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(names), &step)?;
    step.done();
    Ok(())
}

/// Unpacks a package into `folder` and installs nothing: neither its dependencies nor a service of it.
///
/// # Errors
/// When it can't be had or unpacked.
pub(super) fn unpack(package: &str, folder: &Path, step: &Step) -> Result<()> {
    let archives = folder.with_extension("deb");
    std::fs::create_dir_all(&archives).with_context(|| format!("cannot make {}", archives.display()))?;
    let download = || {
        let mut apt_get = apt_get();
        apt_get.current_dir(&archives).args(["-o", "APT::Sandbox::User=root", "download", package]);
        command::run_quietly(&mut apt_get, step)
    };
    // A machine whose package lists are missing or old has none or another version.
    if download().is_err() {
        command::run_quietly(apt_get().arg("update"), step)?;
        download()?;
    }
    for archive in std::fs::read_dir(&archives)? {
        let mut dpkg = Command::new("dpkg-deb");
        command::run_quietly(dpkg.arg("--extract").arg(archive?.path()).arg(folder), step)?;
    }
    std::fs::remove_dir_all(&archives).with_context(|| format!("cannot remove {}", archives.display()))
}

fn installed(names: &[&str]) -> Result<BTreeSet<String>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(names)
        .output()
        .with_context(|| {
            format!("this is no Debian-like machine: install the equivalents of {names:?} yourself")
        })?;
    // dpkg-query fails where one is unknown, and still prints the others.
    let text = String::from_utf8_lossy(&output.stdout);
    let done = text.lines().filter_map(|line| line.strip_suffix(" installed"));
    Ok(done.map(str::to_owned).collect())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    command
}

fn join(packages: &[Package]) -> String {
    packages.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}
