//! clone3 with a cgroup for the child.

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

/// Forks a child that is born in a cgroup, and reaps it; gives its pid.
///
/// # Safety
///
/// `child` runs in a copy of this process that has one thread: it may only make system calls. What it returns is the
/// child's exit code.
///
/// # Errors
/// When the kernel refuses.
pub unsafe fn run_in_cgroup(cgroup: BorrowedFd<'_>, child: impl FnOnce() -> i32) -> io::Result<u32> {
    let clone = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: like fork; the child makes system calls alone, as the caller has seen to, and ends.
    unsafe {
        match libc::syscall(libc::SYS_clone3, &raw const clone, size_of::<CloneArgs>()) {
            0 => libc::_exit(child()),
            -1 => Err(io::Error::last_os_error()),
            pid => {
                let pid = pid as i32;
                libc::waitpid(pid, std::ptr::null_mut(), 0);
                Ok(pid as u32)
            }
        }
    }
}
