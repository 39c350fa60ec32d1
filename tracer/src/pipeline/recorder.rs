//! Numbers records, gives them their times, and hands them to the output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Lost;
use crate::clock::{self, ClockState, OffsetHistory, OffsetSample, WallTime, boot_now};
use crate::ids::{BootId, BootNanos, Pid};
use crate::ledger::Heartbeat;
use crate::pods::PodIndex;
use crate::record::{
    AgentIdentity, AgentRecord, ClockStepRecord, ClosedRecord, Convention, GapReason, GapRecord,
    ProcessesRecord, Record, SessionId, SessionRecord, StopReason, redact::Argv, table,
};
use crate::session::{Container, UnseenEnd, report::Context};
use crate::sinks::metrics::Metrics;
use crate::sinks::{Output, Sent};

/// How long the end waits for room to say what was not written.
const LAST_GAP: Duration = Duration::from_secs(2);

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of columns for people.
    Table,
    /// One JSON object a line, schema debugtrail.dev/record/v1.
    Json,
}

/// What every record of this run has in common.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// The node's name in the cluster.
    pub node_name: Option<String>,
    /// This boot.
    pub boot_id: BootId,
    /// The kernel's release.
    pub kernel_release: String,
}

/// Which records are written, and how.
#[derive(Clone, Debug)]
pub struct Style {
    /// As what.
    pub format: Format,
    /// Only sessions of this namespace.
    pub namespace: Option<String>,
    /// What the team's exit codes mean.
    pub convention: Convention,
    /// Which arguments are shown.
    pub argv: Argv,
}

/// Writes records.
pub struct Recorder {
    node: NodeFacts,
    style: Style,
    history: OffsetHistory,
    sequence: u64,
    out: Box<dyn Output>,
    metrics: Option<Arc<Metrics>>,
    /// Records that the output had no room for: how many, and since when.
    unwritten: Option<(u64, BootNanos)>,
}

impl Recorder {
    /// A recorder that writes to `out`.
    #[must_use]
    pub fn new(node: NodeFacts, style: Style, out: Box<dyn Output>) -> Self {
        if style.format == Format::Table {
            out.send(table::header());
        }
        let history = OffsetHistory::new(clock::sample());
        Self { node, style, history, sequence: 0, out, metrics: None, unwritten: None }
    }

    /// Counts every record in `metrics` as well.
    #[must_use]
    pub fn counting(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// Goes on behind the last sequence number that an earlier run of this boot gave.
    pub(super) fn go_on_after(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The sequence number that the next record of the node gets.
    pub(super) fn upcoming(&self) -> u64 {
        self.sequence + 1
    }

    /// How many lines were handed on.
    pub(super) fn queued(&self) -> u64 {
        self.out.queued()
    }

    /// How many of them no crash can lose any more.
    pub(super) fn durable(&self) -> u64 {
        self.out.durable()
    }

    /// Takes in the offset of the clock at an earlier agent's last sign of life, which is in force until now as far as
    /// anybody knows, and says so where the clock was stepped since.
    pub(super) fn remember_clock(&mut self, last_alive: &Heartbeat) {
        if last_alive.boot_id == self.node.boot_id {
            let sample = clock::sample();
            self.history = OffsetHistory::new(last_alive.offset());
            self.clock_sampled(sample);
        }
    }

    /// This boot.
    pub(super) fn boot_id(&self) -> &BootId {
        &self.node.boot_id
    }

    /// The wall time of a moment.
    pub(super) fn wall_at(&self, at: BootNanos) -> WallTime {
        self.history.wall_at(at)
    }

    /// Told when nothing can be written any more.
    pub(super) fn output_closed(&self) -> Arc<Notify> {
        self.out.closed()
    }

    pub(super) fn agent_started(&mut self) {
        let (now, sequence, clock) = (boot_now(), self.next(), self.clock());
        let at = self.history.wall_at(now);
        self.write(&Record::Agent(AgentRecord::started(self.identity(), sequence, now, at, clock)));
    }

    /// Says the last word and waits, within limits, until all is written.
    pub(super) fn agent_stopped(mut self, reason: StopReason) -> std::io::Result<()> {
        let deadline = Instant::now() + LAST_GAP;
        while self.unwritten.is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
            self.tell_unwritten();
        }
        let (now, sequence, clock) = (boot_now(), self.next(), self.clock());
        let at = self.history.wall_at(now);
        let record = AgentRecord::stopped(self.identity(), reason, sequence, now, at, clock);
        self.write(&Record::Agent(record));
        self.out.finish()
    }

    /// Writes a session's record, and gives it back.
    pub(super) fn session(
        &mut self,
        make: impl FnOnce(Context<'_>) -> SessionRecord,
        index: &PodIndex,
    ) -> Box<SessionRecord> {
        let record = self.describe(make, index);
        self.write_session(Box::new(record))
    }

    /// Makes a session's record without writing it.
    pub(super) fn describe(
        &self,
        make: impl FnOnce(Context<'_>) -> SessionRecord,
        index: &PodIndex,
    ) -> SessionRecord {
        let clock = self.clock();
        make(self.context(index, &clock))
    }

    fn context<'a>(&'a self, index: &'a PodIndex, clock: &'a ClockState) -> Context<'a> {
        Context {
            index,
            history: &self.history,
            clock,
            convention: &self.style.convention,
            node_name: self.node.node_name.as_deref(),
            argv: self.style.argv,
            page_size: rustix::param::page_size() as u64,
        }
    }

    /// Writes a record of a session's processes.
    pub(super) fn processes(&mut self, make: impl FnOnce(Context<'_>) -> ProcessesRecord, index: &PodIndex) {
        let record = make(self.context(index, &self.clock()));
        self.write(&Record::Processes(Box::new(record)));
    }

    /// Writes that a session is closed.
    pub(super) fn closed(&mut self, make: impl FnOnce(Context<'_>) -> ClosedRecord, index: &PodIndex) {
        let record = make(self.context(index, &self.clock()));
        self.write(&Record::Closed(Box::new(record)));
    }

    /// Writes the record of an end that nobody witnessed.
    pub(super) fn unseen(&mut self, end: UnseenEnd) -> Box<SessionRecord> {
        let record = end.record(self.clock(), self.node.node_name.as_deref());
        self.write_session(Box::new(record))
    }

    /// Says that nothing is known from the last sign of life on, where there is one, and why.
    pub(super) fn was_away(
        &mut self,
        reason: GapReason,
        since: Option<&Heartbeat>,
        sessions: Vec<SessionId>,
        now: BootNanos,
    ) {
        let in_this_boot = since.filter(|since| since.boot_id == self.node.boot_id);
        let from_boot_ns = in_this_boot.map(|since| since.boot_ns);
        let (sequence, clock) = (self.next(), self.clock());
        let record = GapRecord {
            node_name: self.node.node_name.clone(),
            from_at: since.map(|since| since.at),
            to_at: Some(self.history.wall_at(now)),
            from_boot_ns,
            to_boot_ns: Some(now),
            sessions,
            ..GapRecord::new(reason, sequence, clock)
        };
        self.write(&Record::Gap(record));
    }

    /// Writes what is known by now of an end that was recorded before.
    pub(super) fn reconciled(&mut self, ended: SessionRecord) {
        let clock = self.clock();
        self.write_session(Box::new(ended.reconciled(clock)));
    }

    fn write_session(&mut self, record: Box<SessionRecord>) -> Box<SessionRecord> {
        self.write(&Record::Session(record.clone()));
        record
    }

    pub(super) fn clock_sampled(&mut self, sample: OffsetSample) {
        if let Some(step) = self.history.observe(sample) {
            let (sequence, clock) = (self.next(), self.clock());
            let node_name = self.node.node_name.clone();
            self.write(&Record::ClockStep(ClockStepRecord::new(&step, node_name, sequence, clock)));
        }
    }

    pub(super) fn gap<'a>(&mut self, lost: &Lost, sessions: impl IntoIterator<Item = &'a Container>) {
        let sequence = self.next();
        let record = self.gap_record(lost, sequence, sessions);
        self.write(&Record::Gap(record));
    }

    fn gap_record<'a>(
        &self,
        lost: &Lost,
        sequence: u64,
        sessions: impl IntoIterator<Item = &'a Container>,
    ) -> GapRecord {
        GapRecord {
            node_name: self.node.node_name.clone(),
            from_at: Some(self.history.wall_at(lost.from)),
            to_at: Some(self.history.wall_at(lost.to)),
            from_boot_ns: Some(lost.from),
            to_boot_ns: Some(lost.to),
            lost: Some(lost.count),
            counts: lost.counts.clone(),
            sessions: sessions.into_iter().map(|session| SessionId::of_container(&session.id)).collect(),
            ..GapRecord::new(lost.reason, sequence, self.clock())
        }
    }

    /// Says which containers are taken for another kubelet's.
    pub(super) fn foreign(&mut self, noted: super::foreign::Noted, now: BootNanos) {
        let node = self.node.node_name.clone().unwrap_or_default();
        tracing::warn!(
            "{} containers are of pods that the API server does not list for node {node}: another kubelet shares this \
             kernel, or --node is not this machine; see the gap record",
            noted.count
        );
        let sequence = self.next();
        let (reason, count, from) = (GapReason::Foreign, noted.count, noted.from);
        let lost = Lost { reason, count, from, to: now, counts: Vec::new() };
        let record = GapRecord {
            sessions: noted.containers.into_iter().collect(),
            pods: noted.pods.into_iter().collect(),
            ..self.gap_record(&lost, sequence, [])
        };
        self.write(&Record::Gap(record));
    }

    /// Says which containers ended without anybody saying what they were.
    pub(super) fn undecided<'a>(
        &mut self,
        count: u64,
        containers: impl IntoIterator<Item = &'a Container> + Clone,
        now: BootNanos,
    ) {
        let from = containers.clone().into_iter().map(|container| container.first_seen).min();
        let from = from.unwrap_or(now);
        let lost = Lost { reason: GapReason::Undecided, count, from, to: now, counts: Vec::new() };
        self.gap(&lost, containers);
    }

    fn write(&mut self, record: &Record) {
        if let Some(metrics) = &self.metrics {
            metrics.recorded(record);
        }
        let elsewhere = |wanted: &String| record.namespace().is_some_and(|of| of != wanted);
        if self.style.namespace.as_ref().is_some_and(elsewhere) {
            return;
        }
        let Some(line) = self.line(record) else { return };
        self.tell_unwritten();
        // What has no room for the gap has none for what comes after it.
        if self.unwritten.is_some() || self.out.send(line) == Sent::Full {
            let (count, since) = self.unwritten.unwrap_or((0, boot_now()));
            self.unwritten = Some((count + 1, since));
        }
    }

    /// Says how many records were not written, once there is room to say so.
    pub(super) fn tell_unwritten(&mut self) {
        let Some((count, from)) = self.unwritten else { return };
        let lost = Lost { reason: self.out.full(), count, from, to: boot_now(), counts: Vec::new() };
        let record = Record::Gap(self.gap_record(&lost, self.sequence + 1, []));
        let Some(line) = self.line(&record) else { return };
        if self.out.send(line) != Sent::Full {
            if let Some(metrics) = &self.metrics {
                metrics.recorded(&record);
            }
            self.sequence += 1;
            self.unwritten = None;
        }
    }

    fn line(&self, record: &Record) -> Option<String> {
        match self.style.format {
            Format::Table => table::row(record),
            Format::Json => record
                .to_json_line()
                .inspect_err(|error| tracing::error!("a record can't be written as JSON: {error}"))
                .ok(),
        }
    }

    fn identity(&self) -> AgentIdentity {
        AgentIdentity {
            node_name: self.node.node_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel_release: self.node.kernel_release.clone(),
            pid: Pid(std::process::id()),
        }
    }

    fn clock(&self) -> ClockState {
        clock::state(self.node.boot_id.clone())
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

#[cfg(test)]
mod tests;
