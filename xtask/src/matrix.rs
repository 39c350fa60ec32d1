//! The matrix tier: the kernel tier and the containers tier on Debian's kernels from the oldest that debugtrail
//! promises to the newest there is, each booted by qemu.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::setup::apt;
use crate::tiers::Extent;
use crate::{repo, times};

mod apt_root;
mod disk;
mod emulator;
pub mod guest;
pub mod guests;
mod initramfs;
pub mod job;
pub mod kernels;
mod outcome;
mod table;

use guest::{Machine, Threads};
use guests::Guests;
use job::Job;
use kernels::Kernel;
use outcome::Outcome;

/// The tiers that are run in guests.
const KERNEL: &str = "kernel";
/// Of the kernel tier, main processes and members: every program is loaded, and sees what it is there for.
const KERNEL_IN_SHORT: &str = "kernel-in-short";
const IN_SHORT: &str = "main_process:: members::";
const CONTAINERS: &str = "containers";
/// The containers tier where systemd makes the cgroups.
const SYSTEMD: &str = "systemd";
/// Some five minutes where the CPUs are free.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// What a main process of the storms takes at most.
const PATIENCE_PER_MAIN: Duration = Duration::from_millis(60);

/// The series that a sample runs the whole kernel tier on, the oldest and the newest; on the others it runs it in short.
const KERNEL_SAMPLE: [&str; 2] = ["5.10", "7.3"];
/// The series that a sample runs the containers tier on: before and after what the programs distinguish,
/// cgroup v2 alone.
const CONTAINERS_SAMPLE: [&str; 2] = ["6.1", "7.3"];
/// The series that it runs it on with systemd.
const SYSTEMD_SAMPLE: [&str; 1] = ["6.12"];

/// What of the tier is run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Choice {
    /// In the matrix tier only on this kernel, such as 6.1; can be given several times
    #[arg(long = "kernel", value_name = "SERIES")]
    kernels: Vec<String>,
    /// In the matrix tier only the tests of the kernel tier with this in their names
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

impl Choice {
    fn is_all(&self) -> bool {
        self.kernels.is_empty() && self.only.is_none()
    }

    /// Whether a kernel is run through a tier.
    fn has(&self, kernel: &Kernel, tier: &str, extent: Extent) -> bool {
        let is_sample = extent == Extent::Sample && self.kernels.is_empty();
        let in_sample = |of: &[&str]| of.contains(&kernel.series);
        match tier {
            KERNEL => !is_sample || in_sample(&KERNEL_SAMPLE),
            KERNEL_IN_SHORT => is_sample && !in_sample(&KERNEL_SAMPLE),
            CONTAINERS => !is_sample || in_sample(&CONTAINERS_SAMPLE),
            _ => !is_sample || in_sample(&SYSTEMD_SAMPLE),
        }
    }

    fn tiers(&self) -> &'static [&'static str] {
        if self.only.is_some() { &[KERNEL] } else { &[KERNEL, KERNEL_IN_SHORT, CONTAINERS, SYSTEMD] }
    }
}

/// Runs it. As a whole it is written to docs/kernels.md.
///
/// # Errors
/// When a guest can't be run, or its tests do not all pass.
pub fn run(choice: &Choice, extent: Extent) -> Result<()> {
    apt::install_missing(apt::Purpose::Matrix)?;
    let kernels = kernels::install(&choice.kernels)?;
    let tiers = choice.tiers();
    let targets: Vec<&str> = tiers.iter().map(|tier| target(tier)).collect();
    let built = job::build_tests(&targets)?;
    let mut jobs = Vec::new();
    for tier in tiers {
        jobs.push(Job::tests(tier, job::binary(&built, target(tier))?, choice.only.as_deref()));
    }
    let mut files: Vec<PathBuf> = built.into_iter().map(|(_, path)| path).collect();
    files.extend([repo::debugtrail_under_test(), repo::other_bpf_object()]);
    let guests = Guests::prepare(&jobs, &files)?;
    let outcomes = Mutex::new(Vec::new());
    let runs: Vec<(&Kernel, &str)> =
        tiers.iter().flat_map(|tier| kernels.iter().map(move |kernel| (kernel, *tier))).collect();
    let runs: Vec<_> = runs.into_iter().filter(|(kernel, tier)| choice.has(kernel, tier, extent)).collect();
    guests.run(&runs, machine(), |kernel, tier, ran| {
        if let Ok(ran) = &ran {
            times::step(&format!("{tier} on Linux {}", kernel.series), ran.took);
        }
        let outcome = Outcome::of(&kernel.release, tier, ran);
        outcome.print();
        outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(outcome);
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let failed: Vec<String> = outcomes.iter().filter_map(Outcome::failure).collect();
    // A table of some kernels would hide the others.
    if extent == Extent::Whole && choice.is_all() && outcomes.iter().all(|outcome| outcome.counts.is_some()) {
        table::write(&kernels, &outcomes)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed:\n  {}", failed.join("\n  "))
}

/// The test binary of a tier.
fn target(tier: &str) -> &str {
    match tier {
        KERNEL_IN_SHORT => KERNEL,
        SYSTEMD => CONTAINERS,
        _ => tier,
    }
}

fn machine() -> Machine {
    Machine {
        cpus: 2,
        threads: Threads::OnePerCpu,
        counts_instructions: false,
        patience: PATIENCE + PATIENCE_PER_MAIN * job::mains(),
    }
}

/// Writes a file that can be run.
fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
