//! Who descends from whom.

use procfs::process::{Process, Stat, all_processes};
use rustix::process::{Pid, Signal, kill_process};

use crate::poll;
use std::time::Duration;

/// Every descendant of a process, as /proc has it now; zombies included.
#[must_use]
pub fn descendants(ancestor: i32) -> Vec<Stat> {
    let mut others: Vec<Stat> =
        all_processes().into_iter().flatten().filter_map(|process| process.ok()?.stat().ok()).collect();
    let mut found: Vec<Stat> = Vec::new();
    let mut parent = Some(ancestor);
    let mut next = 0;
    while let Some(pid) = parent {
        found.extend(others.extract_if(.., |stat| stat.ppid == pid));
        parent = found.get(next).map(|stat| stat.pid);
        next += 1;
    }
    found
}

/// Asks every descendant of ours to end, and waits for that, but not for ever. Those in a session
/// of their own (the cluster's init and guard) are not meant: they have owners that end them.
pub fn end_descendants(patience: Duration) {
    let this = std::process::id().cast_signed();
    // 0 where the session's leader is outside of our pid namespace, which rustix's getsid does not expect.
    let Ok(own) = Process::myself().and_then(|own| own.stat()) else { return };
    let relatives = || {
        let mut relatives = descendants(this);
        relatives.retain(|stat| stat.session == own.session && !matches!(stat.state, 'Z' | 'X'));
        relatives
    };
    for pid in relatives().iter().filter_map(|stat| Pid::from_raw(stat.pid)) {
        let _gone = kill_process(pid, Signal::TERM);
    }
    poll::until(patience, || relatives().is_empty());
}
