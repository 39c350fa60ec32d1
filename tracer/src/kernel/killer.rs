//! Which of the signals sent to a main process ended it, and who sent that one. Pure.

use debugtrail_common::signal::{SignalSent, origin, sender};

use super::c_string::text;
use crate::ids::{BootNanos, CgroupId, Pid};
use crate::record::{KernelKill, OomLimit, WaitStatus, exit::End};

/// Who sent the signal that ended a main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killer {
    /// A process.
    Process(Sender),
    /// The OOM killer, because of this limit, where somebody has found out.
    Oom(Option<OomLimit>),
    /// The kernel itself for any other reason.
    Kernel(KernelKill),
    /// Nobody: it exited by itself, after this process had sent it a signal that it handled, the last one of those.
    Asked(Sender),
}

/// A process that sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// In the initial pid namespace.
    pub pid: Pid,
    /// When it was forked: with the pid, its identity.
    pub forked: BootNanos,
    /// Name of the sending thread, 15 bytes at most.
    pub comm: String,
    /// The cgroup that it belonged to: by membership, else where it was.
    pub cgroup: CgroupId,
    /// That cgroup's path below the root of the v2 hierarchy, where somebody has found it.
    pub cgroup_path: Option<String>,
    /// When it sent the signal.
    pub at: BootNanos,
}

/// `si_code`s of signals that a process sends with kill(2), sigqueue(3) and tgkill(2): the kernel fills in the
/// sender of these, or lets nobody but the sender do it. All other ones below 0 are of timers and queues, whose
/// current task is anybody.
const SENT_BY_A_PROCESS: [i32; 3] = [libc::SI_USER, libc::SI_QUEUE, libc::SI_TKILL];
/// System calls whose signals are of the process that makes them. The last one is kill(2) of 32-bit programs, whose number
/// no system call of a 64-bit one has that could send a signal.
const SENDING: [i64; 5] =
    [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_pidfd_send_signal, 37];
/// Signals by which the kernel answers what the process itself has just done, where `si_code` is above 0.
const FAULTS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

/// Who ended a process with this wait status. `None` where no signal had to do with it, or nobody knows who sent it: a
/// signal that was handled, ignored or left pending ended nothing. `signals` holds the last one of each number.
pub(super) fn killer(status: WaitStatus, oom_victim: bool, signals: &[SignalSent]) -> Option<Killer> {
    let signal = match status.end()? {
        End::Signaled { signal, .. } => signal,
        End::Exited { .. } => return asked(signals).map(Killer::Asked),
    };
    let oom = (oom_victim && i32::from(signal) == libc::SIGKILL).then_some(Killer::Oom(None));
    let sent = signals.iter().find(|sent| sent.signal == u32::from(signal));
    match sent.and_then(who) {
        Some(Killer::Kernel(_)) | None => oom.or_else(|| sent.and_then(who)),
        // The OOM killer also marks what is dying already.
        process => process,
    }
}

/// Who sent the last signal that was delivered.
fn asked(signals: &[SignalSent]) -> Option<Sender> {
    let of_processes = signals.iter().filter(|sent| sent.signal != 0 && is_of_a_process(sent));
    of_processes.max_by_key(|sent| sent.boot_ns).map(process)
}

fn is_of_a_process(sent: &SignalSent) -> bool {
    match sent.origin {
        origin::GIVEN => SENT_BY_A_PROCESS.contains(&sent.code),
        origin::NO_INFO => SENDING.contains(&i64::from(sent.syscall)),
        _ => false,
    }
}

fn who(sent: &SignalSent) -> Option<Killer> {
    let signal = i32::try_from(sent.signal).ok()?;
    let is = |bit| sent.sender_state & bit != 0;
    let kernel = match sent.origin {
        _ if is_of_a_process(sent) => return Some(Killer::Process(process(sent))),
        origin::GIVEN if sent.code > 0 && FAULTS.contains(&signal) => KernelKill::Fault,
        // cgroup_kill in kernel/cgroup/cgroup.c. A parent's death signal has no siginfo either, but its parent ends.
        origin::NO_INFO if signal == libc::SIGKILL && !is(sender::EXITING) => KernelKill::CgroupKill,
        // zap_pid_ns_processes in kernel/pid_namespace.c.
        origin::KERNEL if signal == libc::SIGKILL && is(sender::EXITING) && is(sender::INIT) => {
            KernelKill::PidnsExit
        }
        _ => return None,
    };
    Some(Killer::Kernel(kernel))
}

fn process(sent: &SignalSent) -> Sender {
    Sender {
        pid: Pid(sent.sender_tgid),
        forked: BootNanos(sent.sender_start_boot_ns),
        comm: text(&sent.sender_comm),
        cgroup: CgroupId(sent.sender_cgroup_id),
        cgroup_path: None,
        at: BootNanos(sent.boot_ns),
    }
}

#[cfg(test)]
mod tests;
