//! Which run of its name in its pod a container is. Pure.
//!
//! The kubelet's `restartCount` comes about a second after the container. Until then the runs that were seen
//! are counted: from 0 where the pod's cgroup was seen being made, else from a run whose number is
//! known.

use std::collections::{BTreeMap, HashMap};

use super::container::Container;
use super::naming::{FOREIGN_AFTER, Naming};
use crate::ids::{BootNanos, ContainerId, PodRef};
use crate::pods::{ContainerStatus, PodIndex};
use crate::record::SessionKind;

/// How many pods are remembered at most; past it the oldest is forgotten. A node has a few hundred.
pub const KEPT_PODS: usize = 4096;

/// The runs so far, by pod and container name.
#[derive(Debug, Default)]
pub struct Attempts {
    pods: HashMap<PodRef, Runs>,
}

#[derive(Debug)]
struct Runs {
    since: BootNanos,
    /// Its cgroup was seen being made: no container ran in it before.
    from_the_first: bool,
    last: BTreeMap<String, Run>,
}

#[derive(Debug)]
struct Run {
    id: ContainerId,
    first_seen: BootNanos,
    attempt: Option<u32>,
}

impl Attempts {
    /// The cgroup of a pod was seen being made.
    pub fn pod_made(&mut self, pod: &PodRef, now: BootNanos) {
        self.runs(pod, now, true);
    }

    /// Events were lost, and runs may be among them: from here on only the kubelet's count is good.
    pub fn doubt(&mut self) {
        self.pods.clear();
    }

    /// Numbers a container that has turned out to be the session `naming`. Each is numbered once, in the order in
    /// which they were first seen; `None` where its number is not known (yet).
    pub fn number(&mut self, container: &Container, naming: &Naming, index: &PodIndex) -> Option<u32> {
        let name = naming.container_name.as_deref()?;
        let pod = container.pod()?;
        let status = index.status(&pod, name);
        let by_kubelet = status.and_then(|status| status.attempt_of(&container.id));
        let by_kubelet = by_kubelet.or_else(|| container.remembered.as_ref()?.identity.attempt);
        let runs = self.runs(&pod, container.first_seen, false);
        let attempt = if naming.kind == Some(SessionKind::Ephemeral) {
            runs.of_ephemeral(container, name, by_kubelet)
        } else {
            by_kubelet.or_else(|| runs.next(container, name, status))
        };
        let is_newest = runs.last.get(name).is_none_or(|last| last.first_seen < container.first_seen);
        if is_newest {
            let run = Run { id: container.id.clone(), first_seen: container.first_seen, attempt };
            runs.last.insert(name.to_owned(), run);
        }
        attempt
    }

    /// Forgets pods that are gone: a synced index lacks them, and has had time to learn of them.
    pub fn forget_gone(&mut self, index: &PodIndex, now: BootNanos) {
        let Some(synced) = index.synced_since() else { return };
        let had_time = |runs: &Runs| now.since(runs.since.max(synced)) >= FOREIGN_AFTER;
        self.pods.retain(|pod, runs| !had_time(runs) || index.pod(pod).is_some());
    }

    fn runs(&mut self, pod: &PodRef, since: BootNanos, from_the_first: bool) -> &mut Runs {
        if self.pods.len() >= KEPT_PODS && !self.pods.contains_key(pod) {
            let oldest = self.pods.iter().min_by_key(|(_, runs)| runs.since).map(|(pod, _)| pod.clone());
            oldest.and_then(|oldest| self.pods.remove(&oldest));
        }
        self.pods.entry(pod.clone()).or_insert_with(|| Runs { since, from_the_first, last: BTreeMap::new() })
    }
}

impl Runs {
    /// The number of an ephemeral container. The kubelet starts one once; where the runtime could not make it, it is made
    /// anew again and again under another id (by CRI-O), and the kubelet, to which the runtime shows none of them, counts
    /// each as the first.
    fn of_ephemeral(&self, container: &Container, name: &str, by_kubelet: Option<u32>) -> Option<u32> {
        let before = self.last.get(name).filter(|last| last.first_seen < container.first_seen);
        let counted = before.map_or(Some(0), |last| last.attempt?.checked_add(1));
        by_kubelet.max(counted)
    }

    /// The number of a container that the kubelet does not name yet.
    fn next(&self, container: &Container, name: &str, status: Option<&ContainerStatus>) -> Option<u32> {
        let Some(last) = self.last.get(name) else {
            // A pod that outlives a boot has a new cgroup, but a status from before.
            let is_first = self.from_the_first && status.is_none_or(ContainerStatus::never_ran);
            return is_first.then_some(0);
        };
        let by_kubelet = status.and_then(|status| status.attempt_of(&last.id));
        let before = by_kubelet.or(last.attempt).filter(|_| last.first_seen < container.first_seen)?;
        before.checked_add(1)
    }
}

#[cfg(test)]
mod tests;
