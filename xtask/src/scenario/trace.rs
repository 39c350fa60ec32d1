//! A running `debugtrail trace` and its records.

use std::io::BufRead;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::access::Access;
use super::feed::Feed;

/// For loading the programs and the first list of pods, also on a busy machine.
const START: Duration = Duration::from_secs(60);
/// For flushing and taking the programs out of the kernel.
const STOP: Duration = Duration::from_secs(30);

/// `debugtrail trace --output json` in the background. Dropping it kills it; [`Trace::stop`] ends it as Ctrl-C does.
#[derive(Debug)]
pub struct Trace(Feed<Value>);

impl Trace {
    /// Starts it and returns when it records: programs attached, pods known.
    ///
    /// # Errors
    /// When `agent_started` does not come, with what the tracer said.
    pub fn start(access: &Access, options: &[&str]) -> Result<Self> {
        let trace = Self::spawn(access, options)?;
        trace.wait_for("agent_started", START, |records| {
            records.iter().any(|record| record["type"] == "agent_started").then_some(())
        })?;
        Ok(trace)
    }

    /// Starts it without waiting for anything.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(access: &Access, options: &[&str]) -> Result<Self> {
        let mut command = access.trace();
        command.args(options);
        Ok(Self(Feed::start(command, |stdout| {
            stdout.lines().map_while(Result::ok).map(|line| record(&line))
        })?))
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        self.0.look(<[Value]>::to_vec)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.0.stderr()
    }

    /// Waits until `found` finds what it looks for among all records so far.
    ///
    /// # Errors
    /// When `timeout` has passed or the tracer has ended before.
    pub fn wait_for<R>(
        &self,
        what: &str,
        timeout: Duration,
        found: impl FnMut(&[Value]) -> Option<R>,
    ) -> Result<R> {
        self.0.wait_for(what, timeout, found)
    }

    /// Waits for the one record of this type about this container.
    ///
    /// # Errors
    /// As [`Trace::wait_for`].
    pub fn wait_for_session(&self, kind: &str, container: &str, timeout: Duration) -> Result<Value> {
        self.wait_for(&format!("{kind} of {container}"), timeout, |records| {
            records
                .iter()
                .find(|record| record["type"] == kind && record["container_name"] == container)
                .cloned()
        })
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.0.signal(signal)
    }

    /// Waits for its end, without asking for it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.0.wait(STOP)
    }

    /// Ends it as Ctrl-C does and gives all its records.
    ///
    /// # Errors
    /// When it does not end, fails, or its last record is not `agent_stopped`.
    pub fn stop(self) -> Result<Vec<Value>> {
        self.stop_by(Signal::INT)
    }

    /// Ends it by a signal and gives all its records.
    ///
    /// # Errors
    /// As [`Trace::stop`].
    pub fn stop_by(mut self, signal: Signal) -> Result<Vec<Value>> {
        self.signal(signal)?;
        let status = self.wait()?;
        ensure!(status.success(), "debugtrail trace ended with {status}\n{}", self.0.stderr());
        let records = self.records();
        let last = records.last().map_or(&Value::Null, |record| &record["type"]);
        ensure!(last == "agent_stopped", "the last record is {last}, not agent_stopped");
        Ok(records)
    }
}

/// A line of stdout. What is no JSON is kept as a string, which no expectation takes for a record.
fn record(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))
}
