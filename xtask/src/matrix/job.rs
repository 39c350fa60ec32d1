//! What a guest does: a script of shell on its disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{IN_SHORT, KERNEL_IN_SHORT, SYSTEMD};
use crate::{command, repo};

/// Stands before what `debugtrail doctor` says.
pub(super) const DOCTOR: &str = "guest: doctor";

/// Says how many main processes the storms have; emulated CPUs take some 8 to 20 ms for one.
const MAINS: &str = "DEBUGTRAIL_TEST_MAINS";

/// The kernel's own limit is by the memory, and too few for a test of one session's processes.
const THREADS: &str = "echo 65536 > /proc/sys/kernel/threads-max";

/// How many main processes the storms have in a guest: 1000, unless the environment has another number.
pub(super) fn mains() -> u32 {
    std::env::var(MAINS).ok().and_then(|count| count.parse().ok()).unwrap_or(1000)
}

/// A script of the guest's disk.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub name: &'static str,
    /// Run by /bin/sh; its exit status is the job's.
    pub script: String,
}

impl Job {
    /// A tier's tests, as `cargo xtask test` runs them, or `only` those with this in their names, and what doctor makes of the kernel.
    pub(super) fn tests(name: &'static str, tests: &Path, only: Option<&str>) -> Self {
        let (folder, binary) = (repo::root().join("tests"), repo::debugtrail_under_test());
        let (mains, only) = (mains(), only.map(|only| format!("{only:?}")).unwrap_or_default());
        let (setting, choice) = match name {
            // crun reaches systemd by a bus that the guest does not have; runc needs none.
            SYSTEMD => ("DEBUGTRAIL_TEST_CGROUP_DRIVER=systemd", "--skip crun"),
            KERNEL_IN_SHORT => ("", IN_SHORT),
            _ => ("", ""),
        };
        let script = format!(
            "#!/bin/sh\ncd {folder:?}\n{THREADS}\nexport DEBUGTRAIL_BIN={binary:?} RUST_BACKTRACE=0 DEBUGTRAIL_TEST_STORM=500 {MAINS}={mains} {setting}\n\
             {tests:?} --test-threads=1 {choice} {only}\nstatus=$?\n\
             echo '{DOCTOR}'\n{binary:?} doctor --output json 2> /dev/null\nexit $status\n"
        );
        Self { name, script }
    }
}

/// The tests' binaries and all that cargo built with them, by the name of the target.
pub(super) fn build_tests(tiers: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = command::cargo();
    cargo.args([
        "test",
        "--package",
        "debugtrail-tests",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    for tier in tiers {
        cargo.args(["--test", tier]);
    }
    let said = command::output(&mut cargo)?;
    let built = said.lines().filter_map(|line| {
        let artifact: Value = serde_json::from_str(line).ok()?;
        let executable = artifact["executable"].as_str()?;
        Some((artifact["target"]["name"].as_str()?.to_owned(), PathBuf::from(executable)))
    });
    Ok(built.collect())
}

/// The binary of this name.
pub(super) fn binary<'a>(built: &'a [(String, PathBuf)], name: &str) -> Result<&'a Path> {
    let mut named = built.iter().filter(|(target, _)| target == name);
    named.next().map(|(_, path)| path.as_path()).with_context(|| format!("cargo built no {name}"))
}
