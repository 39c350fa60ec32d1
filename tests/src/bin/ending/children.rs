//! Processes with children.

use std::os::fd::AsFd;

use debugtrail_tests::clone::{Birth, run};

use crate::Way;
use crate::system::{await_input, exit_group, ready};

pub fn way(name: &str) -> Option<Way> {
    Some(match name {
        "fork-storm" => fork_storm,
        "vfork" => vfork,
        "zombies" => zombies,
        "child-elsewhere" => child_elsewhere,
        _ => return None,
    })
}

/// That many children, one after another, each ending with 0; then 42.
fn fork_storm(children: &str) -> ! {
    let children: u32 = children.parse().expect("how many children");
    for _ in 0..children {
        fork_and_reap(0).expect("a child");
    }
    exit_group(42)
}

/// A child that borrows this process's memory until it ends with 13; then 14.
fn vfork(_: &str) -> ! {
    let child = vfork_and_exit(13);
    // SAFETY: a system call that writes nothing; the child is this process's.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    exit_group(14)
}

/// That many children that have ended and are not reaped until standard input ends; then 15.
fn zombies(children: &str) -> ! {
    let children: u32 = children.parse().expect("how many children");
    for _ in 0..children {
        vfork_and_exit(0);
    }
    ready();
    await_input();
    // SAFETY: a system call that writes nothing. It fails where no child is left.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
    exit_group(15)
}

/// The pid of a child that only ends, as cheaply as one can.
fn vfork_and_exit(code: i32) -> i32 {
    // SAFETY: the child only ends, before this process goes on. The libc crate calls vfork deprecated for what
    // else a child could do.
    #[allow(deprecated)]
    unsafe {
        match libc::vfork() {
            0 => libc::_exit(code),
            -1 => panic!("vfork: {}", std::io::Error::last_os_error()),
            child => child,
        }
    }
}

/// A child born in the cgroup of that path ends with 23 after one of its own ended with 22; then 42.
fn child_elsewhere(path: &str) -> ! {
    let cgroup = std::fs::File::open(path).expect("a cgroup");
    let birth = Birth { cgroup: Some(cgroup.as_fd()), pid: None };
    // SAFETY: this process has one thread.
    unsafe { run(birth, || fork_and_reap(22).map_or(1, |()| 23)) }.expect("a child");
    exit_group(42)
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
