//! Which programs: their paths without links, as the process sees them, and their arguments.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use debugtrail::kernel::event::Args;

use super::session;
use crate::support::RingEvents;

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("debugtrail-test-{}-{name}", std::process::id()));
        fs::create_dir(&folder).expect("a folder can be made");
        Self(folder)
    }

    fn script(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        fs::write(&path, text).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its owner may");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("removable");
    }
}

fn resolved(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::canonicalize(path).expect("it is there").display().to_string())
}

/// What the members executed; the shell that is the main process left out.
fn exes(events: &RingEvents) -> Vec<Option<String>> {
    events.executed.iter().skip(1).map(|executed| executed.exe.clone()).collect()
}

fn args(events: &RingEvents, n: usize) -> Args {
    events.executed[n].args.clone().expect("arguments were asked for")
}

#[test]
fn a_program_goes_by_its_path_without_links() {
    let folder = Folder::new("link");
    let link = folder.0.join("link");
    symlink("/bin/true", &link).expect("a link can be made");
    let (events, seen) = session(&format!("{}; /bin/ls / >/dev/null; exit 3", link.display()));
    assert_eq!(exes(&events), [resolved("/bin/true"), resolved("/bin/ls")]);
    assert_eq!((seen.members.all, seen.members.ended), (2, 2));
    let ends: Vec<_> = events.members.iter().map(|member| (member.process, member.comm.as_str())).collect();
    let execs: Vec<_> = events.executed[1..].iter().map(|executed| executed.process).collect();
    assert_eq!(ends, [(execs[0], "link"), (execs[1], "ls")]);
}

#[test]
fn a_script_shows_as_its_interpreter_and_an_argument() {
    let folder = Folder::new("script");
    let script = folder.script("run", "#!/bin/sh\nexit 0\n");
    let (events, _) = session(&format!("{} one two; exit 3", script.display()));
    assert_eq!(exes(&events), [resolved("/bin/sh")]);
    assert_eq!(args(&events, 1).words(), ["/bin/sh", &script.display().to_string(), "one", "two"]);
}

#[test]
fn a_path_that_is_too_long_keeps_its_end_and_says_so() {
    let folder = Folder::new("long");
    let deep = format!("{}/{}/{}/last/true", "a".repeat(200), "b".repeat(200), "c".repeat(200));
    let path = folder.script(&deep, "");
    fs::copy(fs::canonicalize("/bin/true").expect("it is there"), &path).expect("it can be copied");
    let (events, _) = session(&format!("{}; exit 3", path.display()));
    assert_eq!(exes(&events), [Some(format!("[...]/{}/{}/last/true", "b".repeat(200), "c".repeat(200)))]);
}

#[test]
fn arguments_are_kept_as_far_as_there_is_room() {
    let (events, _) = session("/bin/true one '' 'two three'; /bin/true $(printf %02000d 0); exit 3");
    assert_eq!(args(&events, 1), Args::new(b"/bin/true\0one\0\0two three\0", 25).expect("some"));
    let cut = args(&events, 2);
    let words = cut.words();
    assert_eq!((words[0].as_str(), cut.truncated), ("/bin/true", true));
    assert!(words[1].len() > 900 && words[1].bytes().all(|byte| byte == b'0'), "{cut:?}");
}

#[test]
fn the_main_program_is_reported_before_its_start() {
    let (events, seen) = session("exit 3");
    let main = seen.main.expect("a main process");
    assert_eq!(events.executed.len(), 1);
    let executed = &events.executed[0];
    assert_eq!(
        (executed.process.pid, executed.process.forked, Some(executed.at)),
        (main.pid, main.forked, main.execed)
    );
    assert_eq!((executed.exe.clone(), main.exe), (resolved("/bin/sh"), resolved("/bin/sh")));
    assert_eq!(args(&events, 0).words(), ["/bin/sh", "-c", "exit 3"]);
}

#[test]
fn a_shells_builtin_is_no_process() {
    let (events, seen) = session("cd /; x=1; echo $x >/dev/null; : ; exit 3");
    assert_eq!((events.executed.len(), events.members.len(), seen.members.all), (1, 0, 0));
}
