//! Numbers records, gives them their times, and hands them to the output.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Lost;
use crate::clock::{self, ClockState, OffsetHistory, OffsetSample, WallTime, boot_now};
use crate::ids::{BootId, BootNanos, Pid, RecorderId};
use crate::ledger::Heartbeat;
use crate::pods::PodIndex;
use crate::record::{
    AgentIdentity, AgentRecord, ClockStepRecord, ClosedRecord, Convention, GapReason, GapRecord,
    ProcessesRecord, Record, RecordNumber, RecordRange, SessionId, SessionRecord, StopReason, redact::Argv,
    table,
};
use crate::session::{Container, UnseenEnd, report::Context};
use crate::sinks::metrics::Metrics;
use crate::sinks::{Missing, Output, Sent};

/// How long the end waits for room to say what was not written.
const LAST_GAP: Duration = Duration::from_secs(2);

/// How many sessions a gap names at most: a record must not grow with what went wrong.
const NAMED: usize = 512;

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
    id: RecorderId,
    sequence: u64,
    out: Box<dyn Output>,
    metrics: Option<Arc<Metrics>>,
    /// Records that the output had no room for.
    unwritten: Option<Unwritten>,
}

/// Records that had no room.
#[derive(Debug)]
struct Unwritten {
    count: u64,
    since: BootNanos,
    /// Bytes of the gap that says so, as it was last refused.
    refused: usize,
    /// What they were about.
    sessions: Named,
}

/// Sessions, up to a bound.
#[derive(Clone, Debug, Default)]
struct Named {
    sessions: BTreeSet<SessionId>,
    truncated: bool,
}

impl Named {
    fn of(sessions: impl IntoIterator<Item = SessionId>) -> Self {
        let mut named = Self::default();
        sessions.into_iter().for_each(|session| named.add(session));
        named
    }

    fn add(&mut self, session: SessionId) {
        if self.sessions.len() < NAMED {
            self.sessions.insert(session);
        } else if !self.sessions.contains(&session) {
            self.truncated = true;
        }
    }
}

impl Recorder {
    /// A recorder that numbers records as `id` and writes to `out`.
    #[must_use]
    pub fn new(node: NodeFacts, id: RecorderId, style: Style, out: Box<dyn Output>) -> Self {
        if style.format == Format::Table {
            out.send(table::header());
        }
        let history = OffsetHistory::new(clock::sample());
        Self { node, style, history, id, sequence: 0, out, metrics: None, unwritten: None }
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

    /// Takes in the offset of the clock at an earlier agent's last sign of life, which is in force until now
    /// as far as is known, and reports where the clock was stepped since.
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

    /// Notified when nothing can be written any more.
    pub(super) fn output_closed(&self) -> Arc<Notify> {
        self.out.closed()
    }

    pub(super) fn agent_started(&mut self) {
        // Where all records of the ledger are gone, the gap about them comes before the first new one, so
        // that no crash comes between.
        self.report_missing();
        let (now, number, clock) = (boot_now(), self.next(), self.clock());
        let at = self.history.wall_at(now);
        self.write(&Record::Agent(AgentRecord::started(self.identity(), &number, now, at, clock)));
    }

    /// Writes the last record and waits, within limits, until all is written.
    pub(super) fn agent_stopped(mut self, reason: StopReason) -> std::io::Result<()> {
        let deadline = Instant::now() + LAST_GAP;
        while self.unwritten.is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
            self.report_unwritten();
        }
        self.report_missing();
        let (now, number, clock) = (boot_now(), self.next(), self.clock());
        let at = self.history.wall_at(now);
        let record = AgentRecord::stopped(self.identity(), reason, &number, now, at, clock);
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

    /// Writes the record of an end that no program saw.
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
        let (number, clock) = (self.next(), self.clock());
        let Named { sessions, truncated } = Named::of(sessions);
        let record = GapRecord {
            node_name: self.node.node_name.clone(),
            from_at: since.map(|since| since.at),
            to_at: Some(self.history.wall_at(now)),
            from_boot_ns,
            to_boot_ns: Some(now),
            sessions: sessions.into_iter().collect(),
            sessions_truncated: truncated,
            ..GapRecord::new(reason, &number, clock)
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
            let (number, clock) = (self.next(), self.clock());
            let node_name = self.node.node_name.clone();
            self.write(&Record::ClockStep(ClockStepRecord::new(&step, node_name, &number, clock)));
        }
    }

    pub(super) fn gap<'a>(&mut self, lost: &Lost, sessions: impl IntoIterator<Item = &'a Container>) {
        let number = self.next();
        let sessions = sessions.into_iter().map(|session| SessionId::of_container(&session.id));
        let record = self.gap_record(lost, &number, Named::of(sessions));
        self.write(&Record::Gap(record));
    }

    fn gap_record(&self, lost: &Lost, number: &RecordNumber, named: Named) -> GapRecord {
        GapRecord {
            node_name: self.node.node_name.clone(),
            from_at: Some(self.history.wall_at(lost.from)),
            to_at: Some(self.history.wall_at(lost.to)),
            from_boot_ns: Some(lost.from),
            to_boot_ns: Some(lost.to),
            lost: Some(lost.count),
            counts: lost.counts.clone(),
            sessions: named.sessions.into_iter().collect(),
            sessions_truncated: named.truncated,
            ..GapRecord::new(lost.reason, number, self.clock())
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
        let number = self.next();
        let (reason, count, from) = (GapReason::Foreign, noted.count, noted.from);
        let lost = Lost { reason, count, from, to: now, counts: Vec::new() };
        let record = GapRecord {
            sessions_truncated: noted.truncated(),
            sessions: noted.containers.into_iter().collect(),
            pods: noted.pods.into_iter().collect(),
            ..self.gap_record(&lost, &number, Named::default())
        };
        self.write(&Record::Gap(record));
    }

    /// Reports which containers ended while it was still undecided what they were.
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
        self.report_unwritten();
        // What has no room for the gap has none for what comes after it.
        if self.unwritten.is_some() || self.out.send(line) == Sent::Full {
            let begin = || Unwritten { count: 0, since: boot_now(), refused: 0, sessions: Named::default() };
            let unwritten = self.unwritten.get_or_insert_with(begin);
            unwritten.count += 1;
            if let Some(session) = record.head().session_id() {
                unwritten.sessions.add(session.clone());
            }
        }
    }

    /// Says how many records were not written, and of which sessions, once there is room to say so.
    pub(super) fn report_unwritten(&mut self) {
        let Some(unwritten) = &self.unwritten else { return };
        // While the gap could only be refused again it is not made: that would be once for every record without room.
        if self.out.room() < unwritten.refused {
            return;
        }
        let (count, from) = (unwritten.count, unwritten.since);
        let lost = Lost { reason: self.out.full(), count, from, to: boot_now(), counts: Vec::new() };
        let gap = self.gap_record(&lost, &self.upcoming_number(), unwritten.sessions.clone());
        match (self.try_gap(gap), &mut self.unwritten) {
            (Err(bytes), Some(unwritten)) => unwritten.refused = bytes,
            _ => self.unwritten = None,
        }
    }

    /// Says which records of the ledger are missing, in it or on stdout, as far as there is room to say so.
    pub(super) fn report_missing(&mut self) {
        while self.unwritten.is_none() {
            let Some(Missing { reason, records }) = self.out.missing() else { return };
            let now = boot_now();
            // Of files that lack their beginning the number of records is not known: the oldest may have gone
            // for newer ones.
            let counted = reason != GapReason::LedgerDamaged || records.iter().all(|range| range.first > 0);
            let gap = GapRecord {
                node_name: self.node.node_name.clone(),
                to_at: Some(self.history.wall_at(now)),
                to_boot_ns: Some(now),
                lost: counted.then(|| records.iter().map(RecordRange::count).sum()),
                records,
                ..GapRecord::new(reason, &self.upcoming_number(), self.clock())
            };
            if self.try_gap(gap).is_err() {
                return;
            }
            self.out.missing_reported();
        }
    }

    /// Writes a gap. Where there is no room, says for how many bytes, and its number is given to another.
    fn try_gap(&mut self, gap: GapRecord) -> Result<(), usize> {
        let record = Record::Gap(gap);
        if let Some(line) = self.line(&record) {
            let bytes = line.len();
            if self.out.send(line) == Sent::Full {
                return Err(bytes);
            }
        }
        if let Some(metrics) = &self.metrics {
            metrics.recorded(&record);
        }
        self.sequence += 1;
        Ok(())
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

    fn next(&mut self) -> RecordNumber {
        let number = self.upcoming_number();
        self.sequence = number.sequence;
        number
    }

    fn upcoming_number(&self) -> RecordNumber {
        RecordNumber { recorder: self.id.clone(), sequence: self.upcoming() }
    }
}

#[cfg(test)]
mod tests;
