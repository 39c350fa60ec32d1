//! A process is born.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    maps::active,
    membership,
    task::{self, Ptr},
};

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, after the child got
/// its cgroup and before it runs.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    if active() {
        forked(ctx.arg(0), ctx.arg(1));
    }
    0
}

#[inline(never)]
fn forked(parent: Ptr, child: Ptr) -> i32 {
    if !task::is_leader(child) {
        return 0; // A thread: its process already is what it is.
    }
    let cgroup_id = match membership::of(&task::key(parent)) {
        Some(cgroup_id) => cgroup_id,
        // CLONE_INTO_CGROUP puts a child elsewhere and fires no attach.
        None if task::css_set(parent) != task::css_set(child) => task::cgroup_id(child),
        None => return 0,
    };
    membership::enter(&task::key(child), cgroup_id);
    0
}
