//! Load for the bench, on the machine and, linked statically, as the main process of a debug session.
//!
//! - `bench-load forks COUNT WORKERS CODE`: COUNT children in all that exit at once, from WORKERS processes; then exits
//!   with CODE, and with 1 where a single one of them could not be made and reaped.
//! - `bench-load execs COUNT WORKERS CODE`: the same, each child made by vfork and exec'ing this program.
//! - `bench-load cgroups COUNT FOLDER`: moves itself to FOLDER/a and FOLDER/b in turn, then makes and removes FOLDER/c.
//! - `bench-load stamp MILLISECONDS CODE`: prints the boot clock's nanoseconds on entry, sleeps, prints them again as
//!   its last act, and exits with CODE.
//! - `bench-load hold`: waits for a signal.
//! - `bench-load nothing`: exits with 0.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let entered = boot_ns();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words, entered) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("bench-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str], entered: i128) -> io::Result<u8> {
    match *words {
        ["nothing"] => Ok(0),
        ["hold"] => loop {
            std::thread::park();
        },
        ["forks", count, workers, code] => {
            in_workers(number(count)?, number(workers)?, fork_child)?;
            number(code)
        }
        ["execs", count, workers, code] => {
            let this = CString::new(std::env::current_exe()?.into_os_string().into_encoded_bytes())?;
            in_workers(number(count)?, number(workers)?, || spawn_child(&this))?;
            number(code)
        }
        ["cgroups", count, folder] => use_cgroups(number(count)?, Path::new(folder)).map(|()| 0),
        ["stamp", milliseconds, code] => stamp(entered, number(milliseconds)?, number(code)?),
        _ => Err(io::Error::other("see the head of bench/src/bin/bench-load.rs")),
    }
}

fn number<N: std::str::FromStr>(word: &str) -> io::Result<N> {
    word.parse().map_err(|_| io::Error::other(format!("{word} is no such number")))
}

/// Nothing comes between the second reading and the exit but the writing of it.
fn stamp(entered: i128, milliseconds: u64, code: u8) -> io::Result<u8> {
    println!("{entered}");
    std::thread::sleep(Duration::from_millis(milliseconds));
    println!("{}", boot_ns());
    Ok(code)
}

fn boot_ns() -> i128 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into a local of the right type; the clock exists since 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// Makes `count` children in all, from as many worker processes.
fn in_workers(count: u32, workers: u32, one: impl Fn() -> io::Result<libc::pid_t>) -> io::Result<()> {
    let mut pids = Vec::new();
    for worker in 0..workers {
        let share = count / workers + u32::from(worker < count % workers);
        pids.push(fork(|| (0..share).try_for_each(|_| one().and_then(reap)))?);
    }
    pids.into_iter().try_for_each(reap)
}

fn fork_child() -> io::Result<libc::pid_t> {
    fork(|| Ok(()))
}

/// A child that ends with 0 where `work` is fine.
fn fork(work: impl FnOnce() -> io::Result<()>) -> io::Result<libc::pid_t> {
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        0 => {
            let code = i32::from(work().is_err());
            // SAFETY: ends the child; nothing of it is used afterwards.
            unsafe { libc::_exit(code) }
        }
        -1 => Err(io::Error::last_os_error()),
        child => Ok(child),
    }
}

/// glibc's posix_spawn is clone(CLONE_VM | CLONE_VFORK) and execve.
fn spawn_child(program: &CString) -> io::Result<libc::pid_t> {
    let argument = c"nothing";
    let argv = [program.as_ptr().cast_mut(), argument.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment = [std::ptr::null_mut()];
    let mut child = 0;
    // SAFETY: all strings end with NUL, both lists with a null pointer, and all of it outlives the call.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut child,
            program.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    if error == 0 { Ok(child) } else { Err(io::Error::from_raw_os_error(error)) }
}

fn reap(child: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: writes into a local; the child is ours and not reaped yet.
    match unsafe { libc::waitpid(child, &raw mut status, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ if status == 0 => Ok(()),
        _ => Err(io::Error::other(format!("a child ended with wait status {status}"))),
    }
}

fn use_cgroups(count: u32, folder: &Path) -> io::Result<()> {
    for _ in 0..count {
        fs::write(folder.join("a/cgroup.procs"), "0")?;
        fs::write(folder.join("b/cgroup.procs"), "0")?;
    }
    for _ in 0..count {
        fs::create_dir(folder.join("c"))?;
        fs::remove_dir(folder.join("c"))?;
    }
    Ok(())
}
