//! A running `debugtrail agent`, outside of any pod: what it does from one start to the next.

use std::io::BufRead;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use xtask::scenario::access::Access;
use xtask::scenario::feed::Feed;

use crate::debug::PATIENCE;
use crate::http;

/// For flushing and taking the programs out of the kernel.
const STOP: Duration = Duration::from_secs(30);

/// An agent of the test's own. Dropping it kills it.
#[derive(Debug)]
pub struct RunningAgent {
    feed: Feed<Value>,
    listen: SocketAddr,
}

impl RunningAgent {
    /// Starts an agent with its ledger in `ledger` and returns when it records.
    ///
    /// # Errors
    /// When `agent_started` does not come, with what the agent said.
    pub fn start(access: &Access, ledger: &Path) -> Result<Self> {
        Self::spawn(access, ledger)?.started()
    }

    /// The same with more options.
    ///
    /// # Errors
    /// As [`RunningAgent::start`].
    pub fn start_with(access: &Access, ledger: &Path, options: &[&str]) -> Result<Self> {
        let spawned = Self::spawn_with(access, ledger, |command| {
            command.arg("--no-pins").args(options);
        });
        spawned?.started()
    }

    /// The same, of an agent that pins its programs in this folder; with more options.
    ///
    /// # Errors
    /// As [`RunningAgent::start`].
    pub fn pinned(access: &Access, ledger: &Path, pins: &Path, options: &[&str]) -> Result<Self> {
        Self::spawn_pinned(access, ledger, pins, options)?.started()
    }

    /// The same without waiting for anything.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn_pinned(access: &Access, ledger: &Path, pins: &Path, options: &[&str]) -> Result<Self> {
        Self::spawn_with(access, ledger, |command| {
            command.arg("--pins").arg(pins).args(options);
        })
    }

    fn started(self) -> Result<Self> {
        let agent = self;
        agent.wait_for("agent_started", |records| {
            records.iter().any(|record| record["type"] == "agent_started").then_some(())
        })?;
        Ok(agent)
    }

    /// Starts it, pinning nothing, without waiting for anything.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(access: &Access, ledger: &Path) -> Result<Self> {
        Self::spawn_with(access, ledger, |command| {
            command.arg("--no-pins");
        })
    }

    fn spawn_with(access: &Access, ledger: &Path, options: impl FnOnce(&mut Command)) -> Result<Self> {
        let listen = free_address()?;
        let mut command = access.debugtrail("agent");
        command.arg("--ledger").arg(ledger).args(["--listen", &listen.to_string()]);
        options(&mut command);
        let feed =
            Feed::start(command, |stdout| stdout.lines().map_while(Result::ok).map(|line| record(&line)))?;
        Ok(Self { feed, listen })
    }

    /// Where it serves health and metrics.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.feed.pid()
    }

    /// What it has written to stdout so far.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        self.feed.look(<[Value]>::to_vec)
    }

    /// What it has said on stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.feed.stderr()
    }

    /// Waits until `found` finds what it looks for among all its records.
    ///
    /// # Errors
    /// When it does not come, or the agent has ended before.
    pub fn wait_for<R>(&self, what: &str, found: impl FnMut(&[Value]) -> Option<R>) -> Result<R> {
        self.feed.wait_for(what, PATIENCE, found)
    }

    /// Waits for a record of this type about this container.
    ///
    /// # Errors
    /// As [`RunningAgent::wait_for`].
    pub fn wait_for_session(&self, kind: &str, container: &str) -> Result<Value> {
        self.wait_for(&format!("{kind} of {container}"), |records| {
            let is_it = |record: &&Value| record["type"] == kind && record["container_name"] == container;
            records.iter().find(is_it).cloned()
        })
    }

    /// `GET path` of its health and metrics: status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        http::get(self.listen, path)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.feed.signal(signal)
    }

    /// Kills it as the OOM killer would, and gives what it had written.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(mut self) -> Result<Vec<Value>> {
        self.feed.signal(Signal::KILL)?;
        self.feed.wait(STOP)?;
        Ok(self.records())
    }

    /// Ends it as the kubelet does, and gives what it had written.
    ///
    /// # Errors
    /// When it does not end, fails, or its last record is not `agent_stopped`.
    pub fn stop(mut self) -> Result<Vec<Value>> {
        self.feed.signal(Signal::TERM)?;
        let status = self.feed.wait(STOP)?;
        ensure!(status.success(), "debugtrail agent ended with {status}\n{}", self.feed.stderr());
        let records = self.records();
        let last = records.last().map_or(&Value::Null, |record| &record["type"]);
        ensure!(last == "agent_stopped", "the last record is {last}, not agent_stopped");
        Ok(records)
    }
}

/// The records that a ledger holds, oldest first.
///
/// # Errors
/// When it can't be read, or a line is no JSON.
pub fn ledger(folder: &Path) -> Result<Vec<Value>> {
    let entries = std::fs::read_dir(folder.join("records"))?.collect::<Result<Vec<_>, _>>()?;
    let mut segments: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    segments.sort();
    let mut records = Vec::new();
    for segment in segments {
        for line in std::fs::read_to_string(segment)?.lines() {
            records.push(serde_json::from_str(line).context("a line of the ledger is no JSON")?);
        }
    }
    Ok(records)
}

/// An address of this machine that is free.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn record(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))
}
