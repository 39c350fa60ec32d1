//! The way of the data, in one task: kernel -> session -> record -> sink.
//!
//! All state that decides anything is in this task and touched by no other; what waits (the ring, the API's
//! watch, the clock, the output) stands around it.

mod act;
mod drain;
mod executable;
mod foreign;
mod inherit;
mod loss;
mod memory;
mod past;
mod recorder;
mod running;
mod sender;
mod sweep;

use std::{io, time::Duration};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc::{Receiver, UnboundedReceiver},
    time::{MissedTickBehavior, interval},
};

pub use memory::Memory;
pub use recorder::{Format, NodeFacts, Recorder, Style};

use crate::cgroup::{Hierarchy, Place};
use crate::clock::{ClockWatch, boot_now};
use crate::ids::{BootNanos, CgroupId};
use crate::kernel::{Handover, Kernel, KernelError, Logger, Ring, Running};
use crate::malloc;
use crate::oom::OomLimits;
use crate::pods::{PodEvent, PodIndex};
use crate::record::{GapReason, LossCount, StopReason};
use crate::runtime::lookups::{Answer, Stage};
use crate::runtime::{Bundles, Lookups};
use crate::session::{Away, Policy, Reconciler, Tracker};
use crate::sinks::OutputError;
use drain::Drained;
use foreign::Foreign;
use inherit::Legacy;
use loss::LossWatch;
pub use past::AgentOutputs;
use sender::SenderPaths;
use sweep::Sweep;

/// Members' ends cause no wakeup; they are read this often.
const DRAIN: Duration = Duration::from_millis(100);
/// Every entry is looked at this often, for what a full ring did not say, and loss is counted.
const SWEEP: Duration = Duration::from_secs(1);

/// News of the API that are taken in between two looks at the other inputs.
const NEWS: usize = 64;

/// The runtime's answers that are: of thousands of unknown containers, most say nothing.
const ANSWERS: usize = 1024;

/// The parts of `trace` and `agent`, and their state.
pub struct Pipeline {
    kernel: Kernel,
    lookups: Lookups,
    /// What the runtime said of what ran at the start, until it is taken in.
    known: running::Known,
    foreign: Foreign,
    index: PodIndex,
    tracker: Tracker,
    reconciler: Reconciler,
    recorder: Recorder,
    away: Away,
    agent: Option<AgentOutputs>,
    loss: LossWatch,
    sweep: Sweep,
    legacy: Legacy,
    senders: SenderPaths,
    oom_limits: OomLimits,
    reviewed: u64,
}

/// What the pipeline waits for.
pub struct Inputs {
    /// The kernel's ring.
    pub ring: Ring,
    /// The programs' own log.
    pub logger: Option<Logger>,
    /// What the API's watch says.
    pub pods: Receiver<PodEvent>,
    /// The clock.
    pub clock: ClockWatch,
}

impl Pipeline {
    /// A pipeline over programs in the kernel. Takes in what already runs in `hierarchy`, what is remembered
    /// of it, and what the `handover` has.
    ///
    /// # Errors
    ///
    /// A map call that failed, or a task scan that could not be read.
    pub fn new(
        kernel: Kernel,
        handover: Handover,
        hierarchy: &Hierarchy,
        bundles: Bundles,
        policy: Policy,
        recorder: Recorder,
        memory: Memory,
    ) -> Result<Self, KernelError> {
        let (recorded, all_the_time) = (memory.sequence, handover.all_the_time());
        let since = memory.alive_in(recorder.boot_id()).filter(|_| all_the_time).unwrap_or_else(boot_now);
        let mut pipeline = Self {
            loss: LossWatch::new(&kernel, recorded, since)?,
            sweep: Sweep::default(),
            legacy: Legacy::of(handover),
            senders: SenderPaths::new(hierarchy.clone()),
            oom_limits: OomLimits::new(hierarchy.clone()),
            kernel,
            lookups: Lookups::new(bundles),
            known: running::Known::new(),
            foreign: Foreign::default(),
            index: PodIndex::new(),
            tracker: Tracker::new(policy),
            reconciler: Reconciler::default(),
            recorder,
            away: Away::default(),
            agent: None,
            reviewed: 0,
        };
        let past = pipeline.remember(memory, policy);
        let (running, known) = running::containers(hierarchy, &mut pipeline.lookups);
        pipeline.known = known;
        let unknown = pipeline.kernel.take_in(&running, boot_now())?;
        pipeline.take_in_begun(&running, &unknown)?;
        pipeline.recorder.agent_started();
        pipeline.inherit(hierarchy, recorded, since)?;
        // One that was removed before it was taken in will never be said to be.
        for cgroup in running.iter().filter(|cgroup| !hierarchy.has(&cgroup.path)) {
            let actions = pipeline.tracker.vanished(cgroup.cgroup, &pipeline.index, boot_now());
            pipeline.act(actions)?;
        }
        pipeline.report_past(past, all_the_time);
        // Whatever the kernel has of those was looked at.
        pipeline.tracker.forget_reported();
        pipeline.known.clear();
        Ok(pipeline)
    }

    /// Keeps what a restart needs, serves health, and counts.
    #[must_use]
    pub fn as_agent(self, agent: AgentOutputs) -> Self {
        agent.attached();
        Self { agent: Some(agent), ..self }
    }

    /// Takes in anew what began to run between the look at it and its taking in, so that its beginning was
    /// not seen. Of what is not `unknown` to the programs they see the beginning, and may be about to report
    /// it.
    fn take_in_begun(&mut self, running: &[Running], unknown: &[CgroupId]) -> Result<(), KernelError> {
        let mut begun = running::begun(running, &mut self.lookups);
        begun.retain(|cgroup| {
            if !unknown.contains(&cgroup.cgroup) {
                return false;
            }
            let seen = self.kernel.observation(cgroup.cgroup).ok().flatten();
            seen.is_some_and(|seen| seen.main.is_none())
        });
        if begun.is_empty() {
            return Ok(());
        }
        for cgroup in &begun {
            self.kernel.forget(cgroup.cgroup)?;
        }
        self.kernel.take_in(&begun, boot_now()).map(drop)
    }

    /// Runs until `stop` says why to end or the output is closed, and says so in a last record.
    ///
    /// # Errors
    ///
    /// A failed map call, or an error of the runtime's reactor.
    pub async fn run(
        mut self,
        inputs: Inputs,
        stop: impl Future<Output = StopReason>,
    ) -> anyhow::Result<StopReason> {
        let reason = self.work(inputs, stop).await;
        let reported = *reason.as_ref().unwrap_or(&StopReason::Failed);
        if reported != StopReason::OutputClosed {
            self.last_look()?;
        }
        self.recorder.agent_stopped(reported).map_err(OutputError)?;
        reason
    }

    async fn work(
        &mut self,
        inputs: Inputs,
        stop: impl Future<Output = StopReason>,
    ) -> anyhow::Result<StopReason> {
        let Inputs { ring, logger, mut pods, mut clock } = inputs;
        let mut ring = readable(ring)?;
        let mut logger = logger.map(readable).transpose()?;
        let (mut drain, mut sweep) = (ticks(DRAIN), ticks(SWEEP));
        let closed = self.recorder.output_closed();
        let mut answers = self.lookups.take_answers();
        let mut stop = std::pin::pin!(stop);
        let (mut drained, mut news, mut replies) = (Drained::All, Vec::new(), Vec::new());
        loop {
            let has_more_to_do = drained == Drained::InPart || self.sweep.is_under_way();
            tokio::select! {
                ready = ring.readable_mut() => {
                    ready?.clear_ready();
                    drained = Drained::InPart;
                }
                _ = drain.tick() => drained = Drained::InPart,
                _ = sweep.tick() => self.begin_sweep()?,
                1.. = pods.recv_many(&mut news, NEWS) => self.learn(&mut news)?,
                1.. = answered(&mut answers, &mut replies) => self.answered(&mut replies)?,
                sample = clock.next() => self.recorder.clock_sampled(sample?),
                () = log_lines(&mut logger) => {}
                reason = &mut stop => return Ok(reason),
                () = closed.notified() => return Ok(StopReason::OutputClosed),
                // Ready all the time, and so taken in turn with whatever else is.
                () = std::future::ready(()), if has_more_to_do => {
                    if drained == Drained::InPart {
                        drained = self.drain(ring.get_mut())?;
                    }
                    self.sweep_on()?;
                    // Lets timers and descriptors get ready.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Takes in a cgroup's entry as it is now.
    fn look_at(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        if self.legacy.is_done_with(cgroup) {
            return Ok(());
        }
        let seen = self.kernel.observation(cgroup)?;
        let Some(mut seen) = self.legacy.complete(cgroup, seen) else {
            let actions = self.tracker.vanished(cgroup, &self.index, boot_now());
            return self.act(actions);
        };
        self.senders.fill_in(&mut seen);
        self.oom_limits.fill_in(&mut seen);
        let place = Place::of(&seen.path);
        let asked = self.tracker.asks_runtime(&seen, &place);
        let runtime = asked.and_then(|id| self.known.get(id).cloned());
        if let Some(id) = asked.filter(|_| runtime.is_none()) {
            self.lookups.ask(id, Stage::of(&seen), boot_now());
        }
        let exe = executable::of(&self.kernel, &seen);
        let actions = self.tracker.observe(seen, &place, exe, runtime, &self.index, boot_now());
        self.act(actions)
    }

    /// Takes in what the runtime says of containers.
    fn answered(&mut self, answers: &mut Vec<Answer>) -> Result<(), KernelError> {
        for answer in answers.drain(..) {
            self.lookups.answered(&answer, boot_now());
            let Some(facts) = answer.facts else { continue };
            let actions = self.tracker.runtime_answered(&answer.id, facts, &self.index, boot_now());
            self.act(actions)?;
        }
        Ok(())
    }

    /// Takes in news of the API: all of them before anything is decided again.
    fn learn(&mut self, news: &mut Vec<PodEvent>) -> Result<(), KernelError> {
        let mut listed = false;
        for event in news.drain(..) {
            listed |= event == PodEvent::RelistDone;
            self.index.observe(event, boot_now());
        }
        if listed {
            malloc::give_back();
        }
        if self.index.generation() == self.reviewed {
            return Ok(());
        }
        self.reviewed = self.index.generation();
        self.review()
    }

    /// Lets the index and time decide.
    fn review(&mut self) -> Result<(), KernelError> {
        let actions = self.tracker.review(&self.index, boot_now());
        self.act(actions)?;
        for ended in self.reconciler.reconcile(&self.index, boot_now()) {
            self.recorder.reconciled(ended);
        }
        self.report_unseen_ends();
        Ok(())
    }

    /// Says which containers are taken for another kubelet's.
    fn report_foreign(&mut self, is_the_end: bool) {
        if let Some(noted) = self.foreign.take(is_the_end, boot_now()) {
            self.recorder.foreign(noted, boot_now());
        }
    }

    /// What is still to be reported before the end.
    fn last_look(&mut self) -> Result<(), KernelError> {
        self.last_sweep()?;
        // Nothing more is read from the ring.
        self.tracker.ring_read_until(BootNanos(u64::MAX));
        let actions = self.tracker.read_on(&self.index, boot_now());
        self.act(actions)?;
        self.report_foreign(true);
        if self.legacy.is_pinned() {
            return Ok(()); // The next one decides them.
        }
        let undecided: Vec<_> = self.tracker.undecided_ends().cloned().collect();
        if !undecided.is_empty() {
            self.recorder.undecided(undecided.len() as u64, &undecided, boot_now());
        }
        Ok(())
    }
}

/// Waits for answers; for ever where none can come.
async fn answered(answers: &mut Option<UnboundedReceiver<Answer>>, replies: &mut Vec<Answer>) -> usize {
    match answers {
        Some(answers) => answers.recv_many(replies, ANSWERS).await,
        None => std::future::pending().await,
    }
}

/// A descriptor that tokio waits for.
fn readable<T: std::os::fd::AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the ring and the log each own their descriptor and keep it open until they are dropped, here with
    // the AsyncFd.
    unsafe { AsyncFd::register_with_interest(source, Interest::READABLE) }.map_err(io::Error::from)
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Passes the programs' log on to `tracing`; waits for ever where there is none.
async fn log_lines(logger: &mut Option<AsyncFd<Logger>>) {
    let Some(logger) = logger else { return std::future::pending().await };
    if let Ok(mut ready) = logger.readable_mut().await {
        ready.get_inner_mut().flush();
        ready.clear_ready();
    }
}

/// Why a gap record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What was lost.
    pub reason: GapReason,
    /// How many.
    pub count: u64,
    /// When nothing was missing yet.
    pub from: BootNanos,
    /// When it was counted.
    pub to: BootNanos,
    /// By kind and CPU, as far as it is known.
    pub counts: Vec<LossCount>,
}
