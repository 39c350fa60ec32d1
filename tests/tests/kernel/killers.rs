//! Who sent the signal that ended a main process.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::{fs, path::PathBuf};

use debugtrail::{
    cgroup::hierarchy::Hierarchy,
    ids::CgroupId,
    kernel::{Killer, Observation, Sender},
    record::KernelKill,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{ENDING, MemoryLimit, TestCgroup, Tracer, await_zombie, not_on_this_kernel, wait};

/// A main process that has said on its standard output that it is ready.
struct Main {
    /// Dropped first: the ends of what is in it go to this test's ring.
    cgroup: TestCgroup,
    child: Child,
    tracer: Tracer,
}

impl Main {
    fn start(program: &str, args: &[&str]) -> Self {
        let (tracer, cgroup) = (Tracer::new(), TestCgroup::new("killed"));
        let child = cgroup.ready_main(program, args);
        Self { cgroup, child, tracer }
    }

    fn shell(script: &str) -> Self {
        Self::start("/bin/sh", &["-c", script])
    }

    /// Waits for its end; gives the signal that the parent got, 0 for none, and what the kernel side has.
    fn end(mut self) -> (i32, Observation) {
        let status = wait(&mut self.child);
        let seen = self.tracer.await_entry(self.cgroup.id, |seen| seen.end.is_some());
        assert_eq!(seen.end.map(|end| end.status), Some(status));
        (status.0 & 0x7f, seen)
    }
}

/// Sends a signal from a shell; gives the shell's pid.
fn kill(signal: &str, pid: u32) -> u32 {
    let script = format!("kill -{signal} {pid}; exit 0");
    let mut shell = Command::new("/bin/sh").args(["-c", &script]).spawn().expect("a shell");
    assert!(shell.wait().expect("waited for").success());
    shell.id()
}

fn sender(seen: &Observation) -> &Sender {
    match &seen.killer {
        Some(Killer::Process(sender)) => sender,
        other => panic!("not a process but {other:?}"),
    }
}

fn own_cgroup() -> CgroupId {
    let own = procfs::process::Process::myself().and_then(|own| own.cgroups()).expect("readable");
    let own = own.into_iter().find(|cgroup| cgroup.hierarchy == 0).expect("a v2 hierarchy").pathname;
    let dir = Hierarchy::find().expect("a cgroup2 mount").mount().join(own.trim_start_matches('/'));
    CgroupId(std::os::unix::fs::MetadataExt::ino(&fs::metadata(dir).expect("a directory")))
}

#[test]
fn a_shell_on_the_host() {
    for (name, number) in [("KILL", libc::SIGKILL), ("TERM", libc::SIGTERM), ("HUP", libc::SIGHUP)] {
        let main = Main::shell("echo ready; read line");
        let killer = kill(name, main.child.id());
        let (signal, seen) = main.end();
        let sender = sender(&seen);
        assert_eq!((signal, sender.pid.0, sender.comm.as_str()), (number, killer, "sh"));
        assert_eq!(sender.cgroup, own_cgroup());
        let (main, end) = (seen.main.as_ref().expect("a main process"), seen.end.expect("an end"));
        assert!(main.execed.expect("its exec") < sender.forked);
        assert!(sender.forked < sender.at && sender.at <= end.at);
    }
}

#[test]
fn a_process_of_the_session() {
    let (signal, seen) = Main::shell("echo ready; sh -c 'kill -9 $PPID'; sleep 10").end();
    assert_eq!((signal, sender(&seen).cgroup, sender(&seen).comm.as_str()), (9, seen.cgroup, "sh"));
}

#[test]
fn a_killer_that_left_the_cgroup_is_still_of_the_session() {
    let elsewhere = TestCgroup::new("elsewhere");
    let procs = elsewhere.dir.join("cgroup.procs");
    let script = format!("echo ready; sh -c 'echo $$ > {}; kill -9 $PPID'; sleep 10", procs.display());
    let (signal, seen) = Main::shell(&script).end();
    assert_eq!((signal, sender(&seen).cgroup), (9, seen.cgroup));
}

#[test]
fn after_a_handled_signal_its_sender_asked_for_the_exit() {
    let main = Main::shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    let asked_by = kill("TERM", main.child.id());
    let (signal, seen) = main.end();
    assert_eq!(signal, 0);
    assert!(matches!(&seen.killer, Some(Killer::Asked(sender)) if sender.pid.0 == asked_by), "{seen:?}");
    assert_eq!(seen.end.map(|end| end.status.0), Some(5 << 8));
}

#[test]
fn an_ignored_signal_has_no_killer() {
    let main = Main::shell("trap '' TERM; echo ready; read line");
    kill("TERM", main.child.id());
    let killer = kill("KILL", main.child.id());
    let (signal, seen) = main.end();
    assert_eq!((signal, sender(&seen).pid.0), (libc::SIGKILL, killer));
}

#[test]
fn a_pending_signal_has_no_killer() {
    let main = Main::start(ENDING, &["term-blocked"]);
    kill("TERM", main.child.id());
    let killer = kill("KILL", main.child.id());
    let (signal, seen) = main.end();
    assert_eq!((signal, sender(&seen).pid.0), (libc::SIGKILL, killer));
}

#[test]
fn the_first_sender_of_a_blocked_signal_is_the_killer() {
    let mut main = Main::start(ENDING, &["term-blocked"]);
    let killer = kill("TERM", main.child.id());
    assert_ne!(kill("TERM", main.child.id()), killer);
    // It unblocks the signal when its standard input ends.
    drop(main.child.stdin.take());
    let (signal, seen) = main.end();
    assert_eq!((signal, sender(&seen).pid.0), (libc::SIGTERM, killer));
}

#[test]
fn the_first_of_many_senders_is_the_killer() {
    let handled = "for s in HUP INT QUIT USR1 USR2 ALRM PIPE PROF IO PWR VTALRM; do trap : $s; done";
    let main = Main::shell(&format!("{handled}; echo ready; while :; do sleep 0.01; done"));
    for name in ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "PIPE", "PROF", "IO", "PWR", "VTALRM"] {
        kill(name, main.child.id());
    }
    let killer = kill("TERM", main.child.id());
    let (signal, seen) = main.end();
    assert_eq!((signal, sender(&seen).pid.0), (libc::SIGTERM, killer));
}

/// Sends a signal with a siginfo whose code is of our choice.
fn queue(pid: u32, signal: i32, code: i32) {
    let mut info = [0_i32; 32];
    (info[0], info[2]) = (signal, code);
    // SAFETY: a siginfo has 128 bytes.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info.as_ptr()) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_sender_that_chooses_its_signals_code_is_known() {
    // Those of a timer, of a message queue, of a look-up of names, and one without a meaning.
    for code in [-2, -3, -60, -77] {
        let main = Main::shell("echo ready; read line");
        queue(main.child.id(), libc::SIGKILL, code);
        let (signal, seen) = main.end();
        assert_eq!((signal, sender(&seen).pid.0), (libc::SIGKILL, std::process::id()), "{code}");
    }
}

#[test]
fn a_fault_that_a_process_sends_itself_is_not_the_kernels() {
    let main = Main::start(ENDING, &["forged-fault"]);
    let pid = main.child.id();
    let (signal, seen) = main.end();
    assert_eq!((signal, sender(&seen).pid.0), (libc::SIGSEGV, pid));
}

#[test]
fn a_member_named_like_a_runtime_is_a_member() {
    let script = "echo ready; ln -s /bin/sh runc:[2:INIT]; ./runc:[2:INIT] -c 'kill -9 $PPID'; sleep 10";
    let folder = tempfile::tempdir().expect("a folder");
    let (tracer, cgroup) = (Tracer::new(), TestCgroup::new("killed"));
    let child = cgroup.ready_main("/bin/sh", &["-c", &format!("cd {}; {script}", folder.path().display())]);
    let (signal, seen) = Main { tracer, cgroup, child }.end();
    let sender = sender(&seen);
    assert_eq!((signal, sender.cgroup, sender.comm.as_str()), (9, seen.cgroup, "runc:[2:INIT]"));
    assert!(sender.kin.member, "{:?}", sender.kin);
}

#[test]
fn only_what_the_parent_started_is_of_the_parent() {
    let main = Main::shell("echo ready; read line");
    // This process is the main process's parent, and what it starts is of it.
    let kin = {
        kill("KILL", main.child.id());
        let (_, seen) = main.end();
        sender(&seen).kin
    };
    assert!(kin.of_parent && kin.beside_parent && !kin.member, "{kin:?}");
    // Waiting for it closes its input.
    let main = Main::shell("echo ready; exec sleep 100");
    // The killer's parent ends at once, so that another process adopts it: it is not of this one any more.
    let script = format!("(sleep 0.2; kill -9 {}) & exit 0", main.child.id());
    wait(&mut Command::new("/bin/sh").args(["-c", &script]).spawn().expect("a shell"));
    let (_, seen) = main.end();
    let kin = sender(&seen).kin;
    assert!(!kin.of_parent && !kin.member, "{kin:?}");
}

#[test]
fn a_process_that_aborts_is_its_own_killer() {
    let main = Main::start(ENDING, &["abort"]);
    let pid = main.child.id();
    let (signal, seen) = main.end();
    assert_eq!((signal, sender(&seen).pid.0, sender(&seen).cgroup), (libc::SIGABRT, pid, seen.cgroup));
}

#[test]
fn the_kernel_is_the_killer_after_a_fault() {
    for (way, number) in [("segfault", libc::SIGSEGV), ("illegal", libc::SIGILL)] {
        let (signal, seen) = Main::start(ENDING, &[way]).end();
        assert_eq!((signal, seen.killer), (number, Some(Killer::Kernel(KernelKill::Fault))), "{way}");
    }
}

#[test]
fn a_timer_has_no_killer() {
    let (signal, seen) = Main::start(ENDING, &["alarm"]).end();
    assert_eq!((signal, seen.killer), (libc::SIGALRM, None));
}

#[test]
fn a_closed_pipe_has_no_killer() {
    let mut main = Main::shell("echo ready; read line; while :; do echo more; done");
    drop(main.child.stdout.take());
    drop(main.child.stdin.take());
    let (signal, seen) = main.end();
    assert_eq!((signal, seen.killer), (libc::SIGPIPE, None));
}

#[test]
fn cgroup_kill() {
    let main = Main::shell("echo ready; read line");
    let file = main.cgroup.dir.join("cgroup.kill");
    if !file.exists() {
        return not_on_this_kernel("cgroup.kill");
    }
    fs::write(file, "1").expect("a cgroup can be killed");
    let (signal, seen) = main.end();
    assert_eq!((signal, seen.killer), (libc::SIGKILL, Some(Killer::Kernel(KernelKill::CgroupKill))));
}

#[test]
fn the_end_of_the_pid_namespace() {
    // As with `kubectl debug --target`: the namespace is another's.
    let mut unshare = Command::new("/usr/bin/unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "/bin/sh", "-c", "echo ready; read line"]);
    let mut target = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("util-linux");
    let mut line = String::new();
    BufReader::new(target.stdout.as_mut().expect("piped")).read_line(&mut line).expect("readable");
    let children = format!("/proc/{0}/task/{0}/children", target.id());
    let init: u32 = fs::read_to_string(children).expect("readable").trim().parse().expect("one child");

    let (tracer, cgroup) = (Tracer::new(), TestCgroup::new("target"));
    // For the children of this thread alone.
    let enter = |path: String| {
        let namespace = fs::File::open(path).expect("a namespace");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ProcessID)).expect("entered");
    };
    enter(format!("/proc/{init}/ns/pid"));
    let child = cgroup.ready_main("/bin/sh", &["-c", "echo ready; read line"]);
    enter("/proc/self/ns/pid".to_owned());
    let main = Main { tracer, cgroup, child };
    drop(target.stdin.take());
    // Before its own standard input ends.
    await_zombie(&main.child);
    let (signal, seen) = main.end();
    assert!(target.wait().is_ok());
    assert_eq!((signal, seen.killer), (libc::SIGKILL, Some(Killer::Kernel(KernelKill::PidnsExit))));
}

#[test]
fn the_oom_killer() {
    let limit = MemoryLimit::new(16 << 20);
    let procs: PathBuf = limit.dir.join("cgroup.procs");
    let script = format!("echo $$ > {}; echo ready; exec {ENDING} take-memory", procs.display());
    let (signal, seen) = Main::shell(&script).end();
    assert_eq!((signal, &seen.killer), (libc::SIGKILL, &Some(Killer::Oom(None))));
    assert!(seen.end.is_some_and(|end| end.oom_victim));
}
