//! clone3 with a cgroup or a pid for the child.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `CLONE_INTO_CGROUP` of include/uapi/linux/sched.h; since 5.7.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of include/uapi/linux/sched.h.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What is special about a child's birth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Birth<'a> {
    /// The v2 cgroup that it is born in; its parent's where there is none.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The pid that it gets.
    pub pid: Option<u32>,
}

/// A child that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Its pid.
    pub pid: u32,
    /// Its wait status.
    pub status: i32,
}

/// Forks a child, and reaps it.
///
/// # Safety
///
/// `child` runs in a copy of this process that has one thread: it may only make system calls. What it returns is the
/// child's exit code.
///
/// # Errors
/// When the kernel refuses: `AlreadyExists` where somebody has the pid.
pub unsafe fn run(birth: Birth<'_>, child: impl FnOnce() -> i32) -> io::Result<Reaped> {
    let pid = birth.pid.map(|pid| pid as libc::pid_t);
    let clone = CloneArgs {
        flags: birth.cgroup.map_or(0, |_| CLONE_INTO_CGROUP),
        exit_signal: libc::SIGCHLD as u64,
        set_tid: pid.as_ref().map_or(0, |pid| std::ptr::from_ref(pid) as u64),
        set_tid_size: pid.map_or(0, |_| 1),
        cgroup: birth.cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // SAFETY: like fork; the child makes system calls alone, as the caller has seen to, and ends.
    unsafe {
        match libc::syscall(libc::SYS_clone3, &raw const clone, size_of::<CloneArgs>()) {
            0 => libc::_exit(child()),
            -1 => Err(io::Error::last_os_error()),
            pid => {
                let mut status = 0;
                libc::waitpid(pid as i32, &raw mut status, 0);
                Ok(Reaped { pid: pid as u32, status })
            }
        }
    }
}
