//! containerd goes away and comes back: sessions are their shims' and go on.

use debugtrail::kernel::Observation;

use crate::{
    containerd::{Containerd, Mounts},
    watcher::{Known, Watcher},
};

fn main_runs(known: &Known) -> bool {
    known.seen.as_ref().is_some_and(|seen| seen.main.is_some())
}

fn status(seen: &Observation) -> Option<i32> {
    seen.end.map(|end| end.status.0)
}

#[test]
fn a_session_outlives_its_containerd_and_ends_once() {
    let mut containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let script = "trap 'exit 7' TERM; while :; do sleep 0.05; done";
    let started = containerd.start_container("dbg", &["sh", "-c", script]);
    let id = started.id.clone();
    let running = watcher.until(&id, main_runs);
    watcher.during(|| containerd.restart());
    // Its containerd is gone, so `ctr` reports no end.
    watcher.during(|| started.end());
    let after = watcher.until(&id, |_| true);
    assert_eq!((after.seen.as_ref().and_then(status), after.ends_reported), (None, 0), "the session goes on");
    let main = running.seen.and_then(|seen| seen.main).expect("its main process");
    // SAFETY: a plain system call, on the main process of a container that this test made.
    unsafe { libc::kill(main.pid.0 as i32, libc::SIGTERM) };
    watcher.ended(&id);
    watcher.during(|| containerd.remove(&id));
    let gone = |known: &Known| known.seen.as_ref().is_some_and(|seen| seen.removed.is_some());
    let known = watcher.until(&id, gone);
    assert_eq!(known.ends_reported, 1, "its end is reported once");
    let seen = known.seen.expect("seen");
    assert_eq!((status(&seen), seen.main.map(|main| main.pid)), (Some(7 << 8), Some(main.pid)));

    let (next, code) = watcher.during(|| containerd.run("next", &[], &["sh", "-c", "exit 9"]));
    assert_eq!(code, Some(9));
    let known = watcher.ended(&next);
    assert_eq!(known.runtime.and_then(|facts| facts.meta.container_name).as_deref(), Some("next"));
    assert_eq!((known.seen.as_ref().and_then(status), known.ends_reported), (Some(9 << 8), 1));
}
