//! Prometheus, which scrapes the agent in the cluster tier. Unpacked only: installed, Debian's package starts a service.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::apt;
use crate::progress::Step;
use crate::repo;

/// Its binary.
#[must_use]
pub fn binary() -> PathBuf {
    folder().join("usr/bin/prometheus")
}

/// Unpacks it into `target/tools`, unless it is there.
///
/// # Errors
/// When the package can't be had.
pub fn install() -> Result<()> {
    if binary().exists() {
        return Ok(());
    }
    let step = Step::begin("unpacking Prometheus (scrapes the agent in the tests)");
    apt::unpack("prometheus", &folder(), &step)?;
    ensure!(binary().exists(), "Debian's package prometheus has no usr/bin/prometheus");
    step.done();
    Ok(())
}

fn folder() -> PathBuf {
    repo::tools().join("prometheus")
}
