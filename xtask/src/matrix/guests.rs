//! The disk that all guests begin with, and booting them, some at a time.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::disk;
use super::emulator;
use super::guest::{self, Machine, Ran, Threads};
use super::job::Job;
use super::kernels::Kernel;
use crate::progress::Step;
use crate::{interrupt, repo};

/// Guests at a time: each has two busy CPUs, or one that never sleeps.
const AT_A_TIME: usize = 2;

/// Gone when dropped and on Ctrl-C.
#[derive(Debug)]
pub struct Guests {
    disk: PathBuf,
    folder: PathBuf,
    _cleanup: interrupt::Cleanup,
}

impl Guests {
    /// Makes the disk, with these jobs, programs and files on it.
    ///
    /// # Errors
    /// When something of it is not there.
    pub fn prepare(jobs: &[Job], files: &[PathBuf]) -> Result<Self> {
        let step = Step::begin("the guests' disk");
        let folder = repo::target().join(format!("matrix-{}", std::process::id()));
        let made = folder.clone();
        let cleanup = interrupt::on_exit(move || {
            if let Err(error) = fs::remove_dir_all(&made) {
                eprintln!("{} is left behind: {error}", made.display());
            }
        });
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let disk = disk::make(jobs, files, &folder)?;
        step.done();
        Ok(Self { disk, folder, _cleanup: cleanup })
    }

    /// Boots a kernel for each of these jobs, in this order but for what runs at the same time, and hands each to
    /// `done` when it has ended.
    pub fn run(
        &self,
        jobs: &[(&Kernel, &str)],
        machine: Machine,
        done: impl Fn(&Kernel, &str, Result<Ran>) + Sync,
    ) {
        let waiting = Mutex::new(jobs.iter());
        let worker = || {
            while let Some((kernel, job)) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) {
                if interrupt::interrupted() {
                    return;
                }
                eprintln!("   ... {job} on Linux {}", kernel.release);
                done(kernel, job, self.boot(kernel, job, machine));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(worker);
            }
        });
    }

    /// Once more where the emulator has ended the guest.
    fn boot(&self, kernel: &Kernel, job: &str, machine: Machine) -> Result<Ran> {
        let ran = guest::boot(kernel, machine, &self.disk, job, &self.folder)?;
        if !emulator::ended_by_old_code(&ran, machine)? {
            return Ok(ran);
        }
        eprintln!(
            "{}\n   ... {job} on Linux {} once more, on one thread: qemu ran code that its kernel had changed",
            ran.console, kernel.release
        );
        let machine = Machine { threads: Threads::One, ..machine };
        guest::boot(kernel, machine, &self.disk, job, &self.folder)
    }
}
