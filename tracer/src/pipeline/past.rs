//! From one run of the agent to the next: what is remembered at the start, what is kept while it runs.

use std::sync::Arc;

use super::{Memory, Pipeline};
use crate::clock::boot_now;
use crate::ids::{BootNanos, ContainerId};
use crate::ledger::{Heartbeat, Keeper, Snapshot};
use crate::record::{GapReason, SessionId, SessionRecord};
use crate::serve::Pulse;
use crate::session::{Away, Policy, ReportedEnd, UnseenEnd, report};
use crate::sinks::metrics::Metrics;

/// What a pipeline writes to only in an agent: the state that it keeps, health and metrics.
#[derive(Debug)]
pub struct AgentOutputs {
    keeper: Keeper,
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    /// What the kept state was made of: the index's generation and the live sessions.
    kept: Option<(u64, Vec<ContainerId>)>,
}

impl AgentOutputs {
    /// Of an agent that keeps its state with `keeper`, shows its rounds in `pulse` and its state in
    /// `metrics`.
    #[must_use]
    pub fn new(keeper: Keeper, pulse: Arc<Pulse>, metrics: Arc<Metrics>) -> Self {
        Self { keeper, pulse, metrics, kept: None }
    }

    /// The programs are attached: the agent records, before its first round.
    pub(super) fn attached(&self) {
        self.pulse.beat(boot_now());
    }
}

/// What of the memory is reported once the programs are attached.
#[derive(Debug)]
pub(super) struct Past {
    last_alive: Option<Heartbeat>,
    cut_off: Vec<SessionRecord>,
    was_live: Vec<SessionId>,
}

impl Past {
    /// Of the first agent here.
    fn is_none(&self) -> bool {
        self.last_alive.is_none() && self.was_live.is_empty()
    }
}

impl Pipeline {
    /// Takes in what is known from before.
    pub(super) fn remember(&mut self, memory: Memory, policy: Policy) -> Past {
        self.recorder.go_on_after(memory.sequence);
        if let Some(last_alive) = &memory.last_alive {
            self.recorder.remember_clock(last_alive);
        }
        let ends = memory.reported.iter().filter_map(|id| {
            let unclosed = memory.unclosed.get(id);
            let end =
                ReportedEnd { processes: unclosed.copied().unwrap_or_default(), closed: unclosed.is_none() };
            Some((ContainerId::parse(id.as_str())?, end))
        });
        self.tracker.remember_reported(ends);
        self.index.restore(memory.pods);
        let id = |record: &SessionRecord| record.head.session_id().cloned();
        let live = memory.live.iter().filter_map(|live| id(&live.started));
        let cut_off = memory.cut_off.iter().filter_map(id);
        let was_live = live.chain(cut_off).chain(memory.unclosed.into_keys()).collect();
        self.tracker.remember(memory.live);
        let now = boot_now();
        for ended in memory.unreconciled {
            // It is too late for an end of long ago.
            let recent = ended.times.finished_boot_ns.is_none_or(|at| at <= now);
            if recent && ended.clock.boot_id == *self.recorder.boot_id() {
                self.reconciler.ended(Box::new(ended), now);
            }
        }
        let past = Past { last_alive: memory.last_alive, cut_off: memory.cut_off, was_live };
        if !past.is_none() {
            // Before anything is reported: what pinned programs kept is reported before the length of the
            // downtime is known.
            self.away = Away::expecting(memory.reported, policy);
        }
        past
    }

    /// Reports the downtime as a gap, unless pinned programs recorded `all_the_time`, and ends what an
    /// earlier boot cut off.
    pub(super) fn report_past(&mut self, past: Past, all_the_time: bool) {
        if past.is_none() {
            return; // The first agent here.
        }
        let gone = self.tracker.take_remembered().into_iter().map(|remembered| remembered.started);
        let now = boot_now();
        let to = self.recorder.wall_at(now);
        // Without a readable sign of life nothing says since when; what was live is reported all the same.
        let from = past.last_alive.as_ref().map_or(to, |alive| alive.at);
        let missing = match (all_the_time, self.has_unreadable()) {
            (_, true) => Some(GapReason::WitnessUnreadable),
            (false, false) => Some(GapReason::AgentAway),
            (true, false) => None,
        };
        if let Some(reason) = missing {
            self.recorder.was_away(reason, past.last_alive.as_ref(), past.was_live, now);
        }
        self.away.between(Some((from, to)), gone);
        for started in past.cut_off {
            let record = self.recorder.unseen(UnseenEnd::of(started));
            self.ended(record);
        }
    }

    /// Reports ends of the downtime, once the API has them.
    pub(super) fn report_unseen_ends(&mut self) {
        let tracker = &self.tracker;
        let ends = self.away.ends(&self.index, |id| tracker.follows(id), boot_now());
        for end in ends {
            let record = self.recorder.unseen(end);
            self.ended(record);
        }
    }

    /// A sign of life; and what a restart needs, where it has changed.
    pub(super) fn keep(&mut self) {
        let Some(mut agent) = self.agent.take() else { return };
        let now = boot_now();
        agent.pulse.beat(now);
        agent.metrics.stand(
            self.tracker.live().count(),
            self.tracker.undecided(),
            self.index.synced_since().is_some(),
        );
        agent.metrics.unread_pods(self.index.unread_count());
        agent.metrics.unreconciled(self.reconciler.given_up());
        agent.keeper.beat(self.heartbeat(now));
        let state = (self.index.generation(), self.tracker.live().map(|live| live.id.clone()).collect());
        if agent.kept.as_ref() != Some(&state) && agent.keeper.keep(&self.snapshot()) {
            agent.kept = Some(state);
        }
        self.agent = Some(agent);
    }

    fn heartbeat(&self, now: BootNanos) -> Heartbeat {
        Heartbeat { boot_id: self.recorder.boot_id().clone(), boot_ns: now, at: self.recorder.wall_at(now) }
    }

    fn snapshot(&self) -> Snapshot {
        let record =
            |container| self.recorder.describe(|context| report::started(container, context), &self.index);
        let live = self.tracker.live().map(record);
        Snapshot {
            pods: self.index.pods().cloned().collect(),
            live: live.chain(self.away.open().cloned()).collect(),
        }
    }
}
