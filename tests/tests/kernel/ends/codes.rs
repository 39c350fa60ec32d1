//! Every exit code and every fatal signal.

use std::fs;
use std::process::Command;

use super::{assert_ends, run};
use crate::support::{ENDING, TestCgroup, Tracer, wait};

/// Signals that dump a core by default: signal(7).
const CORE: [i32; 10] = [
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGSYS,
];
/// Signals that end nothing by default.
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

fn fatal() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| !HARMLESS.contains(signal))
}

#[test]
fn every_exit_code() {
    let mut tracer = Tracer::new();
    for code in 0..=255 {
        let (status, _) = run(&mut tracer, "/bin/sh", &["-c", &format!("exit {code}")]);
        assert_eq!(status.0, code << 8);
    }
}

#[test]
fn every_fatal_signal_without_a_core() {
    let mut tracer = Tracer::new();
    for signal in fatal() {
        let (status, _) = run(&mut tracer, ENDING, &["raise", &signal.to_string()]);
        assert_eq!(status.0, signal);
    }
}

#[test]
fn every_signal_that_dumps_a_core() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("readable");
    // Elsewhere than in its folder the core would be left behind, or go to another program.
    assert!(!pattern.starts_with(['/', '|']), "the test needs a relative kernel.core_pattern, not {pattern}");
    let folder = tempfile::tempdir().expect("a folder for the cores");
    let tracer = Tracer::new();
    for signal in CORE {
        let cgroup = TestCgroup::new("core");
        let mut command = Command::new(ENDING);
        command.args(["raise-with-core", &signal.to_string()]).current_dir(folder.path());
        let status = wait(&mut cgroup.spawn(command, true));
        let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
        assert_eq!(seen.end.map(|end| end.status), Some(status));
        assert_eq!(status.0, signal | 0x80);
    }
}

#[test]
fn a_signal_looks_like_no_exit_code() {
    assert_ends(
        "/bin/sh",
        [
            (&["-c", "exit 137"] as &[&str], 137 << 8),
            (&["-c", "kill -KILL $$"], libc::SIGKILL),
            (&["-c", "exit 143"], 143 << 8),
            (&["-c", "kill -TERM $$"], libc::SIGTERM),
        ],
    );
}
