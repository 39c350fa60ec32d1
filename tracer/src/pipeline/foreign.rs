//! Containers that are taken for another kubelet's, until it is said. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::BootNanos;
use crate::record::{PodNamed, SessionId};
use crate::session::Container;

/// Between two records of them: the nodes of a kind cluster share a kernel, and see each other's pods come and go.
const PAUSE: Duration = Duration::from_secs(60);

/// How many of each are named in a record; the others are counted.
const NAMED: usize = 64;

/// Those that are still to be said.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    waiting: Option<Noted>,
    said: Option<BootNanos>,
}

/// What a record says of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub count: u64,
    pub from: BootNanos,
    pub containers: BTreeSet<SessionId>,
    pub pods: BTreeSet<PodNamed>,
}

impl Noted {
    /// Whether there are more containers than it names.
    pub(super) fn truncated(&self) -> bool {
        self.count > self.containers.len() as u64
    }
}

impl Foreign {
    /// Takes one in.
    pub(super) fn note(&mut self, container: &Container, now: BootNanos) {
        let from = container.first_seen.min(now);
        let noted = self.waiting.get_or_insert_with(|| Noted {
            count: 0,
            from,
            containers: BTreeSet::new(),
            pods: BTreeSet::new(),
        });
        noted.count += 1;
        noted.from = noted.from.min(from);
        if noted.containers.len() < NAMED {
            noted.containers.insert(SessionId::of_container(&container.id));
        }
        let meta = container.runtime.as_ref().map(|facts| &facts.meta);
        if let Some(meta) = meta.filter(|_| noted.pods.len() < NAMED)
            && let Some(uid) = meta.pod_uid.clone()
        {
            let (namespace, name) = (meta.namespace.clone(), meta.pod_name.clone());
            noted.pods.insert(PodNamed { namespace, name, uid });
        }
    }

    /// What is to be said now; all of it at the end.
    pub(super) fn take(&mut self, is_the_end: bool, now: BootNanos) -> Option<Noted> {
        let rests = self.said.is_some_and(|said| now.since(said) < PAUSE);
        if rests && !is_the_end {
            return None;
        }
        let noted = self.waiting.take()?;
        self.said = Some(now);
        Some(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ContainerId;

    fn noted(count: usize) -> Noted {
        let mut foreign = Foreign::default();
        for n in 0..count {
            let id = ContainerId::parse(&format!("{n:064x}")).expect("an id");
            foreign.note(&Container::new(id, None, BootNanos(1)), BootNanos(2));
        }
        foreign.take(true, BootNanos(3)).expect("some")
    }

    #[test]
    fn more_containers_than_are_named_are_truncated() {
        let all = noted(NAMED);
        assert_eq!((all.count, all.truncated()), (64, false));
        let more = noted(NAMED + 1);
        assert_eq!((more.count, more.containers.len(), more.truncated()), (65, 64, true));
    }
}
