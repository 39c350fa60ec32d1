//! `cargo xtask setup`: what the chores need, installed where it is missing. Only system packages
//! go to the machine; everything else is built into `target/tools`.

use anyhow::Result;

pub mod apt;
pub mod bpf_linker;
pub mod cargo_deny;
pub mod kubernetes;
pub mod prometheus;
pub mod toolchain;

/// Installs what is missing, and is quick where nothing is.
///
/// # Errors
/// When something cannot be installed; the error says what to do.
pub fn run() -> Result<()> {
    apt::install_missing(true)?;
    bpf_linker::install()?;
    kubernetes::build()
}

/// Installs what the build alone needs: a node of a real cluster gets no second container runtime.
///
/// # Errors
/// When something cannot be installed; the error says what to do.
pub fn for_build() -> Result<()> {
    apt::install_missing(false)?;
    bpf_linker::install()
}
