//! Processes by pid and start time, so that a reused pid is never taken for ours.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use procfs::process::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use serde::{Deserialize, Serialize};

/// One process, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessId {
    pid: i32,
    /// In clock ticks since boot, as /proc/PID/stat has it.
    start: u64,
}

impl ProcessId {
    /// The process that has this pid now.
    pub(super) fn of(pid: i32) -> Result<Self> {
        let start = Process::new(pid)
            .and_then(|process| process.stat())
            .with_context(|| format!("process {pid} is gone"))?
            .starttime;
        Ok(Self { pid, start })
    }

    /// Its pid, while it is alive.
    pub(super) const fn pid(self) -> i32 {
        self.pid
    }

    /// False once it is dead, even if it was not waited for yet.
    pub(super) fn alive(self) -> bool {
        Process::new(self.pid)
            .and_then(|process| process.stat())
            .is_ok_and(|stat| stat.starttime == self.start && !matches!(stat.state, 'Z' | 'X'))
    }

    /// True also for a dead one that was not waited for yet.
    pub(super) fn exists(self) -> bool {
        Process::new(self.pid)
            .and_then(|process| process.stat())
            .is_ok_and(|stat| stat.starttime == self.start)
    }

    /// Sends a signal and waits until the process has ended. A process that is gone is fine.
    pub(super) fn end(self, signal: Signal, patience: Duration) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        // The pidfd first, then the check: from then on the pid cannot come to mean another.
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if self.alive() {
            let _already_gone = pidfd_send_signal(&pidfd, signal);
            wait_readable(&pidfd, patience)
                .with_context(|| format!("process {} does not end on {signal:?}", self.pid))?;
        }
        reap(self.pid);
        Ok(())
    }
}

/// Waits for a dead child of ours; anything else is its own parent's to wait for.
pub(super) fn reap(pid: i32) {
    let is_child = Process::new(pid)
        .and_then(|process| process.stat())
        .is_ok_and(|stat| Pid::from_raw(stat.ppid) == Some(rustix::process::getpid()));
    if is_child {
        let _gone_already = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
    }
}

fn wait_readable(pidfd: &impl std::os::fd::AsFd, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left)?;
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => bail!("still there after {} s", patience.as_secs()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
