//! Which process belongs to which cgroup of ours. Membership sticks to the process: it is
//! inherited by fork and outlives a move to another cgroup.

use debugtrail_common::{loss::Loss, process::ProcessKey};

use crate::{
    interest,
    maps::{MEMBERS, entry, lost},
    task::{self, Ptr},
};

/// The cgroup that a process belongs to.
#[inline(always)]
pub fn of(key: &ProcessKey) -> Option<u64> {
    // SAFETY: the value is copied at once; a torn read of an aligned word is not possible.
    unsafe { MEMBERS.get(key) }.copied()
}

/// The same, also for a process whose entering was not heard.
#[inline(always)]
pub fn of_task(task: Ptr, key: &ProcessKey) -> Option<u64> {
    of(key).or_else(|| {
        let cgroup_id = task::cgroup_id(task);
        enter(key, cgroup_id).then(|| {
            interest::mark_for_good(task::cgroup_of(task));
            cgroup_id
        })
    })
}

/// Makes a process a member, if the cgroup still is one of ours; whether it is. The caller marks the
/// cgroup that the process sits in.
#[inline(always)]
pub fn enter(key: &ProcessKey, cgroup_id: u64) -> bool {
    let Some(entry) = entry(cgroup_id) else { return false };
    entry.steps.entered = 1;
    if MEMBERS.insert(key, cgroup_id, 0).is_err() {
        lost(Loss::Membership);
    }
    true
}

/// Whether a task is inside a cgroup: as a member, or by where it is now.
#[inline(always)]
pub fn is_inside(task: Ptr, cgroup_id: u64) -> bool {
    of(&task::key(task)) == Some(cgroup_id) || task::cgroup_id(task) == cgroup_id
}
