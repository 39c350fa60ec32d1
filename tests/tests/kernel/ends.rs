//! How a main process ended, against the parent's own waitpid.

use crate::support::{TestCgroup, Witness, now, wait};

#[test]
fn an_exit_code_is_the_parents() {
    let witness = Witness::new();
    let cgroup = TestCgroup::new("exit");
    let before = now();
    let mut main = cgroup.main("/bin/sh", &["-c", "sleep 0.1; exit 42"]);
    let pid = main.id();
    let status = wait(&mut main);
    let after = now();
    let seen = witness.await_entry(cgroup.id, |seen| seen.end.is_some());
    let (main, end) = (seen.main.unwrap(), seen.end.unwrap());
    assert_eq!((main.pid.0, main.comm.as_str()), (pid, "sh"));
    assert_eq!((end.status, status.0), (status, 42 << 8));
    assert!(!end.late && !end.oom_victim);
    let execed = main.execed.unwrap();
    assert!(before < main.forked && main.forked < execed && execed < end.at && end.at < after);
    assert!(end.at.since(execed).as_millis() >= 100, "the shell slept for 100 ms");
}
