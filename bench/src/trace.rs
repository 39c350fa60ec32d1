//! A running `debugtrail trace`, each of its records with the time at which we read it.

use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use procfs::process::{ClearRefs, Process, Status};
use rustix::process::Signal;
use serde_json::Value;
use xtask::poll;
use xtask::scenario::access::Access;
use xtask::scenario::feed::Feed;

use crate::kernel::{boot_ns, cgroups_kept_by};
use crate::programs::{self, Held};

/// How long anything that is awaited may take.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// For another cluster's containers on this machine to be forgotten.
const FORGETTING: Duration = Duration::from_secs(150);

/// A record, and when we read it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub at_ns: u64,
    /// The record.
    pub record: Value,
}

/// `debugtrail trace --output json`.
pub struct TimedTrace(Feed<Arrival>);

impl TimedTrace {
    /// Starts it and returns when its programs are attached.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(access: &Access) -> Result<Self> {
        let feed = Feed::start(access.trace(), |stdout| {
            stdout.lines().map_while(Result::ok).filter_map(|line| {
                let at_ns = boot_ns();
                serde_json::from_str(&line).ok().map(|record| Arrival { at_ns, record })
            })
        })?;
        let trace = Self(feed);
        trace.wait_for("agent_started", |arrivals| {
            arrivals.iter().any(|arrival| arrival.record["type"] == "agent_started").then_some(())
        })?;
        Ok(trace)
    }

    /// Waits until `found` finds what it looks for among all records so far.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait_for<R>(&self, what: &str, found: impl FnMut(&[Arrival]) -> Option<R>) -> Result<R> {
        self.0.wait_for(what, PATIENCE, found)
    }

    /// Waits for the record of this type about a session.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait_for_session(&self, kind: &str, pod_uid: &str, container: &str) -> Result<Arrival> {
        self.wait_for(&format!("{kind} of {container}"), |arrivals| {
            let is_it = |record: &Value| {
                record["type"] == kind
                    && record["pod_uid"] == pod_uid
                    && record["container_name"] == container
            };
            arrivals.iter().find(|arrival| is_it(&arrival.record)).cloned()
        })
    }

    /// All records so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.0.look(<[Arrival]>::to_vec)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.0.signal(signal)
    }

    /// Waits until it keeps no cgroup: then no session is live and no candidate either.
    ///
    /// # Errors
    /// When that does not come, as with containers of another cluster that never end.
    pub fn wait_until_idle(&self) -> Result<()> {
        let idle = poll::until(FORGETTING, || self.kept().is_ok_and(|kept| kept == 0));
        ensure!(idle, "debugtrail still keeps cgroups: is another cluster busy on this machine?");
        Ok(())
    }

    /// How many cgroups it keeps.
    ///
    /// # Errors
    /// When its maps cannot be read.
    pub fn kept(&self) -> Result<usize> {
        cgroups_kept_by(self.0.pid())
    }

    /// What the kernel counted of its programs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn counts(&self) -> Result<Held> {
        programs::held_by(self.0.pid())
    }

    /// Its memory and more, as /proc has it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn status(&self) -> Result<Status> {
        Ok(self.process()?.status()?)
    }

    /// Begins a new count of its largest resident memory.
    ///
    /// # Errors
    /// When it has ended.
    pub fn forget_peak(&self) -> Result<()> {
        self.process()?.clear_refs(ClearRefs::PeakRSS).context("cannot write its clear_refs")
    }

    fn process(&self) -> Result<Process> {
        Process::new(self.0.pid().cast_signed()).context("debugtrail has ended")
    }

    /// Ends it as Ctrl-C does.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> Result<()> {
        self.0.signal(Signal::INT)?;
        let status = self.0.wait(PATIENCE)?;
        if !status.success() {
            bail!("debugtrail trace ended with {status}\n{}", self.0.stderr());
        }
        Ok(())
    }
}
