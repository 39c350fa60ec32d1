//! Where the process ran that sent a signal.

use std::collections::BTreeMap;

use crate::cgroup::Hierarchy;
use crate::ids::CgroupId;
use crate::kernel::{Killer, Observation};

/// Senders' cgroups that are remembered, so that a look at the same end asks once.
const REMEMBERED: usize = 64;

/// Finds the paths of senders' cgroups.
pub(super) struct SenderPaths {
    hierarchy: Hierarchy,
    known: BTreeMap<CgroupId, Option<String>>,
}

impl SenderPaths {
    pub(super) fn new(hierarchy: Hierarchy) -> Self {
        Self { hierarchy, known: BTreeMap::new() }
    }

    /// Fills in the path of the sender's cgroup, where it still exists.
    pub(super) fn fill_in(&mut self, seen: &mut Observation) {
        let Some(Killer::Process(sender) | Killer::Asked(sender)) = &mut seen.killer else { return };
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&sender.cgroup) {
            self.known.clear();
        }
        let path = self.known.entry(sender.cgroup).or_insert_with(|| {
            self.hierarchy
                .path_of(sender.cgroup)
                .inspect_err(|error| tracing::warn!("can't tell where the sender of a signal ran: {error}"))
                .ok()?
        });
        sender.cgroup_path.clone_from(path);
    }
}
