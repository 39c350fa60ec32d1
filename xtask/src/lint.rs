//! `cargo xtask lint`: what needs no running of anything.

use anyhow::Result;

use crate::progress::heading;
use crate::setup::cargo_deny;
use crate::{build, command, repo, setup, times};

mod prose;

/// Not of the workspace.
const EBPF_MANIFESTS: [&str; 2] = ["tracer-ebpf/Cargo.toml", "bench-ebpf/Cargo.toml"];

/// rustfmt, clippy, rustdoc and cargo-deny, each of which fails on the first finding.
///
/// # Errors
/// When one of them finds something.
pub fn run() -> Result<()> {
    heading("what it needs");
    setup::run()?;
    cargo_deny::install()?;
    // The tracer embeds it, so clippy and rustdoc need it, too.
    build::build_bpf()?;
    heading("prose");
    prose::check()?;
    heading("rustfmt");
    format()?;
    heading("clippy");
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    command::run(command::cargo().args(clippy))?;
    heading("rustdoc");
    let mut doc = command::cargo();
    doc.args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    command::run(&mut doc)?;
    heading("cargo-deny");
    deny()?;
    times::print();
    println!("lint: ok");
    Ok(())
}

fn format() -> Result<()> {
    command::run(command::cargo().args(["fmt", "--all", "--check"]))?;
    for manifest in EBPF_MANIFESTS {
        let manifest = repo::root().join(manifest);
        command::run(command::cargo().args(["fmt", "--check", "--manifest-path"]).arg(manifest))?;
    }
    Ok(())
}

/// Without `advisories`: their database is a git repository that CI machines can't fetch.
fn deny() -> Result<()> {
    for manifest in std::iter::once("Cargo.toml").chain(EBPF_MANIFESTS) {
        let mut deny = command::cargo_tool("cargo-deny");
        deny.args(["--log-level", "warn", "--manifest-path", manifest, "--config"]);
        deny.arg(repo::root().join("deny.toml"));
        command::run(deny.args(["check", "bans", "licenses", "sources"]))?;
    }
    Ok(())
}
