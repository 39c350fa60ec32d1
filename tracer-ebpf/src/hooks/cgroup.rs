//! Cgroups come and go, and processes move into them.

use aya_ebpf::{
    bindings::BPF_NOEXIST, helpers::generated::bpf_probe_read_kernel_str, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use debugtrail_common::{cgroup::PATH_LEN, event::EventKind, loss::Loss, process::origin};

use crate::{
    clock::now,
    interest::{self, count_entries},
    lineage,
    maps::{CGROUPS, EMPTY, SETTLED, TRACKED, entry, lost, wake},
    membership::{self, Coming},
    task::{self, Ptr},
};

/// `cgroup_mkdir(struct cgroup *, const char *path)`.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Ptr = ctx.arg(0);
    if task::in_default_hierarchy(cgroup) {
        created(&ctx, cgroup, ctx.arg(1));
    }
    0
}

#[inline(never)]
fn created(ctx: &BtfTracePointContext, cgroup: Ptr, path: Ptr) -> i32 {
    if lineage::below(cgroup).is_some() {
        interest::note_below();
        return 0;
    }
    if !membership::may_make() {
        return 0;
    }
    let id = task::id_of(cgroup);
    let Some(empty) = EMPTY.get_ptr(0) else { return 0 };
    interest::begin_anew();
    let mark = interest::mark(cgroup);
    count_entries(1);
    // SAFETY: the entry is never written, and it is alive until the program returns.
    if CGROUPS.insert(&id, unsafe { &*empty }, u64::from(BPF_NOEXIST)).is_err() {
        interest::unmark(mark);
        count_entries(-1);
        lost(Loss::Cgroup);
        debug!(ctx, "no room for cgroup {}: a session in it is not seen", id);
        return 0;
    }
    let Some(entry) = entry(id) else { return 0 };
    entry.mark = mark;
    entry.created_boot_ns = now();
    // SAFETY: reads at most PATH_LEN bytes into the entry's array of that size.
    let read = unsafe { bpf_probe_read_kernel_str(entry.path.as_mut_ptr().cast(), PATH_LEN as u32, path) };
    entry.path_len = if read > 0 { read as u32 } else { 0 };
    entry.steps.created = 1;
    wake(EventKind::CgroupCreated, id);
    0
}

/// `cgroup_rmdir(struct cgroup *, const char *path)`.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Ptr = ctx.arg(0);
    if interest::entries().any() && task::in_default_hierarchy(cgroup) {
        removed(cgroup);
    }
    0
}

#[inline(never)]
fn removed(cgroup: Ptr) -> i32 {
    let id = task::id_of(cgroup);
    let _ = SETTLED.remove(&id);
    let Some(entry) = entry(id) else { return 0 };
    // 7.3 may have skipped every program that sees a process in it. The one of its freeing is still to come.
    if entry.steps.entered == 0 && task::has_unfreed(cgroup) {
        entry.steps.entered = 1;
    }
    if entry.steps.entered == 0 {
        // Nothing was ever in it: a pod's or a slice's directory. There is nothing to report.
        let mark = entry.mark;
        if CGROUPS.remove(&id).is_ok() {
            interest::unmark(mark);
            count_entries(-1);
        }
        let _ = TRACKED.remove(&id);
        return 0;
    }
    entry.removed_boot_ns = now();
    entry.steps.removed = 1;
    wake(EventKind::CgroupRemoved, id);
    0
}

/// `cgroup_attach_task(struct cgroup *dst, const char *path, struct task_struct *, bool)`.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Ptr = ctx.arg(0);
    if interest::entries().any() && task::in_default_hierarchy(cgroup) {
        attached(cgroup, ctx.arg(2));
    }
    0
}

#[inline(never)]
fn attached(cgroup: Ptr, task: Ptr) -> i32 {
    let key = task::key(task);
    // Membership sticks: what already belongs somewhere does not change sides.
    if let Some(member) = membership::of(&key) {
        membership::moves(member, cgroup);
        interest::mark_seat(cgroup, member.cgroup_id);
        return 0;
    }
    let Some(home) = lineage::home(cgroup) else { return 0 };
    if membership::enter(&key, home, Coming::from_outside(task, origin::ATTACHED)) {
        interest::mark_seat(cgroup, home);
    }
    0
}
