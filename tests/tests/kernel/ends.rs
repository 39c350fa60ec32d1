//! How a main process ended, against the parent's own waitpid.

use debugtrail::{kernel::Observation, record::WaitStatus};

use crate::support::{TestCgroup, Tracer, now, wait};

#[path = "ends/codes.rs"]
mod codes;

#[path = "ends/processes.rs"]
mod processes;

#[path = "ends/threads.rs"]
mod threads;

#[path = "ends/tracing.rs"]
mod tracing;

/// Runs a main process to its end; gives what the parent got, which the kernel side must have as well, and
/// all that the kernel side has.
fn run(tracer: &mut Tracer, program: &str, args: &[&str]) -> (WaitStatus, Observation) {
    let cgroup = TestCgroup::new("end");
    let mut main = cgroup.main(program, args);
    let pid = main.id();
    let status = wait(&mut main);
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    assert_eq!(seen.main.as_ref().map(|main| main.pid.0), Some(pid));
    assert_eq!(seen.end.map(|end| end.status), Some(status), "what the kernel said of {program} {args:?}");
    assert_eq!(tracer.read_ring().ends_in(&cgroup), 1, "ends end of {program} {args:?}");
    (status, seen)
}

/// Runs main processes that end as is written beside each.
fn assert_ends<'a>(program: &str, cases: impl IntoIterator<Item = (&'a [&'a str], i32)>) {
    let mut tracer = Tracer::new();
    for (args, expected) in cases {
        let (status, _) = run(&mut tracer, program, args);
        assert_eq!(status.0, expected, "what {program} {args:?} really did");
    }
}

#[test]
fn an_end_has_its_times_and_its_process() {
    let tracer = Tracer::new();
    let cgroup = TestCgroup::new("times");
    let before = now();
    let mut main = cgroup.main("/bin/sh", &["-c", "sleep 0.1; exit 42"]);
    let (pid, status) = (main.id(), wait(&mut main));
    let after = now();
    let seen = tracer.await_entry(cgroup.id, |seen| seen.end.is_some());
    let (main, end) = (seen.main.expect("a main process"), seen.end.expect("its end"));
    // The shell's path is a link on most distributions.
    let exe = std::fs::canonicalize("/bin/sh").expect("a shell").display().to_string();
    assert_eq!((main.pid.0, main.comm.as_str(), main.exe), (pid, "sh", Some(exe)));
    assert_eq!((end.status, status.0), (status, 42 << 8));
    assert!(!end.late && !end.oom_victim);
    let execed = main.execed.expect("its exec");
    assert!(before < main.forked && main.forked < execed && execed < end.at && end.at < after);
    assert!(end.at.since(execed).as_millis() >= 100, "the shell slept for 100 ms");
}
