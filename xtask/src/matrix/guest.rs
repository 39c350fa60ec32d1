//! One boot of a kernel under qemu: a job, its output, its exit status.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::emulator;
use super::kernels::Kernel;

/// How a guest is built, beside its kernel.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// CPUs.
    pub cpus: u32,
    /// What of qemu runs them.
    pub threads: Threads,
    /// Its clock counts instructions, on one thread.
    pub counts_instructions: bool,
    /// The longest that it may take.
    pub patience: Duration,
}

/// The threads of qemu that run a guest's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// One for each, so that they run at the same time.
    OnePerCpu,
    /// One for all, in turn.
    One,
}

/// What a guest did.
#[derive(Debug)]
pub struct Ran {
    /// What the job said.
    pub said: String,
    /// What the kernel said on its console.
    pub console: String,
    /// Exit status of the job; `None` where the guest ended or was ended before it.
    pub status: Option<i32>,
    /// Time from power on to power off.
    pub took: Duration,
}

/// Boots the kernel with a copy of the disk of its own, and runs the job.
pub(super) fn boot(kernel: &Kernel, machine: Machine, disk: &Path, job: &str, folder: &Path) -> Result<Ran> {
    let began = Instant::now();
    let initramfs = super::initramfs::make(kernel, folder)?;
    let console = folder.join(format!("console-{}-{job}", kernel.series));
    let log = folder.join(format!("log-{}-{job}", kernel.series));
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-machine",
        "q35",
        "-cpu",
        "max,-avx,-avx2,-la57",
        "-m",
        "2048",
        "-nodefaults",
        "-display",
        "none",
        "-monitor",
        "none",
    ])
    .args(["-no-reboot", "-smp", &machine.cpus.to_string()])
    .args(emulator::options(machine))
    .arg("-kernel")
    .arg(kernel.image()?)
    .arg("-initrd")
    .arg(&initramfs)
    .args([
        "-append",
        &format!("console=ttyS0 quiet panic=-1 oops=panic mitigations=off debugtrail.job={job}"),
    ])
    .args(["-serial", &format!("file:{}", console.display()), "-serial", "chardev:job"])
    // To look on while it runs.
    .args(["-chardev", &format!("stdio,id=job,logfile={}", log.display())])
    .args(["-drive", &format!("file={},format=raw,if=virtio,snapshot=on", disk.display())])
    .env("TMPDIR", folder);
    let mut guest = Guest::start(&mut qemu)?;
    let said = guest.listen(began + machine.patience);
    drop(guest);
    let status = status(&said, job);
    let console = std::fs::read(console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console).into_owned();
    Ok(Ran { said, console, status, took: began.elapsed() })
}

/// The job's exit status, which its last line is.
fn status(said: &str, job: &str) -> Option<i32> {
    said.lines().last()?.strip_prefix(&format!("guest: {job} ended with "))?.parse().ok()
}

/// Ended when dropped.
struct Guest(Child);

impl Guest {
    fn start(qemu: &mut Command) -> Result<Self> {
        qemu.stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self(qemu.spawn().context("cannot start qemu-system-x86_64")?))
    }

    /// All that it says until it ends, or until the deadline.
    fn listen(&mut self, deadline: Instant) -> String {
        let Some(stdout) = self.0.stdout.take() else { return String::new() };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut said = String::new();
        loop {
            match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => said.extend([line.as_str(), "\n"]),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    said.push_str("guest: its time is over\n");
                    break;
                }
            }
        }
        said
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn the_status_is_the_last_line() {
        assert_eq!(status("test a ... ok\nguest: kernel ended with 101\n", "kernel"), Some(101));
        assert_eq!(status("guest: kernel ended with 0\nKernel panic\n", "kernel"), None);
        assert_eq!(status("", "kernel"), None);
    }
}
