//! Whose memory limit made the OOM killer choose a main process. The kernel shows programs whom it chose; why
//! it chose stands in its log and its counters alone. What either says is judged in `log` and `counters`,
//! which are pure.

mod counters;
mod log;

use std::collections::BTreeMap;
use std::fs;

use crate::cgroup::{Hierarchy, Place};
use crate::ids::CgroupId;
use crate::kernel::{Killer, Observation};
use crate::record::OomLimit;

/// Ends that are remembered: once the cgroup is gone, its counters are.
const REMEMBERED: usize = 64;

/// Finds limits that were hit.
pub struct OomLimits {
    /// Those that may have the memory controller: v2, and v1's own.
    hierarchies: Vec<Hierarchy>,
    known: BTreeMap<CgroupId, Option<OomLimit>>,
}

impl OomLimits {
    /// Of the cgroups in the v2 hierarchy `unified`, whichever hierarchy has their memory.
    #[must_use]
    pub fn new(unified: Hierarchy) -> Self {
        let hierarchies = [Hierarchy::find_v1("memory"), Some(unified)].into_iter().flatten().collect();
        Self { hierarchies, known: BTreeMap::new() }
    }

    /// Fills in the limit where the OOM killer ended the main process and anything shows which it was.
    pub fn fill_in(&mut self, seen: &mut Observation) {
        if !matches!(seen.killer, Some(Killer::Oom(_))) {
            return;
        }
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&seen.cgroup) {
            self.known.clear();
        }
        let limit = match self.known.get(&seen.cgroup) {
            Some(known) => *known,
            None => self.look(seen),
        };
        self.known.insert(seen.cgroup, limit);
        seen.killer = Some(Killer::Oom(limit));
    }

    /// The counters first: they may be gone in a moment.
    fn look(&self, seen: &Observation) -> Option<OomLimit> {
        let by_counters = self.hierarchies.iter().find_map(|hierarchy| by_counters(hierarchy, &seen.path));
        let Place::Container { container_id, pod, .. } = Place::of(&seen.path) else { return None };
        let victim = log::Victim { pid: seen.main.as_ref()?.pid, container: &container_id, pod: &pod };
        read_log().and_then(|log| log::limit_of(&victim, &log)).or(by_counters)
    }
}

fn by_counters(hierarchy: &Hierarchy, path: &str) -> Option<OomLimit> {
    let (container, pod) = counters::levels(path);
    let hit = |level: Option<&str>| {
        let file = |name: &str| fs::read_to_string(hierarchy.file(level?, name)).ok();
        counters::hit_v2(file("memory.events.local").as_deref())
            .or_else(|| counters::hit_v1(file("memory.failcnt").as_deref()))
    };
    counters::limit(hit(container), hit(pod))
}

/// All that the kernel's log holds, if this process may read it: CAP_SYSLOG, or `kernel.dmesg_restrict` is 0.
fn read_log() -> Option<String> {
    const READ_ALL: libc::c_int = 3;
    const SIZE_BUFFER: libc::c_int = 10;
    // SAFETY: takes no buffer.
    let size = unsafe { libc::klogctl(SIZE_BUFFER, std::ptr::null_mut(), 0) };
    let mut text = vec![0u8; usize::try_from(size).ok()?];
    // SAFETY: at most `size` bytes are written to the buffer, which has so many.
    let read = unsafe { libc::klogctl(READ_ALL, text.as_mut_ptr().cast(), size) };
    text.truncate(usize::try_from(read).ok()?);
    Some(String::from_utf8_lossy(&text).into_owned())
}
