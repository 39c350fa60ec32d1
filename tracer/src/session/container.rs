//! All that is known of one container while it is of interest. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::naming::{Naming, Question, Verdict};
use super::own::OwnPath;
use super::processes::Reported;
use crate::ids::{BootNanos, CgroupId, ContainerId, PodRef};
use crate::kernel::event::Args;
use crate::kernel::{EndSeen, Killer, MainSeen, Members, Observation, Used};
use crate::record::SessionRecord;
use crate::runtime::RuntimeFacts;

/// How long after the last end the ring is certain to have reported it.
pub const ALL_READ: Duration = Duration::from_secs(1);
/// How long after the last end processes may wait to be reaped; what such a one used is not known.
pub const ALL_REAPED: Duration = Duration::from_secs(5);

/// What an earlier debugtrail knew of a session that was live when it ended.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Its `session_started`, or what that would have said.
    pub started: SessionRecord,
    /// Whether it was reported.
    pub reported: bool,
    /// What was reported of its processes.
    pub processes: Reported,
}

/// One container, from its first cgroup to its last.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its pod, as the path calls it; `None` outside of all pods.
    pub path_pod: Option<PodRef>,
    /// When it was first seen.
    pub first_seen: BootNanos,
    /// What the runtime says of it.
    pub runtime: Option<RuntimeFacts>,
    /// What it is.
    pub verdict: Verdict,
    /// Its `session_started`, where an earlier debugtrail saw what this one only found running.
    pub remembered: Option<Box<SessionRecord>>,
    /// Which run of its name in its pod it is, as far as that was known when it was named.
    pub attempt: Option<u32>,
    /// Path of the main process's executable, read while it was alive; for one found running.
    pub exe: Option<String>,
    /// Arguments of the main process, where they were asked for and its exec was seen.
    pub main_args: Option<Args>,
    /// Kernel events lost while it was of interest.
    pub lost_events: u64,
    /// Another cgroup, not below its own, has its id in its name.
    pub has_double: bool,
    /// Its cgroup is elsewhere than where the kubelet's containers are known to be.
    pub elsewhere: bool,
    /// Its own cgroup, as far as any was seen: all others of it are below.
    own: Option<OwnPath>,
    /// When it was first seen that something was in it.
    entered: Option<BootNanos>,
    pub(super) reported_start: bool,
    pub(super) reported_end: bool,
    pub(super) reported_closed: bool,
    /// The kernel need not keep anything of it.
    released: bool,
    /// Its own cgroup and those below it.
    cgroups: BTreeMap<CgroupId, Seen>,
    /// Processes of those below it that are gone.
    of_gone: (Members, Used),
    /// Since when all its processes have ended.
    empty_since: Option<BootNanos>,
}

#[derive(Clone, Debug)]
struct Seen {
    observation: Observation,
    inner: bool,
    tracked: bool,
}

/// How a session ended, as far as it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// The main process's end was seen.
    Observed(&'a MainSeen, EndSeen),
    /// The container's cgroup was seen from its making to its removal, and no main process ran in it.
    NeverStarted,
    /// The cgroup is gone and its main process was never known.
    Unseen,
}

impl Container {
    pub(crate) fn new(id: ContainerId, path_pod: Option<PodRef>, first_seen: BootNanos) -> Self {
        Self {
            id,
            path_pod,
            first_seen,
            runtime: None,
            verdict: Verdict::Undecided,
            remembered: None,
            attempt: None,
            exe: None,
            main_args: None,
            lost_events: 0,
            has_double: false,
            elsewhere: false,
            own: None,
            entered: None,
            reported_start: false,
            reported_end: false,
            reported_closed: false,
            released: false,
            cgroups: BTreeMap::new(),
            of_gone: (Members::default(), Used::default()),
            empty_since: None,
        }
    }

    /// Takes in what an earlier debugtrail knew of it.
    pub(super) fn remember(&mut self, remembered: Remembered) {
        self.reported_start = remembered.reported;
        self.remembered = Some(Box::new(remembered.started));
    }

    /// Takes in that an earlier debugtrail has reported its end, and perhaps that it is closed.
    pub(super) fn was_reported(&mut self, closed: bool) {
        (self.reported_start, self.reported_end, self.reported_closed) = (true, true, closed);
    }

    /// Whether a cgroup that has its id in its path is its own or below it. A container has but one: whoever
    /// knows its id may make another with it.
    pub(super) fn owns(&self, path: &str) -> bool {
        self.own.as_ref().is_none_or(|own| own.has(path))
    }

    /// What is above the kubelet's `kubepods` in its path.
    pub(super) fn root_path(&self) -> Option<&str> {
        self.own.as_ref().map(OwnPath::root)
    }

    /// Its pod: as the runtime says, else as the path says.
    #[must_use]
    pub fn pod(&self) -> Option<PodRef> {
        self.question().pod_ref()
    }

    /// Takes in what the runtime says of it; whether that is news.
    pub(super) fn take_runtime_facts(&mut self, facts: RuntimeFacts) -> bool {
        let news = self.runtime.as_ref() != Some(&facts);
        let init = facts.init_pid;
        self.runtime = Some(facts);
        for seen in self.cgroups.values_mut().filter(|seen| seen.observation.last.is_some()) {
            seen.observation = seen.observation.clone().by_the_runtime(init);
        }
        news
    }

    /// Whether it was but a cgroup, which is gone: nothing was ever in it, and the runtime does not know it. A container
    /// that could not be started has had the runtime inside.
    pub(super) fn was_nothing(&self) -> bool {
        self.entered.is_none() && self.runtime.is_none() && self.removed()
    }

    /// Whether anything was ever in it, as far as was seen.
    pub(super) fn was_entered(&self) -> bool {
        self.entered.is_some()
    }

    /// Takes in what the kernel says of one of its cgroups; whether that is news.
    pub(super) fn observe(&mut self, observation: Observation, inner: bool, now: BootNanos) -> bool {
        let id = observation.cgroup;
        self.own = self.own.take().or_else(|| OwnPath::of(&observation.path));
        if observation.entered {
            self.entered.get_or_insert(now);
        }
        let before = self.cgroups.get(&id);
        let tracked = before.is_some_and(|seen| seen.tracked);
        let news = before.is_none_or(|seen| seen.observation != observation);
        self.cgroups.insert(id, Seen { observation, inner, tracked });
        news
    }

    /// Takes in that the kernel keeps nothing of one of its cgroups any more.
    pub(super) fn vanished(&mut self, cgroup: CgroupId, now: BootNanos) {
        if let Some(seen) = self.cgroups.get_mut(&cgroup) {
            seen.observation.removed.get_or_insert(now);
        }
    }

    /// The question that decides what it is.
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            id: &self.id,
            pod: self.path_pod.as_ref(),
            runtime: self.runtime.as_ref().map(|facts| &facts.meta),
            first_seen: self.first_seen,
            entered: self.entered,
            elsewhere: self.elsewhere,
            made: self.cgroups.values().map(|seen| seen.observation.created).min().unwrap_or(self.first_seen),
        }
    }

    /// Kernel events lost while it was of interest, and what of its own was more than one container may take.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        self.lost_events + self.members().unkept
    }

    /// Its own cgroup, if it is in a pod and still there.
    pub(super) fn own_in_pod(&self) -> Option<CgroupId> {
        self.path_pod.as_ref()?;
        let own = self.cgroups.iter().find(|(_, seen)| !seen.inner)?;
        own.1.observation.removed.is_none().then_some(*own.0)
    }

    /// Who it is, once that is settled.
    #[must_use]
    pub fn naming(&self) -> Option<&Naming> {
        match &self.verdict {
            Verdict::Session(naming) | Verdict::Unresolved(naming) => Some(naming),
            Verdict::Other | Verdict::Foreign | Verdict::Undecided => None,
        }
    }

    /// Every cgroup of it.
    pub fn cgroups(&self) -> impl Iterator<Item = CgroupId> + '_ {
        self.cgroups.keys().copied()
    }

    /// Its own cgroup; the first below it where its own was never seen.
    #[must_use]
    pub fn root(&self) -> Option<CgroupId> {
        let own = self.cgroups.iter().find(|(_, seen)| !seen.inner);
        own.or_else(|| self.cgroups.iter().next()).map(|(id, _)| *id)
    }

    /// Cgroups that the kernel does not track yet; they count as tracked from now on.
    pub(super) fn take_untracked(&mut self) -> Vec<CgroupId> {
        let untracked = self.cgroups.iter_mut().filter(|(_, seen)| !seen.tracked);
        untracked
            .map(|(id, seen)| {
                seen.tracked = true;
                *id
            })
            .collect()
    }

    /// Takes out the cgroups below its own that are gone and had no main process: nothing more can come of them, and
    /// a session may make any number of them.
    pub(super) fn take_gone(&mut self) -> Vec<CgroupId> {
        if self.cgroups.values().all(|seen| seen.inner) {
            return Vec::new();
        }
        let is_gone = |seen: &Seen| {
            let Observation { removed, main, members, .. } = &seen.observation;
            seen.inner && removed.is_some() && main.is_none() && members.ended >= members.all
        };
        let gone: Vec<_> = self.cgroups.iter().filter(|(_, seen)| is_gone(seen)).map(|(id, _)| *id).collect();
        for id in &gone {
            if let Some(seen) = self.cgroups.remove(id) {
                self.of_gone.0 = self.of_gone.0 + seen.observation.members;
                self.of_gone.1 = self.of_gone.1 + seen.observation.members_used;
            }
        }
        gone
    }

    /// A copy that says who it is: a session may have thousands of cgroups, and a record of some processes needs none.
    pub(super) fn without_cgroups(&mut self) -> Self {
        let cgroups = std::mem::take(&mut self.cgroups);
        let copy = self.clone();
        self.cgroups = cgroups;
        copy
    }

    /// How many processes it had, the main one left out.
    #[must_use]
    pub fn members(&self) -> Members {
        self.cgroups.values().fold(self.of_gone.0, |sum, seen| sum + seen.observation.members)
    }

    /// What those that were freed used.
    #[must_use]
    pub fn members_used(&self) -> Used {
        self.cgroups.values().fold(self.of_gone.1, |sum, seen| sum + seen.observation.members_used)
    }

    /// What the main process used, once it was freed.
    #[must_use]
    pub fn main_used(&self) -> Option<Used> {
        self.of_main().and_then(|(_, seen)| seen.main_used)
    }

    /// Whether nothing more is to come of its processes, and has not been for so long that all of it was read from the
    /// ring, which was read until `ring_read`. To be asked again and again.
    pub(super) fn is_closed(&mut self, ring_read: BootNanos, now: BootNanos) -> bool {
        let members = self.members();
        let live = members.ended < members.all && !self.released;
        if !self.reported_end || !self.removed() || live {
            self.empty_since = None;
            return false;
        }
        let empty_since = *self.empty_since.get_or_insert(now);
        let waited = now.since(empty_since);
        let all_freed = self.members_used().processes >= members.all
            && (self.main_used().is_some() || self.main().is_none());
        let all_read = waited >= ALL_READ && ring_read.since(empty_since) >= ALL_READ / 2;
        all_read && (all_freed || waited >= ALL_REAPED)
    }

    /// The main process: the first exec from outside in any of its cgroups (a runtime may use one below).
    #[must_use]
    pub fn main(&self) -> Option<&MainSeen> {
        self.main_and_end().map(|(main, _)| main)
    }

    /// When the main process was executed: as this debugtrail saw it or, of one found running, an earlier one.
    #[must_use]
    pub fn execed(&self) -> Option<BootNanos> {
        let remembered = || self.remembered.as_ref().and_then(|started| started.times.started_boot_ns);
        self.main()?.execed.or_else(remembered)
    }

    /// Who sent the signal that ended the main process.
    #[must_use]
    pub fn killer(&self) -> Option<&Killer> {
        self.of_main().and_then(|(_, seen)| seen.killer.as_ref())
    }

    fn main_and_end(&self) -> Option<(&MainSeen, Option<EndSeen>)> {
        self.of_main().map(|(main, seen)| (main, seen.end))
    }

    /// The main process and what is known of its cgroup.
    fn of_main(&self) -> Option<(&MainSeen, &Observation)> {
        self.cgroups
            .values()
            .filter_map(|seen| seen.observation.main.as_ref().map(|main| (main, &seen.observation)))
            .min_by_key(|(main, _)| main.execed.unwrap_or(main.forked))
    }

    /// How it ended; `None` while it has not.
    #[must_use]
    pub fn ended(&self) -> Option<Ended<'_>> {
        match self.main_and_end() {
            Some((main, end)) => end.map(|end| Ended::Observed(main, end)),
            None if !self.removed() => None,
            None if self.found_running() => Some(Ended::Unseen),
            None => Some(Ended::NeverStarted),
        }
    }

    /// When the main process ended, where that is known.
    #[must_use]
    pub fn ended_at(&self) -> Option<BootNanos> {
        match self.ended()? {
            // Of one that was a zombie before the programs were attached, only that it had ended is known.
            Ended::Observed(_, end) if self.execed().is_none() && end.late => None,
            Ended::Observed(_, end) => Some(end.at),
            Ended::NeverStarted | Ended::Unseen => None,
        }
    }

    /// Whether all its cgroups are gone, so that nothing more can happen in it.
    #[must_use]
    pub fn removed(&self) -> bool {
        self.cgroups.values().all(|seen| seen.observation.removed.is_some())
    }

    /// Whether it has ended and gone, so that the kernel has nothing more to say of it.
    pub(super) fn is_over(&self) -> bool {
        let members = self.members();
        self.ended().is_some() && self.removed() && members.ended >= members.all
    }

    /// The cgroups that the kernel need not keep any more; each is named once.
    pub(super) fn release(&mut self) -> Vec<CgroupId> {
        if std::mem::replace(&mut self.released, true) { Vec::new() } else { self.cgroups().collect() }
    }

    fn found_running(&self) -> bool {
        self.cgroups.values().any(|seen| seen.observation.found_running)
    }
}
