//! The matrix tier: the kernel tier and the containers tier on Debian's kernels from the oldest that debugtrail
//! promises to the newest there is, each booted by qemu.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::setup::apt;
use crate::{interrupt, repo};

mod apt_root;
mod disk;
mod guest;
mod initramfs;
mod job;
pub mod kernels;
mod outcome;

use guest::Machine;
use job::Job;
use kernels::Kernel;

/// The tiers that are run in guests.
const KERNEL: &str = "kernel";
const CONTAINERS: &str = "containers";
/// Guests at a time.
const AT_A_TIME: usize = 2;
const MACHINE: Machine = Machine { cpus: 2, counts_instructions: false, patience: Duration::from_secs(420) };

/// Runs it on these series, all where none is named.
///
/// # Errors
/// When a guest can't be run, or its tests do not all pass.
pub fn run(series: &[String]) -> Result<()> {
    apt::install_missing(apt::Purpose::Matrix)?;
    let kernels = kernels::install(series)?;
    let built = job::build_tests(&[KERNEL, CONTAINERS])?;
    let jobs = [
        Job::tier(KERNEL, job::binary(&built, KERNEL)?),
        Job::tier(CONTAINERS, job::binary(&built, CONTAINERS)?),
    ];
    let mut programs: Vec<PathBuf> = built.into_iter().map(|(_, path)| path).collect();
    programs.push(repo::debugtrail_under_test());
    let folder = WorkFolder::make()?;
    let step = Step::begin("the guests' disk");
    let disk = disk::make(&jobs, &programs, &folder.path)?;
    step.done();
    let failed = run_guests(&kernels, &disk, &folder.path);
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed:\n  {}", failed.join("\n  "))
}

/// Some at a time, the one that takes longest first; gives what went wrong.
fn run_guests(kernels: &[Kernel], disk: &Path, folder: &Path) -> Vec<String> {
    let runs = [KERNEL].into_iter().flat_map(|tier| kernels.iter().map(move |kernel| (kernel, tier)));
    let waiting = Mutex::new(runs.collect::<Vec<_>>());
    let failed = Mutex::new(Vec::new());
    let worker = || {
        while let Some((kernel, tier)) = waiting.lock().ok().and_then(|mut waiting| waiting.pop()) {
            if interrupt::interrupted() {
                return;
            }
            if let Err(error) = run_one(kernel, tier, disk, folder)
                && let Ok(mut failed) = failed.lock()
            {
                failed.push(format!("{tier} tier on {}: {error:#}", kernel.release));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(worker);
        }
    });
    failed.into_inner().unwrap_or_default()
}

fn run_one(kernel: &Kernel, tier: &str, disk: &Path, folder: &Path) -> Result<()> {
    eprintln!("   ... {tier} tier on Linux {}", kernel.release);
    let ran = guest::boot(kernel, MACHINE, disk, tier, folder)?;
    let counts = outcome::counts(&ran.said);
    if let Some(complaint) = outcome::complaint(ran.status, counts) {
        eprintln!("{}\n{}", ran.console, ran.said);
        bail!("{complaint} ({:.1} s)", ran.took.as_secs_f64());
    }
    let passed = counts.map_or(0, |counts| counts.passed);
    eprintln!(
        "    ok {tier} tier on Linux {}: {passed} passed ({:.1} s)",
        kernel.release,
        ran.took.as_secs_f64()
    );
    Ok(())
}

/// Where disks and initramfs lie while they are used; gone when dropped and on Ctrl-C.
struct WorkFolder {
    path: PathBuf,
    _cleanup: interrupt::Cleanup,
}

impl WorkFolder {
    fn make() -> Result<Self> {
        let path = repo::target().join(format!("matrix-{}", std::process::id()));
        let made = path.clone();
        let cleanup = interrupt::on_exit(move || {
            if let Err(error) = fs::remove_dir_all(&made) {
                eprintln!("{} is left behind: {error}", made.display());
            }
        });
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, _cleanup: cleanup })
    }
}

/// Writes a file that can be run.
fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
