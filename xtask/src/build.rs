//! `cargo xtask build`: the eBPF object first, as the tracer's build script embeds it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::Step;
use crate::setup::toolchain::Toolchain;
use crate::{command, repo};

/// Little-endian, as the machines that Kubernetes runs on are.
const BPF_TARGET: &str = "bpfel-unknown-none";
/// rustc's flags for the kernel's target, separated as CARGO_ENCODED_RUSTFLAGS wants it: line information for
/// the verifier's log, and BTF, which carries the programs' types.
const BPF_FLAGS: &str = "-Cdebuginfo=2\u{1f}-Clink-arg=--btf";

/// Builds the eBPF object and the release binary.
///
/// # Errors
/// When one of them does not build.
pub fn run() -> Result<()> {
    build_bpf()?;
    let step = Step::begin("building debugtrail (some minutes the first time)");
    let mut cargo = command::cargo();
    command::run_quietly(cargo.args(["build", "--release", "--package", "debugtrail"]), &step)?;
    step.done();
    Ok(())
}

/// Builds the tracer's object, `target/bpf/tracer-ebpf`.
///
/// # Errors
/// When it does not build.
pub fn build_bpf() -> Result<()> {
    build_object("tracer-ebpf", &[], &repo::bpf_object())
}

/// Builds the bench's empty programs, `target/bpf/bench-ebpf`.
///
/// # Errors
/// When they do not build.
pub fn build_empty_bpf() -> Result<()> {
    build_object("bench-ebpf", &[], &repo::empty_bpf_object())
}

/// Builds the tracer's programs with other structures, `target/bpf/tracer-ebpf-other-layout`.
///
/// # Errors
/// When they do not build.
pub fn build_other_bpf() -> Result<()> {
    build_object("tracer-ebpf", &["--features", "other-layout"], &repo::other_bpf_object())
}

/// Builds the eBPF crate of this name.
fn build_object(name: &str, options: &[&str], object: &Path) -> Result<()> {
    let folder = repo::root().join(name);
    let target = repo::target().join("bpf-build");
    let mut cargo = bpf_cargo()?;
    cargo.current_dir(folder).args(["build", "--release"]).args(options);
    cargo.args(["-Z", "build-std=core", "--target", BPF_TARGET]).arg("--target-dir").arg(&target);
    let step =
        Step::begin(&format!("building the eBPF programs of {}", [&[name], options].concat().join(" ")));
    command::run_quietly(&mut cargo, &step)?;
    step.done();
    let built = target.join(BPF_TARGET).join("release").join(name);
    copy_if_changed(&built, object)
}

/// A cargo that compiles for the kernel; the subcommand is the caller's to add.
fn bpf_cargo() -> Result<Command> {
    let toolchain = Toolchain::for_bpf()?;
    let mut cargo = Command::new(&toolchain.cargo);
    command::forget_outer_cargo(&mut cargo);
    cargo
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTC", &toolchain.rustc)
        // A stable rustc takes `-Z build-std` only so.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", BPF_FLAGS)
        .env("PATH", path_with_tools()?);
    Ok(cargo)
}

/// rustc looks for bpf-linker on PATH.
fn path_with_tools() -> Result<OsString> {
    let tools = repo::tools().join("bin");
    let old = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([tools].into_iter().chain(env::split_paths(&old)))?)
}

/// Leaves the file's time alone where nothing changed, so that the tracer is not built again.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let fresh = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == fresh) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, fresh).with_context(|| format!("cannot write {}", to.display()))
}
