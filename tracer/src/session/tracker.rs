//! Every container of interest, and what to do about each. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::attempts::Attempts;
use super::container::{Container, Remembered};
use super::naming::{Policy, Verdict, decide};
use super::own::{Roots, Settled, is_known};
use super::processes::{AllProcesses, Chunk, Reported, Totals};
use crate::cgroup::Place;
use crate::ids::{BootNanos, CgroupId, ContainerId};
use crate::kernel::Observation;
use crate::pods::PodIndex;
use crate::runtime::RuntimeFacts;

mod members;

/// What the tracker wants done, in this order.
#[derive(Clone, Debug)]
pub enum Action {
    /// The kernel may drop all it keeps of a cgroup.
    Forget(CgroupId),
    /// Nothing more can come of a cgroup of a container that waits to be decided. The kernel may drop it, but an agent
    /// that starts anew would miss it.
    Release(CgroupId),
    /// The container of this cgroup is none of interest: nothing need be kept of cgroups made below.
    Settle(CgroupId),
    /// The cgroup belongs to the session whose own cgroup is `root`.
    Track {
        /// The cgroup.
        cgroup: CgroupId,
        /// The session's own.
        root: CgroupId,
    },
    /// A session's main process began to run.
    Started(Box<Container>),
    /// A session ended.
    Ended(Box<Container>),
    /// Processes of a session ended.
    Processes(Box<Container>, Chunk),
    /// The last process of a session ended.
    Closed(Box<Container>, Totals),
    /// Too many containers wait to be decided: this one, the oldest, is given up.
    GaveUp(Box<Container>),
    /// A container is of a pod that the API does not list for this node.
    Foreign(Box<Container>),
}

/// How many undecided containers are kept at most: a node's crash loops for hours of an API outage. Past it
/// the oldest is given up, and reported.
pub const KEPT_UNDECIDED: usize = 4096;

/// Follows containers from their first cgroup to their last.
#[derive(Debug, Default)]
pub struct Tracker {
    policy: Policy,
    containers: BTreeMap<ContainerId, Container>,
    by_cgroup: HashMap<CgroupId, ContainerId>,
    processes: AllProcesses,
    /// Until when the ring was read; `None` where that is not known.
    ring_read: Option<BootNanos>,
    /// Sessions that wait for the arguments of their main process: the ring was not read so far.
    unread: BTreeSet<ContainerId>,
    remembered: HashMap<ContainerId, Remembered>,
    /// Sessions whose end an earlier debugtrail reported, of which the kernel may still have something.
    reported: HashMap<ContainerId, ReportedEnd>,
    attempts: Attempts,
    roots: Roots,
    settled: Settled,
}

/// What an earlier debugtrail has reported of a session beside its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedEnd {
    /// Of its processes.
    pub processes: Reported,
    /// That it is closed.
    pub closed: bool,
}

impl Tracker {
    /// A tracker of nothing yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, processes: AllProcesses::new(policy.processes), ..Self::default() }
    }

    /// Takes in what is remembered of sessions, before any cgroup of theirs.
    pub fn remember(&mut self, sessions: impl IntoIterator<Item = Remembered>) {
        for remembered in sessions {
            let id = remembered.started.head.session_id().and_then(|id| ContainerId::parse(id.as_str()));
            if let Some(id) = id {
                self.remembered.insert(id, remembered);
            }
        }
    }

    /// Takes in which ends were reported before, by a debugtrail whose programs the kernel still has.
    pub fn remember_reported(&mut self, sessions: impl IntoIterator<Item = (ContainerId, ReportedEnd)>) {
        self.reported.extend(sessions);
    }

    /// Forgets which ends were reported before: a ledger may have a million, and nothing is left of any in
    /// the kernel.
    pub fn forget_reported(&mut self) {
        self.reported = HashMap::new();
    }

    /// Whether a cgroup is of a container that waits to be decided.
    #[must_use]
    pub fn is_undecided(&self, cgroup: CgroupId) -> bool {
        let container = self.by_cgroup.get(&cgroup).and_then(|id| self.containers.get(id));
        container.is_some_and(|container| container.verdict == Verdict::Undecided)
    }

    /// What is remembered of sessions that did not turn out to be live; forgotten now.
    pub fn take_remembered(&mut self) -> Vec<Remembered> {
        self.remembered.drain().map(|(_, remembered)| remembered).collect()
    }

    /// Whether the kernel has this container.
    #[must_use]
    pub fn follows(&self, id: &ContainerId) -> bool {
        self.containers.contains_key(id)
    }

    /// The container that the runtime should be asked about for what is seen of it; `None` where nothing can come of it.
    #[must_use]
    pub fn asks_runtime<'a>(&self, seen: &Observation, place: &'a Place) -> Option<&'a ContainerId> {
        let id = place.container_id()?;
        let Some(container) = self.containers.get(id) else { return (!self.settled.has(id)).then_some(id) };
        // The init pid is there from the main process's start on, of which the programs may have been
        // skipped.
        let complete = container
            .runtime
            .as_ref()
            .is_some_and(|facts| facts.init_pid.is_some() || seen.removed.is_some());
        (!complete && container.owns(&seen.path)).then_some(id)
    }

    /// Whether what the runtime says of a container is of use.
    #[must_use]
    pub fn is_of_interest(&self, id: &ContainerId) -> bool {
        self.containers.contains_key(id)
    }

    /// Takes in what the kernel says of a cgroup, what the main process's executable is, and what the runtime has
    /// answered by now.
    pub fn observe(
        &mut self,
        seen: Observation,
        place: &Place,
        exe: Option<String>,
        runtime: Option<RuntimeFacts>,
        index: &PodIndex,
        now: BootNanos,
    ) -> Vec<Action> {
        let (pod, container_id) = match place {
            Place::Container { pod, container_id, .. } => (Some(pod), container_id),
            Place::Bare { container_id, .. } => (None, container_id),
            Place::Pod { pod } => {
                self.attempts.pod_made(pod, now);
                return vec![Action::Forget(seen.cgroup)];
            }
            Place::Other => return vec![Action::Forget(seen.cgroup)],
        };
        let known = self.containers.get_mut(container_id);
        let is_none_of_it = known.map_or(self.settled.has(container_id), |container| {
            container.has_double |= !container.owns(&seen.path);
            !container.owns(&seen.path)
        });
        if is_none_of_it {
            return vec![Action::Forget(seen.cgroup)];
        }
        self.by_cgroup.insert(seen.cgroup, container_id.clone());
        let container = self
            .containers
            .entry(container_id.clone())
            .or_insert_with(|| Container::new(container_id.clone(), pod.cloned(), now));
        let mut reported = None;
        if let Some(remembered) = self.remembered.remove(container_id) {
            reported = Some(remembered.processes);
            container.remember(remembered);
        }
        if let Some(end) = self.reported.remove(container_id) {
            reported = Some(end.processes);
            container.was_reported(end.closed);
        }
        let asked = runtime.is_some_and(|facts| container.take_runtime_facts(facts));
        let init = container.runtime.as_ref().and_then(|facts| facts.init_pid);
        let news = container.observe(seen.by_the_runtime(init), place.is_inner(), now) || asked;
        container.exe = container.exe.take().or(exe);
        // Each sweep looks at every cgroup, of which a container may have thousands; what time and the index decide
        // is for `review`.
        if !news {
            return Vec::new();
        }
        let id = container_id.clone();
        if let Some(reported) = reported {
            self.processes.go_on_after(&id, reported);
        }
        self.step(&id, index, now)
    }

    /// Takes in what the runtime says of a container.
    pub fn runtime_answered(
        &mut self,
        id: &ContainerId,
        facts: RuntimeFacts,
        index: &PodIndex,
        now: BootNanos,
    ) -> Vec<Action> {
        let news = self.containers.get_mut(id).is_some_and(|container| container.take_runtime_facts(facts));
        if news { self.step(id, index, now) } else { Vec::new() }
    }

    /// Takes in that the kernel keeps nothing of a cgroup: it was removed before anything was in it.
    pub fn vanished(&mut self, cgroup: CgroupId, index: &PodIndex, now: BootNanos) -> Vec<Action> {
        let Some(id) = self.by_cgroup.get(&cgroup).cloned() else { return Vec::new() };
        if let Some(container) = self.containers.get_mut(&id) {
            container.vanished(cgroup, now);
        }
        self.step(&id, index, now)
    }

    /// Asks again what each undecided container is: after a change of the index, and as time passes.
    pub fn review(&mut self, index: &PodIndex, now: BootNanos) -> Vec<Action> {
        self.attempts.forget_gone(index, now);
        let mut undecided: Vec<_> = self
            .containers
            .values()
            .filter(|container| container.verdict == Verdict::Undecided)
            .map(|container| (container.first_seen, container.id.clone()))
            .collect();
        // In the order in which they came: the runs of one name are counted.
        undecided.sort_unstable();
        let mut actions: Vec<_> = undecided.iter().flat_map(|(_, id)| self.step(id, index, now)).collect();
        actions.extend(self.review_processes(now));
        actions
    }

    /// Notes a loss that any container of interest may have a share in.
    pub fn lost(&mut self, events: u64) {
        // Also one that has ended: processes of it may live.
        for container in self.containers.values_mut() {
            container.lost_events += events;
        }
        self.attempts.doubt();
    }

    /// The sessions that have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Container> {
        let sessions = self.containers.values().filter(|container| container.naming().is_some());
        sessions.filter(|container| !container.reported_end)
    }

    /// The sessions that are not closed: of which a loss may have taken something.
    pub fn open(&self) -> impl Iterator<Item = &Container> {
        self.containers.values().filter(|container| container.naming().is_some())
    }

    /// How many containers wait to be decided.
    #[must_use]
    pub fn undecided(&self) -> usize {
        self.containers.values().filter(|container| container.verdict == Verdict::Undecided).count()
    }

    /// Containers whose end was seen while they are undecided.
    pub fn undecided_ends(&self) -> impl Iterator<Item = &Container> {
        let undecided = self.containers.values().filter(|container| container.verdict == Verdict::Undecided);
        undecided.filter(|container| container.ended().is_some() && !container.reported_end)
    }

    /// Cgroups of which something is still to come.
    pub fn cgroups(&self) -> impl Iterator<Item = CgroupId> + '_ {
        self.by_cgroup.keys().copied()
    }

    fn step(&mut self, id: &ContainerId, index: &PodIndex, now: BootNanos) -> Vec<Action> {
        let Some(container) = self.containers.get_mut(id) else { return Vec::new() };
        if container.verdict == Verdict::Undecided {
            container.elsewhere = container.root_path().is_some_and(|root| self.roots.lack(root));
            container.verdict = decide(container.question(), index, self.policy, now);
            if let Some(root) = container.root_path().filter(|_| is_known(container, index)) {
                self.roots.learn(root);
            }
            if let Verdict::Session(naming) = &container.verdict {
                container.attempt = self.attempts.number(container, naming, index);
            }
        }
        if container.was_nothing() {
            return self.drop_container(id);
        }
        let mut actions = Vec::new();
        for cgroup in container.take_gone() {
            self.by_cgroup.remove(&cgroup);
            actions.push(Action::Forget(cgroup));
        }
        match container.verdict {
            Verdict::Undecided if container.reported_closed && container.removed() => {
                actions.extend(self.drop_container(id));
                return actions;
            }
            Verdict::Undecided => {
                actions.extend(self.wait(id));
                return actions;
            }
            Verdict::Other | Verdict::Foreign => {
                self.settled.add(id);
                actions.extend(container.own_in_pod().map(Action::Settle));
                if container.verdict == Verdict::Foreign {
                    actions.push(Action::Foreign(Box::new(container.clone())));
                }
                actions.extend(self.drop_container(id));
                return actions;
            }
            Verdict::Session(_) | Verdict::Unresolved(_) => {}
        }
        if let Some(root) = container.root() {
            let untracked = container.take_untracked();
            actions.extend(untracked.into_iter().map(|cgroup| Action::Track { cgroup, root }));
        }
        if let Some(processes) = self.processes.get(id)
            && container.main_args.is_none()
        {
            container.main_args = members::main_args(container, processes);
        }
        if self.policy.with_args && waits_for_args(container, self.ring_read) {
            self.unread.insert(id.clone());
            return actions;
        }
        actions.extend(reports(container));
        actions
    }

    /// What an undecided container needs: nothing, but the kernel need not keep what can't change any more.
    fn wait(&mut self, id: &ContainerId) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(container) = self.containers.get_mut(id).filter(|container| container.is_over()) {
            for cgroup in container.release() {
                self.by_cgroup.remove(&cgroup);
                actions.push(Action::Release(cgroup));
            }
        }
        if self.containers.len() > KEPT_UNDECIDED {
            actions.extend(self.give_up_oldest());
        }
        actions
    }

    fn give_up_oldest(&mut self) -> Vec<Action> {
        let undecided = self.containers.values().filter(|container| container.verdict == Verdict::Undecided);
        // First those that are but a cgroup.
        let worth = |container: &&Container| {
            let is_one = container.was_entered() || container.runtime.is_some();
            (is_one, container.first_seen)
        };
        let Some(oldest) = undecided.min_by_key(worth).cloned() else { return Vec::new() };
        let mut actions = self.drop_container(&oldest.id);
        if worth(&&oldest).0 {
            actions.push(Action::GaveUp(Box::new(oldest)));
        }
        actions
    }

    fn drop_container(&mut self, id: &ContainerId) -> Vec<Action> {
        self.processes.remove(id);
        let Some(container) = self.containers.remove(id) else { return Vec::new() };
        for cgroup in container.cgroups() {
            self.by_cgroup.remove(&cgroup);
        }
        container.cgroups().map(Action::Forget).collect()
    }
}

/// Whether the arguments of the main process may stand in the ring, from which not all was read until its exec. An entry can be
/// ahead of the ring: it is read as it is now, also for an event of before.
fn waits_for_args(container: &Container, ring_read: Option<BootNanos>) -> bool {
    // Events of two CPUs may come in the other order.
    const OUT_OF_ORDER: Duration = Duration::from_millis(10);
    let execed = container.main().and_then(|main| main.execed);
    let is_read = |execed| ring_read.is_some_and(|read| read.since(execed) >= OUT_OF_ORDER);
    container.main_args.is_none() && execed.is_some_and(|execed| !is_read(execed))
}

/// What is to be reported of a session now, each once.
fn reports(container: &mut Container) -> Vec<Action> {
    let mut reports = Vec::new();
    // The start of one found running was not seen, so there is none to report.
    let started = container.execed().is_some();
    if started && !container.reported_start {
        container.reported_start = true;
        reports.push(Action::Started(Box::new(container.clone())));
    }
    if container.ended().is_some() && !container.reported_end {
        container.reported_end = true;
        reports.push(Action::Ended(Box::new(container.clone())));
    }
    reports
}

#[cfg(test)]
mod tests;
