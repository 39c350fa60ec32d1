//! A signal is sent to a main process.

use aya_ebpf::{
    Global,
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_cgroup_id, bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel,
            bpf_task_pt_regs,
        },
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use debugtrail_common::{
    cgroup::CgroupEntry,
    process::ProcessKey,
    signal::{NO_SYSCALL, SIGNALS, SignalSent, origin, sender},
};

use crate::{
    clock::now,
    interest,
    maps::{MAINS, entry},
    membership,
    task::{self, Ptr, TASK_FLAGS, TASK_GROUP_LEADER, TASK_START_BOOTTIME, TASK_TGID},
};

/// Signals whose default is not to end a process: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH,
/// with the numbers of x86 and Arm. One of them, SIGCHLD, is sent at every exit.
const HARMLESS: u64 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28;

/// `TRACE_SIGNAL_DELIVERED` of include/trace/events/signal.h.
const DELIVERED: i32 = 0;
/// `TRACE_SIGNAL_LOSE_INFO`: delivered as well.
const LOSE_INFO: i32 = 4;
/// `PF_EXITING` of include/linux/sched.h.
const EXITING: u32 = 0x4;

#[unsafe(no_mangle)]
static HAS_SYSCALL: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static PT_REGS_SYSCALL: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static PT_REGS_IN_STACK: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TASK_STACK: Global<u32> = Global::new(0);

/// How far up from the sender the main process's parent is looked for: a shim may start its runtime through a wrapper.
const GENERATIONS: usize = 3;

/// `signal_generate(int sig, struct kernel_siginfo *, struct task_struct *, int group, int result)`.
#[btf_tracepoint(function = "signal_generate")]
pub fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    let entries = interest::entries();
    if entries.any() && is_harmful(ctx.arg(0)) && entries.may_concern(ctx.arg(2)) {
        sent(ctx);
    }
    0
}

#[inline(always)]
fn is_harmful(number: u64) -> bool {
    HARMLESS >> (number & 63) & 1 == 0
}

#[inline(never)]
fn sent(ctx: BtfTracePointContext) -> i32 {
    let result = ctx.arg::<u64>(4) as i32;
    if result != DELIVERED && result != LOSE_INFO {
        return 0; // Ignored, or the same one is pending already.
    }
    let key = task::key(ctx.arg(2));
    // SAFETY: the value is copied at once.
    let Some(cgroup_id) = unsafe { MAINS.get(&key) }.copied() else { return 0 };
    let Some(entry) = entry(cgroup_id) else { return 0 };
    if entry.steps.main_ended != 0 {
        return 0; // To a zombie.
    }
    let number = ctx.arg::<u64>(0) as u32;
    let place = place(entry, number);
    place.boot_ns = now();
    origin_of(place, ctx.arg(1));
    sender_of(place, ctx.arg(2));
    if ctx.arg::<u64>(3) as i32 != 0 {
        place.sender_state |= sender::TO_PROCESS;
    }
    place.signal = number;
    0
}

/// Where a signal of that number is kept: in its own place, an empty one or the oldest's.
#[inline(always)]
fn place(entry: &mut CgroupEntry, number: u32) -> &mut SignalSent {
    let (mut chosen, mut oldest) = (0, u64::MAX);
    for at in 0..SIGNALS {
        let kept = &entry.signals[at];
        if kept.signal == number {
            chosen = at;
            break;
        }
        if kept.boot_ns < oldest {
            (chosen, oldest) = (at, kept.boot_ns);
        }
    }
    &mut entry.signals[chosen & (SIGNALS - 1)]
}

#[inline(always)]
fn origin_of(place: &mut SignalSent, info: u64) {
    place.origin = match info {
        0 => origin::NO_INFO,
        1 => origin::KERNEL,
        _ => origin::GIVEN,
    };
    // `si_signo`, `si_errno`, `si_code`: the same on every architecture that we run on.
    let mut head = [0i32; 3];
    if info > 1 {
        // Some kernels do not let a program load from an argument that may be no pointer.
        // SAFETY: reads 12 bytes into a local; a bad address gives an error and zeroes.
        unsafe { bpf_probe_read_kernel(head.as_mut_ptr().cast(), 12, info as Ptr) };
    }
    place.code = head[2];
}

/// The registers of the current task as it came into the kernel.
#[inline(always)]
fn registers(current: Ptr) -> Option<Ptr> {
    // The verifier knows the answers, and does not look at helpers that the kernel lacks.
    if HAS_SYSCALL.load() != 0 {
        // SAFETY: the helper takes a task as the other gives it, and its answer is only read through a helper.
        return Some(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as Ptr);
    }
    if PT_REGS_IN_STACK.load() != 0 {
        let stack: Ptr = task::probe(current, &TASK_STACK);
        // SAFETY: only read through a helper.
        return Some(unsafe { stack.byte_add(PT_REGS_IN_STACK.load() as usize) });
    }
    None
}

/// The current task. Whether it is the sender depends on the origin.
#[inline(always)]
fn sender_of(place: &mut SignalSent, target: Ptr) {
    // bpf_get_current_task_btf, which would allow checked loads, is not in 5.10.
    // SAFETY: the helpers take no argument.
    let (current, cgroup_id) = unsafe { (bpf_get_current_task() as Ptr, bpf_get_current_cgroup_id()) };
    let leader: Ptr = task::probe(current, &TASK_GROUP_LEADER);
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let start_boot_ns = task::probe(leader, &TASK_START_BOOTTIME);
    place.sender_tgid = tgid;
    place.sender_start_boot_ns = start_boot_ns;
    let member_of = membership::cgroup_of(&ProcessKey::new(tgid, start_boot_ns));
    place.sender_cgroup_id = member_of.unwrap_or(cgroup_id);
    place.sender_comm = bpf_get_current_comm().unwrap_or_default();
    let parent = task::probed_parent(leader);
    place.sender_parent_tgid = task::probe(parent, &TASK_TGID);
    place.sender_parent_start_boot_ns = task::probe(parent, &TASK_START_BOOTTIME);
    let mut state = relation(leader, target);
    if member_of.is_some() {
        state |= sender::MEMBER;
    }
    place.syscall = NO_SYSCALL;
    if let Some(registers) = registers(current) {
        place.syscall = task::probe::<u32>(registers, &PT_REGS_SYSCALL) as i32;
        state |= sender::SYSCALL_KNOWN;
    }
    if task::probe::<u32>(current, &TASK_FLAGS) & EXITING != 0 {
        state |= sender::EXITING;
    }
    if task::probed_tgid_in_namespace(leader) == 1 {
        state |= sender::INIT;
    }
    place.sender_state = state;
}

/// What the sender has to do with the main process's parent: a container's is its shim or monitor, which adopts it
/// when the runtime that made it ends. No process inside can choose that.
#[inline(always)]
fn relation(sender: Ptr, target: Ptr) -> u32 {
    let parent = task::probed_parent(task::read(target, &TASK_GROUP_LEADER));
    let (own, of_parent) = (task::probed_namespaces(sender), task::probed_namespaces(parent));
    // Of a process that is about to end there is no mount namespace any more.
    let state = if own == of_parent && own.0 != 0 { sender::BESIDE_PARENT } else { 0 };
    if parent.is_null() {
        return 0;
    }
    if task::probed_tgid_in_namespace(parent) == 1 {
        return state;
    }
    let mut ancestor = sender;
    for _ in 0..=GENERATIONS {
        if ancestor == parent {
            return state | sender::OF_PARENT;
        }
        ancestor = task::probed_parent(ancestor);
    }
    state
}
