//! What already runs in the cgroups that userspace has entered as found running.

use core::ffi::c_void;

use debugtrail_common::{
    loss::Loss,
    process::{ProcessKey, origin, role, state},
};

use crate::{
    interest, lineage,
    maps::{MAINS, entry, lost},
    membership::{self, Coming},
    namespaces,
    task::{self, Ptr},
};

/// `struct bpf_iter__task` of kernel/bpf/task_iter.c: two pointers.
#[repr(C)]
struct TaskIteration {
    meta: Ptr,
    task: Ptr,
}

/// Runs once for each task, when userspace reads the iterator.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn scan_tasks(ctx: *mut c_void) -> i32 {
    // SAFETY: the kernel passes a `struct bpf_iter__task`.
    let task = unsafe { (*ctx.cast::<TaskIteration>()).task };
    if !task.is_null() {
        found(task);
    }
    0
}

#[inline(always)]
fn found(task: Ptr) {
    let cgroup = task::cgroup_of(task);
    let Some(cgroup_id) = lineage::home_found(cgroup) else { return };
    let Some(entry) = entry(cgroup_id) else { return };
    // Of each thread: in a threaded cgroup they may sit apart.
    if cgroup_id == task::id_of(cgroup) {
        interest::mark_found(cgroup, entry);
    } else {
        interest::note_below();
        interest::mark_seat(cgroup, cgroup_id);
    }
    if !task::is_leader(task) {
        return;
    }
    let key = ProcessKey::new(task::tgid(task), task::start_boot_ns(task));
    let is_main = entry.scan_main_tgid == key.tgid;
    let (role, state) = if is_main { (role::MAIN, state::IN_NAMESPACE) } else { (0, 0) };
    membership::enter(&key, cgroup_id, Coming { role, state, ..Coming::from_outside(task, origin::FOUND) });
    if !is_main || entry.steps.main_started != 0 {
        return;
    }
    if MAINS.insert(&key, cgroup_id, 0).is_err() {
        lost(Loss::Main);
        return;
    }
    entry.main.tgid = key.tgid;
    entry.main.start_boot_ns = key.start_boot_ns;
    entry.main.tgid_in_container = task::tgid_in_namespace(task);
    entry.main.mount_namespace = namespaces::note(task, cgroup_id);
    task::read_comm(task, &mut entry.main.comm);
    entry.steps.main_started = 1;
}
