//! A process ends: seen at its exit for speed, and again when it is freed for certainty, because the kernel
//! may skip a BTF program (7.3 does under parallel load).

use aya_ebpf::{Global, bindings::BPF_NOEXIST, macros::btf_tracepoint, programs::BtfTracePointContext};
use debugtrail_common::{
    cgroup::End,
    event::{EventKind, MemberEnded},
    loss::Loss,
    process::{Member, ProcessKey, role, state},
};

use crate::{
    atomic,
    clock::now,
    interest,
    maps::{ENDED, EVENTS, MAINS, MEMBERS, OOM_VICTIMS, entry, lost, wake},
    membership, reader,
    task::{self, Ptr, TASK_GROUP_LEADER},
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
    let key = task::key(task);
    let mut member = membership::of(&key);
    let over = if EXIT_HAS_GROUP_DEAD.load() != 0 {
        ctx.arg::<u64>(1) as u8 != 0
    } else {
        is_over(task, member.as_deref_mut()) && ENDED.insert(&key, 1, u64::from(BPF_NOEXIST)).is_ok()
    };
    if !over {
        return 0;
    }
    // SAFETY: the value is copied at once.
    if let Some(cgroup_id) = unsafe { MAINS.get(&key) }.copied() {
        main_ended(task, &key, cgroup_id, false);
    } else if let Some(member) = member {
        if member.role & role::RUNTIME != 0 {
            main_unseen(task, &key, member.cgroup_id);
        }
        member_ended(task, &key, member, false);
    } else {
        main_unseen(task, &key, task::cgroup_id(task));
        if let Some(member) = membership::of_unseen(task, &key) {
            member_ended(task, &key, member, false);
        }
    }
    0
}

/// A process ends in a cgroup in which no main process was seen: it is that one, where the exec's program was skipped.
#[inline(always)]
fn main_unseen(task: Ptr, key: &ProcessKey, cgroup_id: u64) {
    let Some(entry) = entry(cgroup_id) else { return };
    let leader: Ptr = task::read(task, &TASK_GROUP_LEADER);
    if entry.steps.has_main() || !task::has_execed(leader) || !membership::is_main(leader, cgroup_id) {
        return;
    }
    entry.main.tgid = key.tgid;
    entry.main.start_boot_ns = key.start_boot_ns;
    entry.main.tgid_in_container = task::tgid_in_namespace(leader);
    task::read_comm(leader, &mut entry.main.comm);
    // Neither may its birth in it have been seen.
    entry.steps.entered = 1;
    membership::becomes_main(key, entry);
    entry.steps.main_started = 1;
    main_ended(task, key, cgroup_id, false);
}

/// Whether this is the last exit of the process, where the kernel does not say so: two threads that race may both take
/// theirs for it. The status is settled by a group exit, else by the leader's, which stores it after it has ceased
/// to count as alive and before this hook: whoever comes before leaves it to the leader.
#[inline(always)]
fn is_over(task: Ptr, member: Option<&mut Member>) -> bool {
    let is_leader = task::is_leader(task);
    let leader_exited = match member {
        Some(member) => {
            if is_leader {
                // Also the barrier between this and the look at who is alive.
                atomic::add(&mut member.leader_exits, 1);
            }
            member.leader_exits != 0
        }
        None => true,
    };
    task::live_threads(task) == 0 && (is_leader || leader_exited || task::is_group_exit(task))
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
        main_freed(task, cgroup_id);
        let _ = MAINS.remove(&key);
    }
    if let Some(member) = membership::of(&key) {
        if member.role & role::RUNTIME != 0 {
            perhaps_main(task, &key, member.cgroup_id);
        }
        member_freed(task, &key, member);
        let _ = MEMBERS.remove(&key);
    } else {
        perhaps_main(task, &key, task::cgroup_id(task));
        if let Some(member) = membership::of_unseen(task, &key) {
            member_freed(task, &key, member);
            let _ = MEMBERS.remove(&key);
        }
    }
    0
}

/// The same of a process whose exit's program was skipped as well: its namespaces are gone, so that only
/// userspace knows, from the runtime.
#[inline(always)]
fn perhaps_main(task: Ptr, key: &ProcessKey, cgroup_id: u64) {
    let Some(entry) = entry(cgroup_id) else { return };
    if entry.steps.has_main() || !task::has_execed(task) {
        return;
    }
    entry.steps.entered = 1;
    entry.last.tgid = key.tgid;
    entry.last.start_boot_ns = key.start_boot_ns;
    entry.last.end = End::new(now(), task::wait_status(task));
}

#[inline(always)]
fn main_freed(task: Ptr, cgroup_id: u64) {
    let (Some(entry), Some(usage)) = (entry(cgroup_id), task::usage(task)) else { return };
    entry.main_usage = usage;
    entry.main_max_rss_pages = task::max_rss_pages(task);
    entry.steps.main_freed = 1;
}

#[inline(always)]
fn member_freed(task: Ptr, key: &ProcessKey, member: &mut Member) {
    if member.role != 0 {
        return;
    }
    member_ended(task, key, member, true);
    let (Some(entry), Some(usage)) = (entry(member.cgroup_id), task::usage(task)) else { return };
    let total = &mut entry.members_usage;
    atomic::add(&mut total.cpu_ns, usage.cpu_ns);
    atomic::add(&mut total.minor_faults, usage.minor_faults);
    atomic::add(&mut total.major_faults, usage.major_faults);
    atomic::add(&mut total.processes, 1);
}

/// Writes the main process's end into the cgroup's entry, once.
#[inline(always)]
fn main_ended(task: Ptr, key: &ProcessKey, cgroup_id: u64, late: bool) {
    let Some(entry) = entry(cgroup_id) else { return };
    if entry.steps.main_ended != 0 {
        return;
    }
    let (wait_status, boot_ns) = (task::wait_status(task), now());
    entry.end = End::new(boot_ns, wait_status);
    entry.steps.end_late = u8::from(late);
    // SAFETY: the value is copied at once.
    if let Some(chosen_at) = unsafe { OOM_VICTIMS.get(&key.tgid) }.copied() {
        // An older choice was of an earlier process with the same pid.
        entry.steps.oom_victim = u8::from(chosen_at >= key.start_boot_ns);
    }
    entry.steps.main_ended = 1;
    wake(EventKind::MainEnded, cgroup_id);
}

/// Reports a member's end, once.
#[inline(always)]
fn member_ended(task: Ptr, key: &ProcessKey, member: &mut Member, late: bool) {
    if member.state & state::ENDED != 0 || member.role != 0 {
        return;
    }
    member.state |= state::ENDED;
    if let Some(entry) = entry(member.cgroup_id) {
        atomic::add(&mut entry.counts.members_ended, 1);
    }
    let Some(addressee) = reader::addressee(member.cgroup_id) else { return };
    let Some(mut slot) = EVENTS.reserve::<MemberEnded>(0) else {
        lost(Loss::Member);
        return;
    };
    let event = slot.as_mut_ptr();
    let leader: Ptr = task::read(task, &TASK_GROUP_LEADER);
    // SAFETY: the slot has the event's size; every field is written before it is submitted.
    unsafe {
        (*event).kind = EventKind::MemberEnded as u32;
        (*event).tgid = key.tgid;
        (*event).cgroup_id = addressee;
        (*event).start_boot_ns = key.start_boot_ns;
        (*event).end_boot_ns = now();
        (*event).wait_status = task::wait_status(task);
        // A freed task has no pid any more.
        (*event).tgid_in_container = if late { 0 } else { task::tgid_in_namespace(leader) };
        (*event).since_boot_ns = member.since_boot_ns;
        (*event).parent_tgid = member.parent_tgid;
        (*event).origin = member.origin;
        (*event).left = member.left;
        (*event).late = u8::from(late);
        (*event).reserved = 0;
        (*event).max_rss_pages = task::max_rss_pages(task);
        task::read_comm(task, &mut (*event).comm);
    }
    slot.submit(reader::wakeup());
}
