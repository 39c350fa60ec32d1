//! cargo-deny, for `lint` alone.

use anyhow::Result;

use crate::progress::Step;
use crate::{command, repo};

const VERSION: &str = "0.20.2";

/// What its own release profile spends most of its build on, and a run of seconds does not need.
const QUICKLY_BUILT: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
];

/// Builds cargo-deny into `target/tools`, unless this version is there.
///
/// # Errors
/// When it does not build.
pub fn install() -> Result<()> {
    if is_installed("cargo-deny", VERSION) {
        return Ok(());
    }
    let step = Step::begin(&format!("building cargo-deny {VERSION} (checks dependencies; some 2 minutes)"));
    let mut cargo = command::cargo();
    cargo.envs(QUICKLY_BUILT).args(["install", "cargo-deny", "--locked", "--version", VERSION]);
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
