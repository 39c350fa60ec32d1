//! The cluster's init: it holds the mount and the network namespace, starts the components in them on
//! request, adopts the shims and container processes that their parents leave behind, and reaps them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use serde::{Deserialize, Serialize};

use super::paths::Paths;
use super::{cgroups, control, mount_space};

/// All that a component sees of the environment.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// "Start this": one line of JSON over the socket, answered by one line.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    command: Vec<String>,
    log: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Started(i32),
    Failed(String),
}

/// Asks init to start a command with its output appended to `log`; its pid.
pub(super) fn start(paths: &Paths, command: &[String], log: &Path) -> Result<i32> {
    let socket = paths.init_socket();
    let stream = UnixStream::connect(&socket)
        .with_context(|| format!("the cluster's init does not listen on {}", socket.display()))?;
    let request = Request { command: command.to_vec(), log: log.to_owned() };
    writeln!(&stream, "{}", serde_json::to_string(&request)?)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    match serde_json::from_str(&line).context("the cluster's init did not answer")? {
        Answer::Started(pid) => Ok(pid),
        Answer::Failed(why) => Err(anyhow!(why)),
    }
}

/// Init's work. It ends by being killed.
pub(super) fn run() -> Result<()> {
    let paths = Paths::new();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    cgroups::enter_init()?;
    mount_space::prepare(&paths, control::load(&paths)?.runtime)?;
    let listener = UnixListener::bind(paths.init_socket())?;
    std::thread::spawn(reap_for_ever);
    for stream in listener.incoming() {
        serve(&stream?);
    }
    Ok(())
}

fn serve(stream: &UnixStream) {
    let answer = match receive(stream).and_then(|request| spawn(&request)) {
        Ok(pid) => Answer::Started(pid),
        Err(error) => Answer::Failed(format!("{error:#}")),
    };
    if let Ok(line) = serde_json::to_string(&answer) {
        let mut stream = stream;
        let _asker_is_gone = writeln!(stream, "{line}");
    }
}

fn receive(stream: &UnixStream) -> Result<Request> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn spawn(request: &Request) -> Result<i32> {
    let log = File::options().create(true).append(true).open(&request.log)?;
    // The shell leaves init's cgroup for the components' and then becomes the component.
    let child = Command::new("/bin/sh")
        .args(["-c", r#"echo $$ >"$0" && exec "$@""#])
        .arg(cgroups::system_procs()?)
        .args(["env", "-i", PATH, "HOME=/root"])
        .args(&request.command)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(i32::try_from(child.id())?)
}

/// Every child that dies, ours or adopted, with one line for the log.
fn reap_for_ever() {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => eprintln!("{pid}: {status:?}"),
            Ok(None) | Err(Errno::INTR) => {}
            // No child at the moment: there is no event for the first one.
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The command line of init: a session, a mount namespace and a network namespace of its own.
pub(super) fn command(paths: &Paths) -> Result<Command> {
    let log = File::options().create(true).append(true).open(paths.log("init"))?;
    let _stale = fs::remove_file(paths.init_socket());
    let mut command = Command::new("setsid");
    command
        .args(["unshare", "--mount", "--net", "--propagation", "private", "--"])
        .arg(paths.xtask())
        .args(["internal", "init"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}
