//! Asks the runtime without waiting for it: bundles are read on threads of their own. A file system that
//! hangs costs the answers of one of them for a while, and holds up nothing else.
//!
//! Well-known places, which only the node's root can write, have one thread; the ways that shims show have another, as
//! they may lead anywhere.

mod queue;
mod schedule;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::bundles::{Bundles, Places, RuntimeFacts};
use super::shims::{Progress, Shims};
use crate::ids::{BootNanos, ContainerId};
use queue::Job;
pub use schedule::Stage;
use schedule::{Asking, Freshness};
use worker::{Look, Worker};

/// A look at one container's bundle takes less than a millisecond; past this the runtime is silent on it for now.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a start waits for what runs already, at most.
const AT_THE_START: Duration = Duration::from_secs(10);

/// Containers that are asked for at once, at most; others are asked for a sweep later.
const ASKED: usize = 8192;

/// What the runtime said of a container; `None` where it is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The container.
    pub id: ContainerId,
    /// What was said.
    pub facts: Option<RuntimeFacts>,
}

/// Asks, and gives the answers as they come.
#[derive(Debug)]
pub struct Lookups {
    places: Worker<Places>,
    shims: Worker<Shims>,
    asked: HashMap<ContainerId, Asking>,
    answers: Option<UnboundedReceiver<Answer>>,
}

impl Lookups {
    /// Asks where `bundles` are.
    #[must_use]
    pub fn new(bundles: Bundles) -> Self {
        let Bundles { places, shims } = bundles;
        let (sender, answers) = unbounded_channel();
        let shims = Worker::new("shims", shims, answering(sender.clone()));
        let elsewhere = shims.queue();
        let found = answering(sender.clone());
        let places =
            Worker::new("bundles", places, move |job: Job, facts: Option<RuntimeFacts>| match facts {
                Some(_) => found(job, facts),
                // Too many wait: silent for now.
                None if !elsewhere.push(job.clone()) => found(job, None),
                None => {}
            });
        Self { places, shims, asked: HashMap::new(), answers: Some(answers) }
    }

    /// The answers, to be waited for. Each is to be given to [`Self::answered`]. `None` when they were taken before.
    pub fn take_answers(&mut self) -> Option<UnboundedReceiver<Answer>> {
        self.answers.take()
    }

    /// Asks for a container that has come so far, unless that was asked a short while ago.
    pub fn ask(&mut self, id: &ContainerId, stage: Stage, now: BootNanos) {
        if self.asked.len() >= ASKED && !self.asked.contains_key(id) {
            return;
        }
        let asking = self.asked.entry(id.clone()).or_default();
        if asking.is_due(stage, now) && !self.places.ask(id.clone(), asking.is_news()) {
            asking.not_asked(now);
        }
    }

    /// Takes in that an answer came; whether to ask again at once, as more is known of the container by now.
    pub fn answered(&mut self, answer: &Answer, now: BootNanos) {
        let Some(asking) = self.asked.get_mut(&answer.id) else { return };
        if asking.answered(now) == Freshness::Outdated && !self.places.ask(answer.id.clone(), true) {
            asking.not_asked(now);
        }
    }

    /// Leaves behind what hangs, and forgets containers that are not `wanted` any more.
    pub fn review(&mut self, wanted: impl Fn(&ContainerId) -> bool, now: BootNanos) {
        for hung in self.places.review(PATIENCE).into_iter().chain(self.shims.review(PATIENCE)) {
            if let Some(asking) = self.asked.get_mut(&hung) {
                asking.answered(now);
            }
        }
        self.asked.retain(|id, _| wanted(id));
    }

    /// Asks for containers that run already, and waits for the answers as long as any come.
    pub fn ask_all<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a ContainerId>,
    ) -> BTreeMap<ContainerId, RuntimeFacts> {
        let mut waiting: Vec<&ContainerId> = ids.into_iter().collect();
        waiting.sort_unstable();
        waiting.dedup();
        let mut found = BTreeMap::new();
        let Some(answers) = &mut self.answers else { return found };
        let began = Instant::now();
        let (mut to_ask, mut open) = (waiting.into_iter(), 0usize);
        let mut next = to_ask.next();
        while (next.is_some() || open > 0) && began.elapsed() < AT_THE_START {
            if let Some(id) = next
                && self.places.ask(id.clone(), true)
            {
                (next, open) = (to_ask.next(), open + 1);
                continue;
            }
            match answers.try_recv() {
                Ok(answer) => {
                    open -= 1;
                    found.extend(answer.facts.map(|facts| (answer.id, facts)));
                }
                Err(_) => {
                    let hung = self.places.review(PATIENCE).into_iter().chain(self.shims.review(PATIENCE));
                    open = open.saturating_sub(hung.count());
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        found
    }
}

fn answering(sender: UnboundedSender<Answer>) -> impl Fn(Job, Option<RuntimeFacts>) + Clone + Send + Sync {
    move |job: Job, facts| {
        // The receiver is gone: it is the end.
        let _over = sender.send(Answer { id: job.id, facts });
    }
}

impl worker::Source for Places {
    fn look(&mut self, job: &Job, progress: &Progress) -> Look {
        progress.moved();
        Look::Said(self.lookup(&job.id))
    }

    fn anew(&self, _progress: &std::sync::Arc<Progress>) -> Self {
        self.clone()
    }
}

impl worker::Source for Shims {
    fn look(&mut self, job: &Job, progress: &Progress) -> Look {
        progress.moved();
        if let Some(facts) = self.known(&job.id) {
            return Look::Said(Some(facts));
        }
        match self.wait(job.asked) {
            None => Look::Said(None),
            Some(Duration::ZERO) => {
                self.list();
                Look::Said(self.known(&job.id))
            }
            Some(pause) => Look::After(pause),
        }
    }

    fn anew(&self, progress: &std::sync::Arc<Progress>) -> Self {
        Shims::anew(self, std::sync::Arc::clone(progress))
    }
}
