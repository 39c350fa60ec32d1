//! Where containers' own cgroups are, and where they are not. Pure.

use std::collections::{HashSet, VecDeque};

use super::container::Container;
use super::naming::runs;
use crate::cgroup::Own;
use crate::ids::{ContainerId, PodRef};
use crate::pods::PodIndex;

/// How many roots are believed at most. A kubelet has one; a node may have had another before.
const ROOTS: usize = 8;

/// How many containers are remembered of which nothing more can come.
const SETTLED: usize = 8192;

/// The path of a container's own cgroup.
#[derive(Clone, Debug)]
pub(super) struct OwnPath {
    cgroup: String,
    root: String,
}

impl OwnPath {
    /// Of a path that is a container's.
    pub(super) fn of(path: &str) -> Option<Self> {
        let own = Own::of(path)?;
        Some(Self { cgroup: own.cgroup.to_owned(), root: own.root.to_owned() })
    }

    /// What is above the kubelet's `kubepods`.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Whether a path is this one or below.
    pub(super) fn has(&self, path: &str) -> bool {
        path.strip_prefix(&self.cgroup).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

/// Where the kubelet's containers really are: above `kubepods` are the same cgroups in the paths of all. Learned of
/// containers that runtime and API know.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    known: Vec<String>,
}

impl Roots {
    /// A container that runtime and API know is below `root`.
    pub(super) fn learn(&mut self, root: &str) {
        if !self.known.iter().any(|known| known == root) && self.known.len() < ROOTS {
            self.known.push(root.to_owned());
        }
    }

    /// Whether no container is known to be below `root`, and some are elsewhere.
    pub(super) fn lack(&self, root: &str) -> bool {
        !self.known.is_empty() && self.known.iter().all(|known| known != root)
    }
}

/// Containers of which all is reported: a cgroup that is made with the id of one is none of it.
#[derive(Debug, Default)]
pub(super) struct Settled {
    ids: HashSet<ContainerId>,
    in_order: VecDeque<ContainerId>,
}

impl Settled {
    /// Remembers one; past the bound the oldest is forgotten.
    pub(super) fn add(&mut self, id: &ContainerId) {
        if !self.ids.insert(id.clone()) {
            return;
        }
        self.in_order.push_back(id.clone());
        if self.in_order.len() > SETTLED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(super) fn has(&self, id: &ContainerId) -> bool {
        self.ids.contains(id)
    }
}

/// Whether runtime or API say that it is a container of the pod that its path names, if that names any, and
/// of this node.
pub(super) fn is_known(container: &Container, index: &PodIndex) -> bool {
    let is_of = |pod: &PodRef| container.path_pod.as_ref().is_none_or(|named| named == pod);
    let meta = container.runtime.as_ref().map(|facts| &facts.meta);
    if let Some(pod) = meta.and_then(|meta| meta.pod_uid.as_ref()).map(PodRef::from) {
        return is_of(&pod) && index.pod(&pod).is_some();
    }
    let in_api = index.by_container_id(&container.id);
    in_api.is_some_and(|(pod, name)| {
        let named = container.path_pod.as_ref().map(|named| index.pod(named));
        container.was_entered()
            && runs(pod.status(name))
            && named.is_none_or(|named| named.is_some_and(|named| named.uid == pod.uid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_below_a_containers_own_belong_to_it() {
        let id = "a".repeat(64);
        let own = OwnPath::of(&format!("/n/kubepods/pod1/{id}/inside")).expect("a container's");
        for (path, its) in [
            (format!("/n/kubepods/pod1/{id}"), true),
            (format!("/n/kubepods/pod1/{id}/other"), true),
            (format!("/n/kubepods/pod1/{id}x"), false),
            (format!("/x/n/kubepods/pod1/{id}"), false),
            (format!("/n/kubepods/besteffort/pod1/{id}"), false),
        ] {
            assert_eq!(own.has(&path), its, "{path}");
        }
        assert_eq!(own.root(), "/n");
    }

    #[test]
    fn no_root_is_wrong_while_none_is_known() {
        let mut roots = Roots::default();
        assert!(!roots.lack("/x"));
        roots.learn("/n");
        roots.learn("/n");
        assert!(roots.lack("/x") && !roots.lack("/n"));
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten() {
        let id = |n: usize| ContainerId::parse(&format!("{n:064x}")).expect("64 hex digits");
        let mut settled = Settled::default();
        (0..=SETTLED).for_each(|n| settled.add(&id(n)));
        settled.add(&id(SETTLED));
        assert!(!settled.has(&id(0)) && settled.has(&id(1)) && settled.has(&id(SETTLED)));
        assert_eq!(settled.in_order.len(), SETTLED);
    }
}
