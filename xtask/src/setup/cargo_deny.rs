//! cargo-deny, for `lint` alone.

use anyhow::Result;

use crate::progress::Step;
use crate::{command, repo};

const VERSION: &str = "0.20.2";

/// Builds cargo-deny into `target/tools`, unless this version is there.
///
/// # Errors
/// When it does not build.
pub fn install() -> Result<()> {
    if is_installed("cargo-deny", VERSION) {
        return Ok(());
    }
    let step = Step::begin(&format!("building cargo-deny {VERSION} (checks dependencies; some 3 minutes)"));
    let mut cargo = command::cargo();
    cargo.args(["install", "cargo-deny", "--locked", "--version", VERSION]);
    cargo.arg("--root").arg(repo::tools());
    command::run_quietly(&mut cargo, &step)?;
    step.done();
    Ok(())
}

/// True where `cargo install` has put this version of a program into `target/tools`.
pub(super) fn is_installed(program: &str, version: &str) -> bool {
    let tools = repo::tools();
    let list = std::fs::read_to_string(tools.join(".crates.toml")).unwrap_or_default();
    tools.join("bin").join(program).exists() && list.contains(&format!("\"{program} {version} "))
}
