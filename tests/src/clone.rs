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
/// When the kernel refuses: `AlreadyExists` where another process has the pid.
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

/// A program started as cheaply as a process can be: born in its cgroup with a mount namespace of its own, on its
/// parent's memory until its exec.
///
/// # Safety
///
/// `argv` is an argument list for `program`: pointers to strings, then a null pointer.
///
/// # Errors
/// When the kernel refuses.
#[cfg(target_arch = "x86_64")]
pub unsafe fn start_in(
    cgroup: BorrowedFd<'_>,
    program: &std::ffi::CStr,
    argv: *const *const libc::c_char,
) -> io::Result<u32> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_NEWNS;
    let clone = CloneArgs {
        flags: CLONE_INTO_CGROUP | flags as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    let environment: *const libc::c_char = std::ptr::null();
    let mut result = libc::SYS_clone3;
    // SAFETY: the child shares our stack and our memory while we wait, so it makes two system calls on registers
    // alone and writes nothing.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r12",
            "mov rsi, r13",
            "mov rdx, r14",
            "mov eax, 59", // execve
            "syscall",
            "mov edi, 127",
            "mov eax, 60", // exit
            "syscall",
            "2:",
            inout("rax") result,
            in("rdi") &raw const clone,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") program.as_ptr(),
            in("r13") argv,
            in("r14") &raw const environment,
            out("rcx") _,
            out("r11") _,
        );
    }
    u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result as i32))
}

/// The same, by way of a fork.
///
/// # Safety
///
/// As there; and this process has one thread.
///
/// # Errors
/// When the kernel refuses.
#[cfg(not(target_arch = "x86_64"))]
pub unsafe fn start_in(
    cgroup: BorrowedFd<'_>,
    program: &std::ffi::CStr,
    argv: *const *const libc::c_char,
) -> io::Result<u32> {
    let clone = CloneArgs {
        flags: CLONE_INTO_CGROUP | libc::CLONE_NEWNS as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: the child makes system calls alone.
    unsafe {
        match libc::syscall(libc::SYS_clone3, &raw const clone, size_of::<CloneArgs>()) {
            0 => {
                libc::execv(program.as_ptr(), argv);
                libc::_exit(127)
            }
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(pid as u32),
        }
    }
}
