//! A process is born.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use debugtrail_common::process::origin;

use crate::{
    interest, membership,
    task::{self, Ptr},
};

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, after the child got
/// its cgroup and before it runs.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let entries = interest::entries();
    if entries.any() {
        let (parent, child): (Ptr, Ptr) = (ctx.arg(0), ctx.arg(1));
        let home = task::css_set(child);
        // CLONE_INTO_CGROUP puts a child elsewhere and fires no attach.
        if home != task::css_set(parent) || entries.may_concern_any_in(home) {
            forked(parent, child);
        }
    }
    0
}

#[inline(never)]
fn forked(parent: Ptr, child: Ptr) -> i32 {
    if !task::is_leader(child) {
        return 0; // A thread: its process already is what it is.
    }
    let cgroup = task::cgroup_of(child);
    let (cgroup_id, origin) = match membership::cgroup_of(&task::key(parent)) {
        Some(cgroup_id) => (cgroup_id, origin::FORKED),
        None if cgroup != task::cgroup_of(parent) => (task::id_of(cgroup), origin::CLONED_INTO),
        // A parent inside that is no member is one whose entering was not heard.
        None => (task::id_of(cgroup), origin::FORKED),
    };
    if membership::enter(&task::key(child), cgroup_id, origin, 0, task::tgid(parent)) {
        interest::mark_for_good(cgroup);
    }
    0
}
