//! Outputs that take nothing.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};
use std::time::Duration;

use xtask::poll;

use super::run::Place;

const PATIENCE: Duration = Duration::from_secs(60);

/// Ends by itself, with this code and this on stderr.
fn ends(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdin(Stdio::null()).spawn().expect("it starts");
    let ended = poll::until(PATIENCE, || matches!(child.try_wait(), Ok(Some(_))));
    if !ended {
        child.kill().expect("a child can be killed");
    }
    let output = child.wait_with_output().expect("its output");
    assert!(ended, "it does not end");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full").into()
}

#[test]
fn a_full_disk_is_said_in_one_line() {
    let place = Place::new();
    for arguments in [&["trace", "--node", "somewhere"][..], &["doctor"]] {
        let mut command = place.debugtrail(arguments);
        command.stdout(full()).stderr(Stdio::piped());
        let (code, said) = ends(command);
        assert_eq!(code, Some(6), "{arguments:?}: {said}");
        let complaints: Vec<&str> = said.lines().filter(|line| line.starts_with("debugtrail: ")).collect();
        assert_eq!(complaints.len(), 1, "{said}");
        assert!(
            complaints[0].contains("No space left on device") && complaints[0].contains("; make room"),
            "{said}"
        );
    }
}

#[test]
fn with_a_full_stderr_the_exit_code_still_says_it() {
    let place = Place::new();
    let mut command = place.debugtrail(&["trace", "--node", "somewhere"]);
    command.stdout(full()).stderr(full());
    assert_eq!(ends(command).0, Some(6));
}

#[test]
fn a_reader_that_is_gone_is_a_quiet_end() {
    let place = Place::new();
    for (arguments, due) in [(&["trace", "--node", "somewhere"][..], 0), (&["doctor"], 5)] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = place.debugtrail(arguments);
        command.stdout(writer).stderr(Stdio::piped());
        let (code, said) = ends(command);
        assert_eq!(code, Some(due), "{arguments:?}: {said}");
        assert!(!said.lines().any(|line| line.starts_with("debugtrail: ")), "{said}");
    }
}
