//! `cargo xtask setup`: what the chores need, installed where it is missing. Only system packages
//! go to the machine; everything else is built into `target/tools`.

use anyhow::Result;

use crate::cluster::Runtime;

pub mod apt;
pub mod bpf_linker;
pub mod cargo_deny;
pub mod containerd_2;
pub mod cri_o;
mod go_module;
pub mod kubernetes;
pub mod prometheus;
pub mod toolchain;

/// Installs what is missing, and is quick where nothing is.
///
/// # Errors
/// When something cannot be installed; the error says what to do.
pub fn run() -> Result<()> {
    apt::install_missing(apt::Purpose::Cluster)?;
    bpf_linker::install()?;
    kubernetes::build()
}

/// The same, and the container runtime that the embedded cluster is to run on.
///
/// # Errors
/// When something cannot be installed; the error says what to do.
pub fn for_cluster(runtime: Runtime) -> Result<()> {
    run()?;
    match runtime {
        Runtime::Containerd => Ok(()),
        Runtime::Containerd2 => containerd_2::build(),
        Runtime::CriO => {
            apt::install_missing(apt::Purpose::CriO)?;
            cri_o::build()
        }
    }
}

/// What [`run`] installs, and the tracers that the bench compares with.
///
/// # Errors
/// When something cannot be installed; the error says what to do.
pub fn for_bench() -> Result<()> {
    apt::install_missing(apt::Purpose::Bench)?;
    run()
}

/// Installs what the build alone needs: a node of a real cluster gets no second container runtime.
///
/// # Errors
/// When something cannot be installed; the error says what to do.
pub fn for_build() -> Result<()> {
    apt::install_missing(apt::Purpose::Build)?;
    bpf_linker::install()
}
