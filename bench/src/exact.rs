//! What each hook costs in instructions: on every kernel of the matrix tier, booted with a clock that counts the
//! guest's instructions. The kernel's own run time of a program is then a number of instructions, whatever else this
//! machine does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask::matrix::guest::{Machine, Ran, Threads};
use xtask::matrix::guests::Guests;
use xtask::matrix::job::Job;
use xtask::matrix::kernels;
use xtask::repo;

use crate::report::Instructions;

pub mod guest;

/// Its clock makes a guest a tenth as fast as the others.
const MACHINE: Machine = Machine {
    cpus: 1,
    threads: Threads::One,
    counts_instructions: true,
    patience: Duration::from_secs(15 * 60),
};
const JOB: &str = "instructions";

/// Kernel release -> what was counted there.
///
/// # Errors
/// When a guest does not come to its end.
pub fn measure() -> Result<BTreeMap<String, Instructions>> {
    let kernels = kernels::install(&[])?;
    let this = std::env::current_exe()?;
    let script = format!("#!/bin/sh\nulimit -l unlimited\nexec {this:?} --in-guest\n");
    let files: Vec<PathBuf> =
        vec![this, repo::bench_load_binary(), repo::empty_bpf_object(), repo::debugtrail_binary()];
    let guests = Guests::prepare(&[Job { name: JOB, script }], &files)?;
    let counted = Mutex::new((BTreeMap::new(), Vec::new()));
    let jobs: Vec<_> = kernels.iter().map(|kernel| (kernel, JOB)).collect();
    guests.run(&jobs, MACHINE, |kernel, _, ran| {
        if let Ok(ran) = &ran {
            eprintln!("    ok {JOB} on Linux {} ({:.1} s)", kernel.release, ran.took.as_secs_f64());
        }
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        match ran.and_then(|ran| reported(&ran)) {
            Ok(instructions) => drop(counted.0.insert(kernel.release.clone(), instructions)),
            Err(error) => counted.1.push(format!("Linux {}: {error:#}", kernel.release)),
        }
    });
    let (counted, failed) = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() { Ok(counted) } else { bail!("{}", failed.join("\n")) }
}

/// The results that the guest printed: its last line but for the exit status.
fn reported(ran: &Ran) -> Result<Instructions> {
    let line = ran.said.lines().find_map(|line| line.strip_prefix(guest::MARK));
    let line = line.with_context(|| format!("it counted nothing:\n{}\n{}", ran.console, ran.said))?;
    Ok(serde_json::from_str(line)?)
}
