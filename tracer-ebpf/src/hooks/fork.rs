//! A process is born.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use debugtrail_common::process::{origin, state};

use crate::{
    interest, lineage,
    membership::{self, Coming},
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
    let (cgroup_id, origin, state) = if let Some(member) = membership::of(&task::key(parent)) {
        (member.cgroup_id, origin::FORKED, member.state & state::IN_NAMESPACE)
    } else {
        let Some(home) = lineage::home(cgroup) else { return 0 };
        // A parent inside that is no member is one whose entering was not seen.
        let is_elsewhere = cgroup != task::cgroup_of(parent);
        (home, if is_elsewhere { origin::CLONED_INTO } else { origin::FORKED }, 0)
    };
    let coming = Coming { origin, role: 0, state, parent_tgid: task::tgid(parent) };
    if membership::enter(&task::key(child), cgroup_id, coming) {
        interest::mark_seat(cgroup, cgroup_id);
    }
    0
}
