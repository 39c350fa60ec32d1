//! A tracer that reads bundles as soon as the kernel reports a cgroup, as `trace` does.

use std::{
    collections::HashMap,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use debugtrail::{
    cgroup::{Hierarchy, Place},
    ids::ContainerId,
    kernel::{Event, Kernel, LoadOptions, Observation, Ring, event},
    oom::OomLimits,
    runtime::{Bundles, RuntimeFacts},
};
use debugtrail_common::event::EventKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// An emulated CPU that others use too is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of a container.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub seen: Option<Observation>,
    pub runtime: Option<RuntimeFacts>,
    /// How often the ring reported its main process's end.
    pub ends_reported: usize,
}

pub struct Watcher {
    kernel: Kernel,
    ring: Ring,
    bundles: Bundles,
    oom_limits: OomLimits,
    known: HashMap<ContainerId, Known>,
}

impl Watcher {
    pub fn new() -> Self {
        let (kernel, ring) = Kernel::load(LoadOptions::default())
            .expect("the containers tier needs root and a kernel with BTF");
        let oom_limits = OomLimits::new(Hierarchy::find().expect("a cgroup2 mount"));
        Self { kernel, ring, bundles: Bundles::new(), oom_limits, known: HashMap::new() }
    }

    /// Watches while `work` runs.
    pub fn during<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                self.turn();
            }
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Watches until what is known of a container is what is wanted.
    pub fn until(&mut self, id: &ContainerId, wanted: impl Fn(&Known) -> bool) -> Known {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.turn();
            let known = self.known.get(id).cloned().unwrap_or_default();
            if wanted(&known) {
                return known;
            }
            assert!(Instant::now() < deadline, "of {id} only this is known: {known:#?}");
        }
    }

    /// What is known of a container that has ended.
    pub fn ended(&mut self, id: &ContainerId) -> Known {
        self.until(id, |known| known.seen.as_ref().is_some_and(|seen| seen.end.is_some()))
    }

    /// Waits a moment for the kernel, then takes in what it said.
    fn turn(&mut self) {
        let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let _ = poll(&mut [PollFd::from_borrowed_fd(self.ring.as_fd(), PollFlags::IN)], Some(&moment));
        let mut changed = Vec::new();
        while let Some(bytes) = self.ring.next() {
            if let Some(Event::CgroupChanged(cgroup)) = event::parse(&bytes) {
                changed.push((cgroup, bytes[..4] == (EventKind::MainEnded as u32).to_ne_bytes()));
            }
        }
        for (cgroup, ended) in changed {
            if let Some(seen) = self.kernel.observation(cgroup).expect("an entry can be read") {
                self.take_in(seen, ended);
            }
        }
    }

    fn take_in(&mut self, mut seen: Observation, ended: bool) {
        self.oom_limits.fill_in(&mut seen);
        let Place::Container { container_id, inner: false, .. } = Place::of(&seen.path) else { return };
        let known = self.known.entry(container_id.clone()).or_default();
        if known.runtime.as_ref().is_none_or(|facts| facts.init_pid.is_none()) {
            known.runtime = self.bundles.lookup(&container_id).or(known.runtime.take());
        }
        known.ends_reported += usize::from(ended);
        known.seen = Some(seen);
    }
}
