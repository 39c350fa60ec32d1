//! Ends of processes with several threads.

use super::{assert_ends, run};
use crate::support::{ENDING, TestCgroup, Tracer, await_zombie, wait};

#[test]
fn another_thread_than_the_leader_can_end_the_process() {
    assert_ends(
        ENDING,
        [
            (&["thread-exits-group"] as &[&str], 7 << 8),
            (&["zombie-leader"], 3 << 8),
            (&["thread-execs"], 9 << 8),
        ],
    );
}

#[test]
fn a_zombie_leader_ends_when_its_threads_do() {
    let (_, seen) = run(&mut Tracer::new(), ENDING, &["zombie-leader"]);
    let execed = seen.main.and_then(|main| main.execed).expect("its exec");
    let lived = seen.end.expect("its end").at.since(execed);
    assert!(
        lived.as_millis() >= 100,
        "the thread lived for 100 ms after the leader; the end came after {lived:?}"
    );
}

#[test]
fn a_zombie_leader_whose_threads_live_has_not_ended() {
    for killed in [false, true] {
        let mut tracer = Tracer::new();
        let cgroup = TestCgroup::new("zombie");
        let mut main = cgroup.ready_main(ENDING, &["zombie-leader-waits"]);
        // The leader may still be on its way out.
        await_zombie(&main);
        let seen = tracer.await_entry(cgroup.id, |seen| seen.main.is_some());
        assert_eq!((seen.end, tracer.read_ring().ends_in(&cgroup)), (None, 0));
        if killed {
            main.kill().expect("it lives");
        } else {
            drop(main.stdin.take());
        }
        let status = wait(&mut main);
        assert_eq!(status.0, if killed { libc::SIGKILL } else { 6 << 8 });
        let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
        assert_eq!(seen.end.map(|end| end.status), Some(status));
        assert_eq!(tracer.read_ring().ends_in(&cgroup), 1);
    }
}

#[test]
fn threads_that_end_one_by_one() {
    // 5.10 says 5, later kernels 7: what the parent gets is what counts.
    let (status, _) = run(&mut Tracer::new(), ENDING, &["threads-exit-one-by-one"]);
    assert!([5 << 8, 7 << 8].contains(&status.0), "{status:?}");
}

#[test]
fn threads_that_race_to_end_the_group() {
    let mut tracer = Tracer::new();
    for _ in 0..20 {
        let (status, _) = run(&mut tracer, ENDING, &["threads-race"]);
        assert!((1..=64).contains(&(status.0 >> 8)), "{status:?}");
    }
}

#[test]
fn threads_that_race_to_end_each_alone() {
    let mut tracer = Tracer::new();
    for _ in 0..20 {
        let (status, _) = run(&mut tracer, ENDING, &["threads-race-alone"]);
        assert!((0..=64).contains(&(status.0 >> 8)), "{status:?}");
    }
}
