//! Which of the signals sent to a main process ended it, and who sent that one. Pure.

use debugtrail_common::signal::{SignalSent, origin, sender};

use super::c_string::text;
use super::event::Process;
use crate::ids::{BootNanos, CgroupId, Pid};
use crate::record::{KernelKill, OomLimit, WaitStatus, exit::End};

/// Who sent the signal that ended a main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killer {
    /// A process.
    Process(Sender),
    /// The OOM killer, because of this limit, where it was found out.
    Oom(Option<OomLimit>),
    /// The kernel itself for any other reason.
    Kernel(KernelKill),
    /// No signal: it exited by itself. This process had sent the last one of the signals that it handled.
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
    /// That cgroup's path below the root of the v2 hierarchy, where it was found.
    pub cgroup_path: Option<String>,
    /// What it had to do with the main process's parent.
    pub kin: Kin,
    /// The process that had started it.
    pub parent: Option<Process>,
    /// Name of the file that it or its parent executes, where that was found to be a runtime's daemon.
    pub daemon: Option<String>,
    /// When it sent the signal.
    pub at: BootNanos,
}

/// What the sender of a signal has to do with the main process's parent, by the kernel's own structures: no process
/// inside a container can choose any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// It belonged to a session, or to an undecided container.
    pub member: bool,
    /// It was that parent or a descendant of it. A container's is its shim or monitor. Of one whose parent
    /// has ended, this is never set.
    pub of_parent: bool,
    /// It was in the same pid namespace and mount namespace as that parent.
    pub beside_parent: bool,
}

/// `si_code`s of signals that a process sends with kill(2), sigqueue(3) and tgkill(2): the kernel fills in the
/// sender of these, or lets only the sender do it.
const SENT_BY_A_PROCESS: [i32; 3] = [libc::SI_USER, libc::SI_QUEUE, libc::SI_TKILL];
/// Those below 0 that the kernel gives by itself, of timers and queues, whose current task may be any: `SI_TIMER`,
/// `SI_MESGQ`, `SI_ASYNCIO`, `SI_SIGIO`, `SI_DETHREAD`, `SI_ASYNCNL` of include/uapi/asm-generic/siginfo.h.
const OF_THE_KERNEL: [i32; 6] = [-2, -3, -4, -5, -7, -60];
/// System calls whose signals without siginfo are of the process that makes them: kill(2) and its kin, and ptrace(2)
/// for `PTRACE_KILL`. The last two are kill(2) and ptrace(2) of 32-bit programs, whose numbers no system call of a 64-bit
/// one has that could send a signal.
const SENDING: [i64; 7] = [
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    37,
    26,
];
/// System calls that take a siginfo from the process that makes them: a code of its own choice, below 0 to others, any to
/// itself. Behind them rt_sigqueueinfo(2) and rt_tgsigqueueinfo(2) of 32-bit programs, and all three of x32's.
const GIVING_INFO: [i64; 8] = [
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    178,
    if cfg!(target_arch = "x86_64") { 335 } else { 363 },
    X32 + 524,
    X32 + 536,
    X32 + libc::SYS_pidfd_send_signal,
];
/// `__X32_SYSCALL_BIT` of arch/x86/include/uapi/asm/unistd.h; the two that take a siginfo have other numbers with it.
const X32: i64 = 0x4000_0000;
/// Signals by which the kernel answers what the process itself has just done, where `si_code` is above 0.
const FAULTS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

/// Who ended a process with this wait status. `None` where no signal had to do with it, or its sender is not
/// known: a signal that was handled, ignored or left pending ended nothing. `signals` holds the last one of
/// each number.
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

fn is(sent: &SignalSent, bit: u32) -> bool {
    sent.sender_state & bit != 0
}

/// Whether the current task sent it. A code that the sender may choose shows nothing; the system call that
/// the sender is in is the kernel's own note. Where that is not known, only codes that the kernel never gives
/// show a process.
fn is_of_a_process(sent: &SignalSent) -> bool {
    let call = i64::from(sent.syscall);
    match sent.origin {
        // At its end a task sends its children's death signals, and may still stand in the call that ended it.
        _ if is(sent, sender::EXITING) => false,
        origin::NO_INFO => SENDING.contains(&(call & !X32)),
        origin::GIVEN if SENT_BY_A_PROCESS.contains(&sent.code) => true,
        origin::GIVEN if is(sent, sender::SYSCALL_KNOWN) => GIVING_INFO.contains(&call),
        origin::GIVEN => sent.code < 0 && !OF_THE_KERNEL.contains(&sent.code),
        _ => false,
    }
}

/// Whether it is the kernel's answer to what the process itself has just done. It sends that to the thread that did it;
/// what has such a signal and code and is for the whole process is a child's end (clone(2) lets it choose any signal).
fn is_fault(sent: &SignalSent) -> bool {
    let is_one = i32::try_from(sent.signal).is_ok_and(|signal| FAULTS.contains(&signal));
    is_one && sent.code > 0 && !is(sent, sender::TO_PROCESS) && !is(sent, sender::EXITING)
}

fn who(sent: &SignalSent) -> Option<Killer> {
    let is_kill = sent.signal == libc::SIGKILL as u32;
    let is = |bit| is(sent, bit);
    let kernel = match sent.origin {
        _ if is_of_a_process(sent) => return Some(Killer::Process(process(sent))),
        // Where the system call is not known, the process may have sent it to its own thread.
        origin::GIVEN if is_fault(sent) && is(sender::SYSCALL_KNOWN) => KernelKill::Fault,
        // cgroup_kill in kernel/cgroup/cgroup.c. A parent's death signal has no siginfo either, but its parent ends.
        origin::NO_INFO if is_kill && !is(sender::EXITING) => KernelKill::CgroupKill,
        // zap_pid_ns_processes in kernel/pid_namespace.c.
        origin::KERNEL if is_kill && is(sender::EXITING) && is(sender::INIT) => KernelKill::PidnsExit,
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
        kin: Kin {
            member: is(sent, sender::MEMBER),
            of_parent: is(sent, sender::OF_PARENT),
            beside_parent: is(sent, sender::BESIDE_PARENT),
        },
        parent: (sent.sender_parent_tgid != 0).then_some(Process {
            pid: Pid(sent.sender_parent_tgid),
            forked: BootNanos(sent.sender_parent_start_boot_ns),
        }),
        daemon: None,
        at: BootNanos(sent.boot_ns),
    }
}

#[cfg(test)]
mod tests;
