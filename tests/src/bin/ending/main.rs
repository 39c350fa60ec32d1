//! Ends in the way its first argument names. What a shell can't do: threads, and system calls of their own.

use std::{os::fd::AsFd, thread, time::Duration};

use debugtrail_tests::clone::run_in_cgroup;

const A_WHILE: Duration = Duration::from_millis(100);

fn main() {
    let mut args = std::env::args().skip(1);
    let way = args.next().unwrap_or_default();
    match way.as_str() {
        // The group ends from a thread that is not its leader.
        "thread-exits-group" => {
            thread::spawn(|| {
                thread::sleep(A_WHILE);
                exit_group(7)
            });
            wait_for_ever()
        }
        // The leader is a zombie while a thread lives on; then the thread ends the group.
        "zombie-leader" => {
            thread::spawn(|| {
                thread::sleep(A_WHILE);
                exit_group(3)
            });
            exit_thread(5)
        }
        // Nobody calls exit_group: leader first, last thread later. Kernels differ in whose code counts.
        "threads-exit-one-by-one" => {
            thread::spawn(|| {
                thread::sleep(A_WHILE);
                exit_thread(7)
            });
            exit_thread(5)
        }
        // Exec from a thread takes over the leader's pid; all other threads go.
        "thread-execs" => {
            thread::spawn(|| {
                let error = std::os::unix::process::CommandExt::exec(
                    std::process::Command::new("/bin/sh").args(["-c", "sleep 0.1; exit 9"]),
                );
                panic!("exec: {error}");
            });
            wait_for_ever()
        }
        // Many threads race to end the group, each with another code.
        "threads-race" => {
            let barrier: &'static std::sync::Barrier = Box::leak(Box::new(std::sync::Barrier::new(16)));
            for code in 1..=16 {
                thread::spawn(move || {
                    barrier.wait();
                    exit_group(code)
                });
            }
            wait_for_ever()
        }
        // That many children, one after another, each ending with 0; then 42.
        "fork-storm" => {
            let children: u32 = args.next().and_then(|n| n.parse().ok()).expect("how many children");
            for _ in 0..children {
                fork_and_reap(0).expect("a child");
            }
            exit_group(42)
        }
        // A child born in the cgroup of that path ends with 23 after one of its own ended with 22; then 42.
        "child-elsewhere" => {
            let cgroup = std::fs::File::open(args.next().expect("a cgroup's path")).expect("a cgroup");
            // SAFETY: this process has one thread.
            unsafe { run_in_cgroup(cgroup.as_fd(), || fork_and_reap(22).map_or(1, |()| 23)) }
                .expect("a child");
            exit_group(42)
        }
        // SIGTERM stays pending until standard input ends.
        "term-blocked" => {
            let block = |how| {
                // SAFETY: a set on this stack, filled in before it is used.
                unsafe {
                    let mut set = std::mem::zeroed();
                    libc::sigemptyset(&raw mut set);
                    libc::sigaddset(&raw mut set, libc::SIGTERM);
                    libc::sigprocmask(how, &raw const set, std::ptr::null_mut());
                }
            };
            block(libc::SIG_BLOCK);
            ready();
            std::io::read_to_string(std::io::stdin()).expect("readable");
            block(libc::SIG_UNBLOCK);
            panic!("SIGTERM was pending")
        }
        "abort" => {
            ready();
            std::process::abort()
        }
        "segfault" => {
            ready();
            // SAFETY: none: it faults.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
            unreachable!("nothing is mapped there")
        }
        "illegal" => {
            ready();
            // SAFETY: none: it is an instruction that no processor has.
            unsafe { illegal() }
        }
        "alarm" => {
            ready();
            // SAFETY: a plain system call.
            unsafe { libc::alarm(1) };
            wait_for_ever()
        }
        // Touches memory until there is none.
        "take-memory" => {
            let mut taken: Vec<Vec<u8>> = Vec::new();
            loop {
                taken.push(vec![1; 1 << 20]);
                std::hint::black_box(&taken);
            }
        }
        other => panic!("no such way to end: {other:?}"),
    }
}

fn fork_and_reap(code: i32) -> std::io::Result<()> {
    // SAFETY: this process has one thread, so the child may do anything; it only ends. The parent waits for
    // exactly that child.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(code),
            -1 => return Err(std::io::Error::last_os_error()),
            child => {
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
        }
    }
    Ok(())
}

/// Tells the test that what it wants to do to this process may begin.
fn ready() {
    println!("ready");
}

#[cfg(target_arch = "x86_64")]
unsafe fn illegal() -> ! {
    // SAFETY: the caller wants the fault.
    unsafe { std::arch::asm!("ud2", options(noreturn)) }
}

#[cfg(target_arch = "aarch64")]
unsafe fn illegal() -> ! {
    // SAFETY: the caller wants the fault.
    unsafe { std::arch::asm!("udf #0", options(noreturn)) }
}

fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

fn exit_group(code: i32) -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(code) }
}

/// The bare system call: libc's `exit` ends the whole group.
fn exit_thread(code: i32) -> ! {
    // SAFETY: ends this thread alone; the others use nothing of its stack.
    unsafe { libc::syscall(libc::SYS_exit, code) };
    unreachable!("SYS_exit does not return")
}
