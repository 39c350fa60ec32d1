//! bpf-linker, which turns rustc's LLVM bitcode into one BPF object.

use std::env;

use anyhow::Result;

use super::toolchain::LLVM;
use crate::progress::Step;
use crate::{command, repo};

const VERSION: &str = "0.13.0";

/// Builds bpf-linker into `target/tools`, unless this version is there.
///
/// # Errors
/// When it does not build.
pub fn install() -> Result<()> {
    if super::cargo_deny::is_installed("bpf-linker", VERSION) {
        return Ok(());
    }
    let step =
        Step::begin(&format!("building bpf-linker {VERSION} (links the eBPF programs; some 2 minutes)"));
    let prefix = env::var("LLVM_PREFIX").unwrap_or_else(|_| format!("/usr/lib/llvm-{LLVM}"));
    let mut cargo = command::cargo();
    cargo
        .env("LLVM_PREFIX", prefix)
        .args(["install", "bpf-linker", "--locked", "--version", VERSION, "--no-default-features"])
        .arg(format!("--features=llvm-{LLVM}"))
        .arg("--root")
        .arg(repo::tools());
    command::run_quietly(&mut cargo, &step)?;
    step.done();
    Ok(())
}
