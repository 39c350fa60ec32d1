//! A process ends: heard at its exit for speed, and again when it is freed for certainty, because
//! the kernel may skip a BTF program (7.3 does under parallel load).

use aya_ebpf::{Global, bindings::BPF_RB_NO_WAKEUP, macros::btf_tracepoint, programs::BtfTracePointContext};
use debugtrail_common::{
    event::{EventKind, MemberEnded},
    loss::Loss,
    process::ProcessKey,
};

use crate::{
    clock::now,
    interest,
    maps::{EVENTS, MAINS, MEMBERS, OOM_VICTIMS, TRACKED, entry, lost, wake},
    membership,
    task::{self, Ptr},
};

#[unsafe(no_mangle)]
static EXIT_HAS_GROUP_DEAD: Global<u32> = Global::new(0);

/// `sched_process_exit(struct task_struct *)`, and `(…, bool group_dead)` since 6.16.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let entries = interest::entries();
    if entries.any() && entries.may_concern(ctx.arg(0)) {
        exited(ctx);
    }
    0
}

/// Takes the context by value, as it is a pointer: the address of one would cost the entry a stack.
#[inline(never)]
fn exited(ctx: BtfTracePointContext) -> i32 {
    let task: Ptr = ctx.arg(0);
    let group_dead = if EXIT_HAS_GROUP_DEAD.load() != 0 {
        ctx.arg::<u64>(1) as u8 != 0
    } else {
        task::live_threads(task) == 0
    };
    if !group_dead {
        return 0;
    }
    let key = task::key(task);
    // SAFETY: the value is copied at once.
    if let Some(cgroup_id) = unsafe { MAINS.get(&key) }.copied() {
        main_ended(task, &key, cgroup_id, false);
    } else if let Some(cgroup_id) = membership::of(&key) {
        member_ended(task, &key, cgroup_id);
    }
    0
}

/// `sched_process_free(struct task_struct *)`: after the reaping and an RCU period; no kernel was
/// seen to skip it.
#[btf_tracepoint(function = "sched_process_free")]
pub fn sched_process_free(ctx: BtfTracePointContext) -> i32 {
    let entries = interest::entries();
    if entries.any() && entries.may_concern(ctx.arg(0)) {
        freed(ctx.arg(0));
    }
    0
}

#[inline(never)]
fn freed(task: Ptr) -> i32 {
    if !task::is_leader(task) {
        return 0;
    }
    // Not through `group_leader`: a freed task's is only good when it is the leader itself.
    let key = ProcessKey::new(task::tgid(task), task::start_boot_ns(task));
    // SAFETY: the value is copied at once.
    if let Some(cgroup_id) = unsafe { MAINS.get(&key) }.copied() {
        main_ended(task, &key, cgroup_id, true);
        let _ = MAINS.remove(&key);
    }
    let _ = MEMBERS.remove(&key);
    0
}

/// Writes the main process's end into the cgroup's entry, once.
#[inline(always)]
fn main_ended(task: Ptr, key: &ProcessKey, cgroup_id: u64, late: bool) {
    let Some(entry) = entry(cgroup_id) else { return };
    if entry.steps.main_ended != 0 {
        return;
    }
    entry.end.wait_status = task::wait_status(task);
    entry.end.boot_ns = now();
    entry.steps.end_late = u8::from(late);
    // SAFETY: the value is copied at once.
    if let Some(chosen_at) = unsafe { OOM_VICTIMS.get(&key.tgid) }.copied() {
        // An older choice was of an earlier process with the same pid.
        entry.steps.oom_victim = u8::from(chosen_at >= key.start_boot_ns);
    }
    entry.steps.main_ended = 1;
    wake(EventKind::MainEnded, cgroup_id);
}

#[inline(always)]
fn member_ended(task: Ptr, key: &ProcessKey, cgroup_id: u64) {
    // SAFETY: the value is copied at once.
    let Some(root) = unsafe { TRACKED.get(cgroup_id) }.copied() else { return };
    let Some(mut slot) = EVENTS.reserve::<MemberEnded>(0) else {
        lost(Loss::Member);
        return;
    };
    let event = slot.as_mut_ptr();
    // SAFETY: the slot has the event's size; every field is written before it is submitted.
    unsafe {
        (*event).kind = EventKind::MemberEnded as u32;
        (*event).tgid = key.tgid;
        (*event).cgroup_id = root;
        (*event).start_boot_ns = key.start_boot_ns;
        (*event).end_boot_ns = now();
        (*event).wait_status = task::wait_status(task);
        (*event).reserved = 0;
        task::read_comm(task, &mut (*event).comm);
    }
    // Waking the reader costs more than all the rest; its timer drains these.
    slot.submit(u64::from(BPF_RB_NO_WAKEUP));
}
