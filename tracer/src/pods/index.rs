//! Pods by UID, config hash and container id; deleted ones for a while longer. Pure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::debug::{self, DebugPod};
use super::{ContainerStatus, PodEnding, PodEvent, PodFacts};
use crate::ids::{BootNanos, ContainerId, PodRef, PodUid};

/// How long a deleted pod can still be asked for.
pub const GRACE: Duration = Duration::from_secs(600);

/// How many deleted pods are kept at most, whatever their age.
pub const KEPT_DELETED: usize = 1024;

/// What a container is in its pod's spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// An ephemeral container: a session.
    Ephemeral {
        /// The image as the spec names it.
        image: Option<String>,
        /// `targetContainerName`.
        target: Option<String>,
    },
    /// An ordinary container.
    Ordinary {
        /// The image as the spec names it.
        image: Option<String>,
        /// Set where it is the session of a node-debug pod or a copy.
        debug: Option<DebugPod>,
    },
    /// An init container or sidecar.
    Init {
        /// The image as the spec names it.
        image: Option<String>,
    },
}

#[derive(Debug)]
struct Entry {
    facts: PodFacts,
    deleted_at: Option<BootNanos>,
}

/// The index.
#[derive(Debug, Default)]
pub struct PodIndex {
    pods: HashMap<PodUid, Entry>,
    by_hash: HashMap<String, PodUid>,
    by_container: HashMap<ContainerId, (PodUid, String)>,
    /// Deleted pods, oldest first; a pod that came back is still in here, but no longer marked.
    deleted: VecDeque<(BootNanos, PodUid)>,
    /// UIDs listed so far; only during a relist.
    listed: Option<HashSet<PodUid>>,
    /// Pods of which not all could be read.
    unread: HashSet<PodUid>,
    /// Since the last list began, so many came that did not even say which pods they are.
    unread_nameless: usize,
    synced_since: Option<BootNanos>,
    generation: u64,
}

impl PodIndex {
    /// An empty index, not synced.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what the watch says at `now`.
    pub fn observe(&mut self, event: PodEvent, now: BootNanos) {
        match event {
            PodEvent::RelistStarted => self.relist_start(),
            PodEvent::Listed(facts) => self.relist_apply(*facts),
            PodEvent::RelistDone => self.relist_done(now),
            PodEvent::Applied(facts) => self.apply(*facts),
            PodEvent::Deleted(facts) => {
                // The last state of a pod is in its deletion: take it in first.
                let uid = facts.uid.clone();
                self.apply(*facts);
                self.delete(&uid, now);
            }
            PodEvent::Unread(uid) => self.unread(uid),
            PodEvent::Lost => self.lost(),
        }
        self.expire(now);
    }

    /// A pod as it is now.
    pub fn apply(&mut self, facts: PodFacts) {
        let uid = facts.uid.clone();
        self.unread.remove(&uid);
        if let Some(entry) = self.pods.get(&uid) {
            // Ephemeral containers are only ever added: with fewer of them the news is older than what is known
            // (a list from another API server's cache).
            let stale = facts.ephemeral_containers.len() < entry.facts.ephemeral_containers.len();
            if stale || (entry.facts == facts && entry.deleted_at.is_none()) {
                return;
            }
            self.unlink(&uid);
        }
        self.link(&facts);
        self.pods.insert(uid, Entry { facts, deleted_at: None });
        self.generation += 1;
    }

    /// A pod is gone from the API; it stays for [`GRACE`].
    pub fn delete(&mut self, uid: &PodUid, now: BootNanos) {
        let Some(entry) = self.pods.get_mut(uid).filter(|entry| entry.deleted_at.is_none()) else { return };
        entry.deleted_at = Some(now);
        self.unread.remove(uid);
        self.deleted.push_back((now, uid.clone()));
        self.generation += 1;
    }

    /// A list of all pods begins; until it is done, what is known stays.
    pub fn relist_start(&mut self) {
        self.listed = Some(HashSet::new());
        self.unread_nameless = 0;
    }

    /// A pod of the list.
    pub fn relist_apply(&mut self, facts: PodFacts) {
        if let Some(listed) = &mut self.listed {
            listed.insert(facts.uid.clone());
        }
        self.apply(facts);
    }

    /// The list is complete: what it lacks was deleted meanwhile, and the index is synced. Where it has pods that do not
    /// say which they are, each that it seems to lack may be one of those.
    pub fn relist_done(&mut self, now: BootNanos) {
        let Some(listed) = self.listed.take() else { return };
        if self.unread_nameless == 0 {
            let gone: Vec<PodUid> = self.pods.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
            for uid in &gone {
                self.delete(uid, now);
            }
        }
        self.unread.retain(|uid| listed.contains(uid));
        if self.synced_since.is_none() {
            self.synced_since = Some(now);
        }
        self.generation += 1;
    }

    /// The API is out of reach: what is known stays, but what is missing may exist.
    pub fn lost(&mut self) {
        self.listed = None;
        if self.synced_since.take().is_some() {
            self.generation += 1;
        }
    }

    /// A pod is there of which not all could be read; `None` where it does not say which.
    pub fn unread(&mut self, uid: Option<PodUid>) {
        self.generation += 1;
        let Some(uid) = uid else {
            self.unread_nameless += 1;
            return;
        };
        if let Some(listed) = &mut self.listed {
            listed.insert(uid.clone());
        }
        self.unread.insert(uid);
    }

    /// How many pods could not be read, or not all of them.
    #[must_use]
    pub fn unread_count(&self) -> usize {
        self.unread.len() + self.unread_nameless
    }

    /// Whether something of this pod may be there that the index lacks, since it could not be read.
    #[must_use]
    pub fn may_lack(&self, pod: &PodRef) -> bool {
        match self.pod(pod) {
            Some(facts) => self.unread.contains(&facts.uid),
            None => self.unread_nameless > 0 || self.unread.contains(&PodUid::new(pod.as_str())),
        }
    }

    /// Whether the index knows every pod of the node, so that a pod it lacks does not exist.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.synced_since.is_some()
    }

    /// Since when it does, without interruption.
    #[must_use]
    pub fn synced_since(&self) -> Option<BootNanos> {
        self.synced_since
    }

    /// Differs after every change, so that a question needs asking again only then.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes in pods as they were when they were last known. That makes no index synced: what it lacks may be.
    pub fn restore(&mut self, pods: impl IntoIterator<Item = PodFacts>) {
        for facts in pods {
            self.apply(facts);
        }
    }

    /// Every pod that is known, also those deleted a while ago.
    pub fn pods(&self) -> impl Iterator<Item = &PodFacts> {
        self.pods.values().map(|entry| &entry.facts)
    }

    /// The pod that a cgroup's path calls so.
    #[must_use]
    pub fn pod(&self, pod: &PodRef) -> Option<&PodFacts> {
        let by_uid = self.pods.get(&PodUid::new(pod.as_str()));
        let entry = by_uid.or_else(|| self.pods.get(self.by_hash.get(pod.as_str())?));
        entry.map(|entry| &entry.facts)
    }

    /// Why the pod is being ended or is gone; `None` while it goes on or is not known. One that is gone
    /// without a reason (by force, or while nothing watched) was deleted.
    #[must_use]
    pub fn ending(&self, pod: &PodRef) -> Option<PodEnding> {
        let facts = self.pod(pod)?;
        facts.ending.clone().or_else(|| self.gone_since(pod).map(|_| PodEnding::default()))
    }

    /// When it became known that the pod is gone from the API.
    #[must_use]
    pub fn gone_since(&self, pod: &PodRef) -> Option<BootNanos> {
        self.pods.get(&self.pod(pod)?.uid)?.deleted_at
    }

    /// The pod as the API has it, if the index is synced and the pod not deleted.
    #[must_use]
    pub fn current(&self, pod: &PodRef) -> Option<&PodFacts> {
        self.synced_since?;
        let facts = self.pod(pod)?;
        self.pods.get(&facts.uid).filter(|entry| entry.deleted_at.is_none()).map(|entry| &entry.facts)
    }

    /// What the container is in the pod's spec; `None` where pod or container are not known.
    #[must_use]
    pub fn role(&self, pod: &PodRef, container_name: &str) -> Option<Role> {
        role_in(self.pod(pod)?, container_name)
    }

    /// What the kubelet says of the container.
    #[must_use]
    pub fn status(&self, pod: &PodRef, container_name: &str) -> Option<&ContainerStatus> {
        self.pod(pod)?.status(container_name)
    }

    /// Pod and name of a container by its id, from the statuses; about a second behind the container's start.
    #[must_use]
    pub fn by_container_id(&self, id: &ContainerId) -> Option<(&PodFacts, &str)> {
        let (uid, name) = self.by_container.get(id)?;
        Some((&self.pods.get(uid)?.facts, name))
    }

    /// Forgets deleted pods whose grace is over, and the oldest where they are too many.
    pub fn expire(&mut self, now: BootNanos) {
        while let Some((at, uid)) = self.deleted.front() {
            if now.since(*at) < GRACE && self.deleted.len() <= KEPT_DELETED {
                return;
            }
            let (at, uid) = (*at, uid.clone());
            self.deleted.pop_front();
            if self.pods.get(&uid).is_some_and(|entry| entry.deleted_at == Some(at)) {
                self.unlink(&uid);
                self.pods.remove(&uid);
                self.generation += 1;
            }
        }
    }

    fn link(&mut self, facts: &PodFacts) {
        if let Some(hash) = &facts.config_hash {
            self.by_hash.insert(hash.clone(), facts.uid.clone());
        }
        for status in &facts.statuses {
            for id in status.container_ids() {
                self.by_container.insert(id, (facts.uid.clone(), status.name.clone()));
            }
        }
    }

    /// Takes the pod out of the other maps, unless another pod took its place there.
    fn unlink(&mut self, uid: &PodUid) {
        let Some(Entry { facts, .. }) = self.pods.get(uid) else { return };
        if let Some(hash) = facts.config_hash.as_ref().filter(|hash| self.by_hash.get(*hash) == Some(uid)) {
            self.by_hash.remove(hash);
        }
        for id in facts.statuses.iter().flat_map(ContainerStatus::container_ids) {
            if self.by_container.get(&id).is_some_and(|(owner, _)| owner == uid) {
                self.by_container.remove(&id);
            }
        }
    }
}

/// What the container is in the pod's spec.
#[must_use]
pub fn role_in(pod: &PodFacts, container_name: &str) -> Option<Role> {
    if let Some(found) = pod.ephemeral_containers.iter().find(|container| container.name == container_name) {
        return Some(Role::Ephemeral { image: found.image.clone(), target: found.target.clone() });
    }
    if let Some(found) = pod.containers.iter().find(|container| container.name == container_name) {
        let siblings: Vec<&str> = pod.containers.iter().map(|container| container.name.as_str()).collect();
        let debug = pod.debug.filter(|debug| debug::is_session(*debug, container_name, &siblings));
        return Some(Role::Ordinary { image: found.image.clone(), debug });
    }
    let found = pod.init_containers.iter().find(|container| container.name == container_name)?;
    Some(Role::Init { image: found.image.clone() })
}

#[cfg(test)]
mod tests;
