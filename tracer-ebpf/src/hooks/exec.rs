//! A program is executed: the first one from outside is the main process, all others are the session's
//! commands.

use aya_ebpf::{
    Global,
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use debugtrail_common::{
    cgroup::{CgroupEntry, Main},
    event::{ARGS_LEN, EventKind, Executed},
    exe::{EXE_LEN, EXE_PATH_LEN},
    loss::Loss,
    process::{ProcessKey, role},
};

use crate::{
    clock::now,
    exe::{self, Walk},
    interest,
    maps::{Collected, EVENTS, EXECUTED, MAINS, entry, lost, wake},
    membership, namespaces, reader,
    task::{self, BINPRM_FILE, HAS_ARGS, HAS_EXE, MM_ARG_END, MM_ARG_START, Ptr, TASK_MM, TASK_REAL_PARENT},
};

/// Whether userspace asked for arguments.
#[unsafe(no_mangle)]
static WITH_ARGS: Global<u32> = Global::new(0);

/// `sched_process_exec(struct task_struct *, pid_t old_pid, struct linux_binprm *)`. The task is the
/// leader by now, whichever thread called execve.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let entries = interest::entries();
    if entries.any() && entries.may_concern_by_namespace(ctx.arg(0)) {
        execed(&ctx, ctx.arg(0), ctx.arg(2));
    }
    0
}

#[inline(never)]
fn execed(ctx: &BtfTracePointContext, task: Ptr, binprm: Ptr) -> i32 {
    let key = task::key(task);
    let Some(cgroup_id) = membership::of_executing(task, &key) else { return 0 };
    let Some(entry) = entry(cgroup_id) else { return 0 };
    let Some(collected) = EXECUTED.get_ptr_mut(0) else { return 0 };
    // SAFETY: this CPU's own, and the kernel lets no program run inside itself.
    let Collected { walk, event } = unsafe { &mut *collected };
    // In a cgroup found running the main process had its exec before us: any exec seen in it is another
    // process's.
    if !entry.steps.has_main() {
        if !membership::is_main(task, cgroup_id) {
            return 0; // The runtime's own.
        }
        if MAINS.insert(&key, cgroup_id, 0).is_err() {
            lost(Loss::Main);
            debug!(ctx, "no room for the main process {} of cgroup {}", key.tgid, cgroup_id);
            return 0;
        }
        collect(event, walk, task, binprm);
        membership::becomes_main(&key, entry);
        started(entry, &key, task, event, cgroup_id);
        wake(EventKind::MainStarted, cgroup_id);
        debug!(ctx, "process {} is the main process of cgroup {}", key.tgid, cgroup_id);
    } else {
        collect(event, walk, task, binprm);
    }
    if let Some(member) = membership::of(&key) {
        // A thread that executes a program is its process's leader.
        member.leader_exits = 0;
        membership::executes_in(member, entry, namespaces::id(task));
        if member.role & role::RUNTIME != 0 {
            return 0;
        }
    }
    report(event, &key, cgroup_id);
    0
}

#[inline(always)]
fn started(entry: &mut CgroupEntry, key: &ProcessKey, task: Ptr, event: &Executed, cgroup_id: u64) {
    let parent: Ptr = task::read(task, &TASK_REAL_PARENT);
    let main: &mut Main = &mut entry.main;
    main.tgid = key.tgid;
    main.start_boot_ns = key.start_boot_ns;
    main.tgid_in_container = task::tgid_in_namespace(task);
    main.parent_tgid = task::tgid(parent);
    main.mount_namespace = namespaces::note(task, cgroup_id);
    task::read_comm(task, &mut main.comm);
    main.exec_boot_ns = event.exec_boot_ns;
    main.exe.len = event.exe_len;
    main.exe.ending = event.exe_ending;
    // SAFETY: both hold EXE_LEN bytes.
    unsafe {
        bpf_probe_read_kernel(main.exe.names.as_mut_ptr().cast(), EXE_LEN as u32, event.data.as_ptr().cast());
    }
    entry.steps.main_started = 1;
}

/// Puts together what is executed.
#[inline(always)]
fn collect(event: &mut Executed, walk: &mut Walk, task: Ptr, binprm: Ptr) {
    event.exec_boot_ns = now();
    (event.exe_len, event.exe_ending) = (0, 0);
    if HAS_EXE.load() != 0 {
        let file: Ptr = task::probe(binprm, &BINPRM_FILE);
        (event.exe_len, event.exe_ending) = exe::names(task, file, walk, &mut event.data);
    }
    (event.args_len, event.args_full_len) = (0, 0);
    if WITH_ARGS.load() != 0 && HAS_ARGS.load() != 0 {
        arguments(event, task);
    }
}

/// The kernel has just written them into the new program's memory, so that they are there.
#[inline(always)]
fn arguments(event: &mut Executed, task: Ptr) {
    let mm: Ptr = task::read(task, &TASK_MM);
    let from: u64 = task::read(mm, &MM_ARG_START);
    let to: u64 = task::read(mm, &MM_ARG_END);
    let full = to.saturating_sub(from);
    event.args_full_len = full as u32;
    let len = if full < ARGS_LEN as u64 { full as usize } else { ARGS_LEN - 1 };
    let at = event.exe_len as usize & (EXE_LEN - 1);
    // SAFETY: behind at most EXE_LEN - 1 bytes of names there are ARGS_LEN left, and `len` is below; a bad address
    // gives an error.
    let read = unsafe {
        bpf_probe_read_user(
            event.data.as_mut_ptr().add(at).cast(),
            len as u32 & (ARGS_LEN as u32 - 1),
            from as Ptr,
        )
    };
    event.args_len = if read == 0 { len as u32 } else { 0 };
}

#[inline(always)]
fn report(event: &mut Executed, key: &ProcessKey, cgroup_id: u64) {
    let Some(addressee) = reader::addressee(cgroup_id) else { return };
    event.kind = EventKind::Executed as u32;
    event.tgid = key.tgid;
    event.cgroup_id = addressee;
    event.start_boot_ns = key.start_boot_ns;
    let data = (event.exe_len as usize & (EXE_LEN - 1)) + (event.args_len as usize & (ARGS_LEN - 1));
    // SAFETY: `data` is at most the event's own array.
    let bytes =
        unsafe { core::slice::from_raw_parts((&raw const *event).cast::<u8>(), Executed::HEAD_LEN + data) };
    if EVENTS.output::<[u8]>(bytes, reader::wakeup()).is_err() {
        lost(Loss::Exec);
    }
}

const _: () =
    assert!(EXE_PATH_LEN.is_power_of_two() && EXE_LEN.is_power_of_two() && ARGS_LEN.is_power_of_two());
