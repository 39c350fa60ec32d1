//! Whose a cgroup is by what it lies below. Nothing is kept of a cgroup below a session's own, however
//! many are made there: who is in one belongs to the session.

use aya_ebpf::Global;

use crate::{
    interest,
    maps::{SETTLED, TRACKED, entry},
    task::{self, CGROUP_ANCESTORS, CGROUP_KN, CGROUP_LEVEL, KERNFS_ID, Ptr},
};

#[unsafe(no_mangle)]
static ANCESTORS_ARE_IDS: Global<u32> = Global::new(0);

/// Containers' own cgroups lie higher than this, also those of a cluster in a container.
const LEVELS: u32 = 24;

/// Whose a cgroup is that lies below another.
pub enum Below {
    /// A session's: the id of its own cgroup.
    Session(u64),
    /// A container's of which nothing more is asked.
    Settled,
}

/// What userspace has said of the cgroups above this one.
#[inline(always)]
pub fn below(cgroup: Ptr) -> Option<Below> {
    first_above(cgroup, |above| {
        // SAFETY: the value is copied at once.
        if let Some(root) = unsafe { TRACKED.get(above) }.copied() {
            return Some(Below::Session(root));
        }
        // SAFETY: nothing is read of the value.
        unsafe { SETTLED.get(above) }.map(|_| Below::Settled)
    })
}

/// The cgroup of ours to which the processes in a cgroup belong: itself, or a session's above it.
#[inline(always)]
pub fn home(cgroup: Ptr) -> Option<u64> {
    let id = task::id_of(cgroup);
    if entry(id).is_some() {
        return Some(id);
    }
    if !interest::any_below() {
        return None;
    }
    match below(cgroup) {
        Some(Below::Session(root)) => Some(root),
        _ => None,
    }
}

/// The same while what runs is found: the nearest that has an entry.
#[inline(always)]
pub fn home_found(cgroup: Ptr) -> Option<u64> {
    let id = task::id_of(cgroup);
    if entry(id).is_some() {
        return Some(id);
    }
    let mut nearest = None;
    first_above(cgroup, |above| {
        if entry(above).is_some_and(|entry| entry.steps.main_scanned != 0) {
            nearest = Some(above);
        }
        None::<()>
    });
    nearest
}

/// Whether a cgroup lies below another.
#[inline(always)]
pub fn is_below(cgroup: Ptr, id: u64) -> bool {
    first_above(cgroup, |above| (above == id).then_some(())).is_some()
}

/// The first answer about the ids of the cgroups above this one, from the root's children down.
#[inline(always)]
fn first_above<T>(cgroup: Ptr, mut ask: impl FnMut(u64) -> Option<T>) -> Option<T> {
    let level: u32 = task::read(cgroup, &CGROUP_LEVEL);
    for at in 1..LEVELS {
        if at >= level {
            break;
        }
        let answer = ask(above(cgroup, at));
        if answer.is_some() {
            return answer;
        }
    }
    None
}

/// Id of the cgroup above this one at a level.
#[inline(always)]
fn above(cgroup: Ptr, level: u32) -> u64 {
    // The level is only known at run time, which a checked load does not allow.
    // SAFETY: only read through a helper; the caller's level is below the cgroup's own, which has so many.
    let at = unsafe { cgroup.byte_add(level as usize * size_of::<u64>()) };
    if ANCESTORS_ARE_IDS.load() != 0 {
        return task::probe(at, &CGROUP_ANCESTORS);
    }
    let ancestor: Ptr = task::probe(at, &CGROUP_ANCESTORS);
    let kn: Ptr = task::probe(ancestor, &CGROUP_KN);
    task::probe(kn, &KERNFS_ID)
}
