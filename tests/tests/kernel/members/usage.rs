//! What a session takes, beside what the kernel reports to the parent.

use std::mem::MaybeUninit;

use super::session;
use crate::support::{TestCgroup, Tracer};

/// Reaps a child with the kernel's own account of it.
fn reap(pid: u32) -> libc::rusage {
    let (mut status, mut usage) = (0, MaybeUninit::uninit());
    // SAFETY: both are written by the call, of which the result says so.
    unsafe {
        assert_eq!(libc::wait4(pid as i32, &raw mut status, 0, usage.as_mut_ptr()), pid as i32);
        usage.assume_init()
    }
}

fn nanos(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000
}

#[expect(clippy::zombie_processes, reason = "wait4 reaps it")]
#[test]
fn the_main_processs_usage_is_what_its_parent_gets() {
    let mut tracer = Tracer::new();
    let cgroup = TestCgroup::new("usage");
    tracer.track(&cgroup);
    let main = cgroup.main("/bin/sh", &["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3"]);
    let reaped = reap(main.id());
    let seen = tracer.await_entry(cgroup.id, |seen| seen.main_used.is_some());
    let used = seen.main_used.expect("awaited");
    let cpu = nanos(reaped.ru_utime) + nanos(reaped.ru_stime);
    // The parent gets whole microseconds, of which user and system time are each cut off.
    assert!(used.cpu_ns.abs_diff(cpu) <= 2000, "{used:?}, and {cpu} ns");
    assert_eq!(
        (used.processes, used.minor_faults, used.major_faults),
        (1, reaped.ru_minflt as u64, reaped.ru_majflt as u64)
    );
    let page_kib = rustix::param::page_size() as u64 / 1024;
    assert_eq!(used.max_rss_pages.map(|pages| pages * page_kib), Some(reaped.ru_maxrss as u64));
}

#[test]
fn the_members_usage_adds_up() {
    let burn = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let (events, seen) = session(&format!("({burn}) & ({burn}) & wait; exit 3"));
    assert_eq!((events.members.len(), seen.members_used.processes), (2, 2));
    let main = seen.main_used.expect("awaited");
    assert!(seen.members_used.cpu_ns > main.cpu_ns, "{seen:?}");
    assert!(
        events.members.iter().all(|member| member.max_rss_pages.is_some_and(|pages| pages > 0)),
        "{events:?}"
    );
}
