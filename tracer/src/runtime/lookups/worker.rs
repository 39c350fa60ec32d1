//! One thread that looks up containers, and the next one where that one hangs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::shims::Progress;
use super::queue::{Job, Queue};
use crate::ids::ContainerId;
use crate::runtime::RuntimeFacts;

/// Threads that may hang at once; with as many, nothing is looked up until one comes back.
const HANGING: usize = 8;

/// What a look gives.
#[derive(Debug)]
pub(super) enum Look {
    Said(Option<RuntimeFacts>),
    /// To be done again after a pause.
    After(Duration),
}

/// Where a worker looks.
pub(super) trait Source: Send + 'static {
    /// Looks up a container, and shows what it does in `progress`.
    fn look(&mut self, job: &Job, progress: &Progress) -> Look;

    /// The same for another thread.
    fn anew(&self, progress: &Arc<Progress>) -> Self;
}

/// What is to be done with what a look said.
type OnAnswer = Arc<dyn Fn(Job, Option<RuntimeFacts>) + Send + Sync>;

/// A thread that looks up containers.
pub(super) struct Worker<S> {
    name: &'static str,
    /// What a thread begins with.
    source: S,
    on_answer: OnAnswer,
    queue: Arc<Queue>,
    now: Arc<Thread>,
    hanging: Arc<AtomicUsize>,
}

impl<S> std::fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).field("now", &self.now).finish_non_exhaustive()
    }
}

/// One of a worker's threads.
#[derive(Debug, Default)]
struct Thread {
    progress: Arc<Progress>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    doing: Option<Job>,
    /// Another one has taken over.
    left: bool,
}

impl<S: Source> Worker<S> {
    /// Starts the first thread.
    pub(super) fn new(
        name: &'static str,
        source: S,
        on_answer: impl Fn(Job, Option<RuntimeFacts>) + Send + Sync + 'static,
    ) -> Self {
        let worker = Self {
            name,
            source,
            on_answer: Arc::new(on_answer),
            queue: Arc::default(),
            now: Arc::default(),
            hanging: Arc::default(),
        };
        worker.start();
        worker
    }

    /// Whether there is room for one more; who has just come or come further is looked up before others.
    pub(super) fn ask(&self, id: ContainerId, is_news: bool) -> bool {
        self.queue.push(Job { id, asked: Instant::now(), is_news })
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Leaves a thread that has not moved for `patience` behind; the container that it looks for.
    pub(super) fn review(&mut self, patience: Duration) -> Option<ContainerId> {
        if self.now.progress.stands_still().is_none_or(|still| still < patience)
            || self.hanging.load(Ordering::Relaxed) >= HANGING
        {
            return None;
        }
        let job = {
            let mut state = lock(&self.now.state);
            let job = state.doing.take()?;
            state.left = true;
            self.hanging.fetch_add(1, Ordering::Relaxed);
            job
        };
        let whose = self.now.progress.avoid();
        let whose =
            whose.map_or_else(String::new, |process| format!(" beside the shim {}", process.display()));
        tracing::warn!("reading the bundle of {}{whose} does not end; the runtime is silent on it", job.id);
        self.now = Arc::new(Thread { progress: Arc::new(self.now.progress.of_next()), ..Thread::default() });
        self.start();
        Some(job.id)
    }

    fn start(&self) {
        let mut source = self.source.anew(&self.now.progress);
        let (thread, queue) = (Arc::clone(&self.now), Arc::clone(&self.queue));
        let (on_answer, hanging) = (Arc::clone(&self.on_answer), Arc::clone(&self.hanging));
        let work = move || {
            while let Some(job) = queue.next() {
                lock(&thread.state).doing = Some(job.clone());
                let look = source.look(&job, &thread.progress);
                thread.progress.rests();
                {
                    let mut state = lock(&thread.state);
                    state.doing = None;
                    if state.left {
                        // What it says is of long ago.
                        hanging.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                }
                match look {
                    Look::Said(facts) => on_answer(job, facts),
                    Look::After(pause) => queue.put_aside(job, Instant::now() + pause),
                }
            }
        };
        let started = std::thread::Builder::new().name(self.name.into()).spawn(work);
        if let Err(error) = started {
            tracing::error!(
                "can't start a thread that asks the runtime: {error}; names come from the API alone"
            );
        }
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
