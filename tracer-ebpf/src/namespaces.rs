//! Mount namespaces of main processes: who executes a program in one without belonging to the session has entered it,
//! whatever its cgroup. They go by the id that the kernel never gives twice: the number that `/proc/PID/ns/mnt` shows is
//! another namespace's as soon as its own is gone.

use aya_ebpf::bindings::{BPF_EXIST, BPF_NOEXIST};
use debugtrail_common::{cgroup::CgroupEntry, interest::Namespace, loss::Loss};

use crate::{
    interest,
    maps::{NAMESPACES, lost},
    task::{self, HAS_NAMESPACE_ID, MNT_NS_ID, Ptr},
};

/// The cgroup of the session in whose mount namespace a task is.
#[inline(always)]
pub fn session_of(task: Ptr) -> Option<u64> {
    let id = id(task);
    // SAFETY: the value is copied at once.
    unsafe { NAMESPACES.get(id) }.filter(|_| id != 0).map(|namespace| namespace.cgroup_id)
}

/// Notes the namespace of a main process, and gives its id; 0 where the kernel does not show it.
#[inline(always)]
pub fn note(main: Ptr, cgroup_id: u64) -> u64 {
    let id = id(main);
    if id == 0 {
        return 0;
    }
    let mark = interest::mark_namespace(task::mount_namespace(main));
    let namespace = Namespace { cgroup_id, mark, reserved: 0 };
    if NAMESPACES.insert(id, namespace, u64::from(BPF_NOEXIST)).is_ok() {
        return id;
    }
    // It is noted and marked already: the main process that came last is whom one enters.
    interest::unmark_namespace(mark);
    if NAMESPACES.insert(id, namespace, u64::from(BPF_EXIST)).is_err() {
        lost(Loss::Membership);
    }
    id
}

/// Forgets the namespace of a cgroup that is forgotten.
#[inline(always)]
pub fn forget(entry: &CgroupEntry, cgroup_id: u64) {
    let id = entry.main.mount_namespace;
    // SAFETY: the value is copied at once.
    let Some(noted) = unsafe { NAMESPACES.get(id) }.copied() else { return };
    if noted.cgroup_id == cgroup_id && NAMESPACES.remove(id).is_ok() {
        interest::unmark_namespace(noted.mark);
    }
}

/// Id of a task's mount namespace; 0 where it has none any more, or the kernel does not show it.
#[inline(always)]
pub fn id(task: Ptr) -> u64 {
    if HAS_NAMESPACE_ID.load() == 0 {
        return 0;
    }
    task::read(task::mount_namespace(task), &MNT_NS_ID)
}
