//! Other tracers on the exit hook: libbpf-tools' exitsnoop and bpftrace scripts, as a person would run them.

use std::io::BufRead;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use procfs::process::Process;
use rustix::process::Signal;
use xtask::poll;
use xtask::scenario::feed::Feed;

use crate::programs::{self, Held};

/// bpftrace compiles its script first.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);

/// Prints the same of each exit as exitsnoop does.
const PRINTS_EACH: &str = r#"tracepoint:sched:sched_process_exit { printf("%s %d %d %d\n", comm, pid, cgroup, curtask->exit_code); }"#;
/// The same of one cgroup's: of an id that no cgroup has.
const PRINTS_ONE_CGROUP: &str = r#"tracepoint:sched:sched_process_exit /cgroup == 0x7fffffffffff/ { printf("%s %d %d %d\n", comm, pid, cgroup, curtask->exit_code); }"#;

/// Its mounts are its own: both tools want them, and nothing is left.
const MOUNTED: &str = "mount -t tracefs none /sys/kernel/tracing && mount -t debugfs none /sys/kernel/debug && \
                       ulimit -l unlimited 2>/dev/null; exec \"$@\"";

/// A way to run a tracer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What the report calls it.
    pub name: &'static str,
    command: Vec<String>,
}

/// Those that are compared with; `pods` is the cgroup folder of all pods, which a person would filter by.
#[must_use]
pub fn all(pods: &str) -> Vec<Peer> {
    let peer =
        |name, command: &[&str]| Peer { name, command: command.iter().map(ToString::to_string).collect() };
    vec![
        peer("exitsnoop, pods only", &["exitsnoop", "--cgroup", pods]),
        peer("exitsnoop", &["exitsnoop"]),
        peer("bpftrace, one cgroup", &["bpftrace", "-e", PRINTS_ONE_CGROUP]),
        peer("bpftrace", &["bpftrace", "-e", PRINTS_EACH]),
    ]
}

/// A line of a tracer's output, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// One exit.
    Exit,
    /// It says that it lost so many.
    Lost(u64),
}

/// Reads a line of exitsnoop's or of our scripts; `None` of headings and warnings.
#[must_use]
pub fn parse(line: &str) -> Option<Line> {
    let lowered = line.to_ascii_lowercase();
    if let Some((_, rest)) = lowered.split_once("lost ") {
        let count: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return count.parse().ok().map(Line::Lost);
    }
    // COMM may hold spaces; the numbers after it don't. exitsnoop: COMM PID PPID TID AGE, then a code or
    // "signal N (NAME)". Ours: COMM PID CGROUP CODE.
    let columns = line.split_once(" signal ").map_or(line, |(before, _)| before);
    let numbers = columns.split_whitespace().rev().take_while(|word| word.parse::<f64>().is_ok()).count();
    (numbers >= 3).then_some(Line::Exit)
}

/// A tracer that runs.
pub struct Running {
    feed: Feed<Line>,
}

/// What a tracer has reported in all, and its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTotals {
    /// Exits.
    pub exits: u64,
    /// Exits that it says it lost.
    pub lost: u64,
    /// Its largest resident memory, in KiB.
    pub peak_kib: u64,
}

impl Running {
    /// Starts it and returns when its program runs; `poke` makes a process exit.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(peer: &Peer, poke: impl Fn() -> Result<()>) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", MOUNTED, "sh"]).args(&peer.command);
        let feed = Feed::start(command, |stdout| {
            stdout
                .split(b'\n')
                .map_while(Result::ok)
                .filter_map(|line| parse(&String::from_utf8_lossy(&line)))
        })?;
        let running = Self { feed };
        let mut poked = Ok(());
        let runs = poll::until(START, || {
            poked = poke();
            poked.is_err()
                || running.counts().is_ok_and(|held| held.programs.values().any(|one| one.runs > 0))
        });
        poked?;
        runs.then_some(running).with_context(|| format!("{} does not begin to trace", peer.name))
    }

    /// What the kernel counted of its programs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn counts(&self) -> Result<Held> {
        programs::held_by(self.feed.pid())
    }

    /// Ends it as Ctrl-C does.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(mut self) -> Result<PeerTotals> {
        let status = Process::new(self.feed.pid().cast_signed())?.status()?;
        self.feed.signal(Signal::INT)?;
        self.feed.wait(STOP)?;
        let lines = self.feed.look(<[Line]>::to_vec);
        let lost = |text: &str| match parse(text) {
            Some(Line::Lost(count)) => count,
            _ => 0,
        };
        let on_stderr: u64 = self.feed.stderr().lines().map(lost).sum();
        let mut totals =
            PeerTotals { lost: on_stderr, peak_kib: status.vmhwm.unwrap_or(0), ..PeerTotals::default() };
        for line in lines {
            match line {
                Line::Exit => totals.exits += 1,
                Line::Lost(count) => totals.lost += count,
            }
        }
        Ok(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_of_exitsnoop() {
        assert_eq!(parse("PCOMM            PID     PPID    TID     AGE(s)  EXIT_CODE"), None);
        assert_eq!(parse("sleep            4711    4700    4711    3.01    0"), Some(Line::Exit));
        assert_eq!(
            parse("Web Content      4711    4700    4711    3.01    signal 9 (KILL)"),
            Some(Line::Exit)
        );
        assert_eq!(parse("sh               4711    4700    4711    0.00    137"), Some(Line::Exit));
    }

    #[test]
    fn exits_of_the_scripts() {
        assert_eq!(parse("Attaching 1 probe..."), None);
        assert_eq!(parse("opt cgu.01 28039 1 0"), Some(Line::Exit));
        assert_eq!(parse("bench-load 28188 4294967298 256"), Some(Line::Exit));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn lost_events_of_other_tracers_are_read() {
        assert_eq!(parse("lost 666 events on CPU #1"), Some(Line::Lost(666)));
        assert_eq!(parse("Lost 12 events"), Some(Line::Lost(12)));
        assert_eq!(parse("we lost count"), None);
    }
}
