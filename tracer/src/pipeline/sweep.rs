//! The look at every entry, once a second and a part at a time: thousands of cgroups hold up nothing else.

use std::time::Duration;

use super::Pipeline;
use crate::clock::boot_now;
use crate::ids::{BootNanos, CgroupId};
use crate::kernel::KernelError;

/// Cgroups that are looked at between two looks at the other inputs: a few milliseconds of work.
const CGROUPS: usize = 128;

/// How long after its last round an agent is taken to be gone by programs that outlive it.
const READING: Duration = Duration::from_secs(10);

/// A sweep, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Cgroups that it has yet to look at; `None` where none is under way.
    left: Option<Vec<CgroupId>>,
}

impl Sweep {
    /// Whether there is more to do of it.
    pub(super) fn is_under_way(&self) -> bool {
        self.left.is_some()
    }

    /// Begins one over these cgroups, each of which is looked at once.
    fn begin(&mut self, mut cgroups: Vec<CgroupId>) {
        cgroups.sort_unstable();
        cgroups.dedup();
        self.left = Some(cgroups);
    }

    /// The next of them; `None` once all were given.
    fn next(&mut self) -> Option<Vec<CgroupId>> {
        let left = self.left.as_mut()?;
        if left.is_empty() {
            self.left = None;
            return None;
        }
        // From the end: the newest, of which there is most to report.
        Some(left.split_off(left.len().saturating_sub(CGROUPS)))
    }
}

impl Pipeline {
    /// Begins to look for what the ring could not report. Where the last sweep is not over, that one goes on.
    pub(super) fn begin_sweep(&mut self) -> Result<(), KernelError> {
        if self.legacy.is_pinned() {
            self.kernel.read_until(BootNanos(boot_now().0 + READING.as_nanos() as u64))?;
        }
        if self.sweep.is_under_way() {
            self.keep();
            return Ok(());
        }
        let mut cgroups = self.kernel.cgroups()?;
        cgroups.extend(self.tracker.cgroups());
        self.sweep.begin(cgroups);
        Ok(())
    }

    /// Looks at some more cgroups; after the last, counts what was lost and lets time decide.
    pub(super) fn sweep_on(&mut self) -> Result<(), KernelError> {
        if !self.sweep.is_under_way() {
            return Ok(());
        }
        if let Some(cgroups) = self.sweep.next() {
            return cgroups.into_iter().try_for_each(|cgroup| self.look_at(cgroup));
        }
        self.count_loss()?;
        self.recorder.report_unwritten();
        self.recorder.report_missing();
        self.review()?;
        let tracker = &self.tracker;
        self.lookups.review(|id| tracker.is_of_interest(id), boot_now());
        self.report_foreign(false);
        self.let_go()?;
        self.keep();
        Ok(())
    }

    /// The whole of it, after which there is no other.
    pub(super) fn last_sweep(&mut self) -> Result<(), KernelError> {
        self.sweep = Sweep::default();
        self.begin_sweep()?;
        while self.sweep.is_under_way() {
            self.sweep_on()?;
        }
        Ok(())
    }

    fn count_loss(&mut self) -> Result<(), KernelError> {
        for lost in self.loss.read(&self.kernel, boot_now())? {
            self.loss.about_to_report(&mut self.kernel, &lost, self.recorder.upcoming())?;
            self.report_lost(&lost);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroups(ids: impl IntoIterator<Item = u64>) -> Vec<CgroupId> {
        ids.into_iter().map(CgroupId).collect()
    }

    #[test]
    fn a_full_map_is_looked_at_in_parts_and_each_entry_once() {
        let mut sweep = Sweep::default();
        assert!(!sweep.is_under_way() && sweep.next().is_none());
        // The kernel's and the tracker's are mostly the same.
        sweep.begin(cgroups((0..4096).chain(0..4096)));
        let (mut looks, mut seen) = (0, Vec::new());
        while let Some(part) = sweep.next() {
            assert!(!part.is_empty() && part.len() <= CGROUPS);
            looks += 1;
            seen.extend(part);
        }
        seen.sort_unstable();
        assert_eq!((looks, seen), (4096 / CGROUPS, cgroups(0..4096)));
        assert!(!sweep.is_under_way());
    }

    #[test]
    fn an_empty_sweep_comes_to_its_end_too() {
        let mut sweep = Sweep::default();
        sweep.begin(Vec::new());
        assert!(sweep.is_under_way());
        assert_eq!(sweep.next(), None);
        assert!(!sweep.is_under_way());
    }

    #[test]
    fn a_new_cgroup_does_not_wait_for_the_old_ones() {
        let mut sweep = Sweep::default();
        sweep.begin(cgroups(0..1000));
        assert!(sweep.next().is_some_and(|part| part.contains(&CgroupId(999))));
    }
}
