//! Main processes and their ends, as a real runtime makes them.

use debugtrail::{kernel::Killer, record::OomLimit};

use crate::{
    containerd::{Containerd, Mounts},
    watcher::Watcher,
};

#[test]
fn a_command_that_is_not_there_never_runs() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let (id, code) = watcher.during(|| containerd.run("dbg", &[], &["/no/such/command"]));
    assert_ne!(code, Some(0));
    let removed = |seen: &debugtrail::kernel::Observation| seen.removed.is_some();
    let known = watcher.until(&id, |known| known.seen.as_ref().is_some_and(removed));
    let seen = known.seen.expect("seen");
    assert!(seen.entered, "runc's init was in it");
    assert_eq!((seen.main, seen.end), (None, None));
}

/// Until something is executed in it, and for as long as that may take to end.
const WAITS: &str = "until [ -e /done ]; do sleep 0.1; done; sleep 1; exit 5";

#[test]
fn a_program_executed_later_is_not_the_main_process() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let started = containerd.start_container("dbg", &["sh", "-c", WAITS]);
    let id = started.id.clone();
    let running = watcher.until(&id, |known| known.seen.as_ref().is_some_and(|seen| seen.main.is_some()));
    let exec = watcher.during(|| containerd.exec(&id, &["sh", "-c", ": > /done; exit 9"]));
    assert_eq!(exec.status.code(), Some(9), "{}", String::from_utf8_lossy(&exec.stderr));
    assert_eq!(watcher.during(|| started.end()), Some(5));
    let ended = watcher.ended(&id);
    let main = |known: &crate::watcher::Known| known.seen.as_ref().and_then(|seen| seen.main.clone());
    assert_eq!(main(&running), main(&ended));
    assert_eq!(ended.seen.and_then(|seen| seen.end).map(|end| end.status.0), Some(5 << 8));
}

#[test]
fn a_main_process_past_its_memory_limit_is_an_oom_victim() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let limit = (16 << 20).to_string();
    let hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
    let (id, code) = watcher.during(|| containerd.run("dbg", &["--memory-limit", &limit], &hog));
    assert_eq!(code, Some(137));
    let seen = watcher.ended(&id).seen.expect("its end");
    let end = seen.end.expect("its end");
    assert_eq!((end.status.0, end.oom_victim), (libc::SIGKILL, true));
    assert_eq!(seen.killer, Some(Killer::Oom(Some(OomLimit::Container))));
}

#[test]
fn a_sigkill_is_not_the_oom_killers() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let started = containerd.start_container("dbg", &["sleep", "60"]);
    let id = started.id.clone();
    let running = watcher.until(&id, |known| known.seen.as_ref().is_some_and(|seen| seen.main.is_some()));
    let pid = running.seen.and_then(|seen| seen.main).expect("its main process").pid;
    // SAFETY: a plain system call, on the main process of a container that this test made.
    unsafe { libc::kill(pid.0 as i32, libc::SIGKILL) };
    assert_eq!(watcher.during(|| started.end()), Some(137));
    let end = watcher.ended(&id).seen.and_then(|seen| seen.end).expect("its end");
    assert_eq!((end.status.0, end.oom_victim), (libc::SIGKILL, false));
}
