//! Processes that a signal ends.

use crate::{
    Way,
    system::{await_input, ready, wait_for_ever},
};

pub fn way(name: &str) -> Option<Way> {
    Some(match name {
        "raise" => raise,
        "raise-with-core" => raise_with_core,
        "term-blocked" => term_blocked,
        "abort" => abort,
        "segfault" => segfault,
        "forged-fault" => forged_fault,
        "illegal" => illegal,
        "alarm" => alarm,
        _ => return None,
    })
}

/// By the signal of that number, without a core.
fn raise(signal: &str) -> ! {
    // SAFETY: a plain system call.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    raise_unblocked(signal)
}

/// By the signal of that number, with a core where the signal dumps one.
fn raise_with_core(signal: &str) -> ! {
    let any = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call on a structure of this stack.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const any) }, 0, "a limit on cores");
    raise_unblocked(signal)
}

fn raise_unblocked(signal: &str) -> ! {
    let signal: i32 = signal.parse().expect("a signal's number");
    // SAFETY: system calls; the action set is the default one. The bare one also takes the signals that the C
    // library keeps for itself.
    unsafe {
        let mut default: [u64; 4] = [0; 4];
        let size = size_of::<u64>();
        libc::syscall(libc::SYS_rt_sigaction, signal, default.as_mut_ptr(), std::ptr::null::<u8>(), size);
        let none = 0u64;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null::<u8>(),
            size,
        );
        libc::syscall(libc::SYS_kill, libc::getpid(), signal);
    }
    panic!("signal {signal} ended nothing")
}

/// SIGTERM stays pending until standard input ends.
fn term_blocked(_: &str) -> ! {
    let mask = |how| {
        // SAFETY: a set on this stack, filled in before it is used.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigprocmask(how, &raw const set, std::ptr::null_mut());
        }
    };
    mask(libc::SIG_BLOCK);
    ready();
    await_input();
    mask(libc::SIG_UNBLOCK);
    panic!("SIGTERM was pending")
}

fn abort(_: &str) -> ! {
    ready();
    std::process::abort()
}

fn segfault(_: &str) -> ! {
    ready();
    // SAFETY: none: it faults.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    unreachable!("nothing is mapped there")
}

/// Sends itself what the kernel sends for a bad address.
fn forged_fault(_: &str) -> ! {
    ready();
    let mut info = [0_i32; 32];
    (info[0], info[2]) = (libc::SIGSEGV, 1);
    // Rust's own handler takes the first for a true one, and waits for it to come again.
    // SAFETY: plain system calls; a siginfo has 128 bytes.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, libc::getpid(), libc::SIGSEGV, info.as_ptr()) };
    wait_for_ever()
}

fn illegal(_: &str) -> ! {
    ready();
    // SAFETY: none: an instruction that no processor has faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("ud2", options(noreturn))
    }
    // SAFETY: none: an instruction that no processor has faults.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("udf #0", options(noreturn))
    }
}

fn alarm(_: &str) -> ! {
    ready();
    // SAFETY: a plain system call.
    unsafe { libc::alarm(1) };
    wait_for_ever()
}
