//! The first exec from outside is the main process.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_kernel_str, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use debugtrail_common::{
    cgroup::{CgroupEntry, FILENAME_LEN, Main},
    event::EventKind,
    loss::Loss,
    process::ProcessKey,
};

use crate::{
    clock::now,
    interest,
    maps::{MAINS, entry, lost, wake},
    membership,
    task::{self, BINPRM_FILENAME, Ptr, TASK_REAL_PARENT},
};

/// `sched_process_exec(struct task_struct *, pid_t old_pid, struct linux_binprm *)`. The task is the
/// leader by now, whichever thread called execve.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let entries = interest::entries();
    if entries.any() && entries.may_concern(ctx.arg(0)) {
        execed(&ctx, ctx.arg(0), ctx.arg(2));
    }
    0
}

#[inline(never)]
fn execed(ctx: &BtfTracePointContext, task: Ptr, binprm: Ptr) -> i32 {
    let key = task::key(task);
    let Some(cgroup_id) = membership::of_task(task, &key) else { return 0 };
    let Some(entry) = entry(cgroup_id) else { return 0 };
    // In a cgroup found running the main process had its exec before us: any exec seen in it
    // is somebody else's.
    if entry.steps.main_started | entry.steps.main_scanned != 0 || !is_main(task, cgroup_id) {
        return 0;
    }
    if MAINS.insert(&key, cgroup_id, 0).is_err() {
        lost(Loss::Main);
        debug!(ctx, "no room for the main process {} of cgroup {}", key.tgid, cgroup_id);
        return 0;
    }
    started(entry, &key, task, binprm);
    wake(EventKind::MainStarted, cgroup_id);
    debug!(ctx, "process {} is the main process of cgroup {}", key.tgid, cgroup_id);
    0
}

/// The runtime's child execs the main process from outside the cgroup into a mount namespace of its
/// own. A runtime's helper is still on the host's namespace, an OCI hook has its parent inside.
#[inline(always)]
fn is_main(task: Ptr, cgroup_id: u64) -> bool {
    let parent: Ptr = task::read(task, &TASK_REAL_PARENT);
    !membership::is_inside(parent, cgroup_id) && task::mount_namespace(task) != task::mount_namespace(parent)
}

#[inline(always)]
fn started(entry: &mut CgroupEntry, key: &ProcessKey, task: Ptr, binprm: Ptr) {
    let parent: Ptr = task::read(task, &TASK_REAL_PARENT);
    let main: &mut Main = &mut entry.main;
    main.tgid = key.tgid;
    main.start_boot_ns = key.start_boot_ns;
    main.tgid_in_container = task::tgid_in_namespace(task);
    main.parent_tgid = task::tgid(parent);
    task::read_comm(task, &mut main.comm);
    main.exec_boot_ns = now();
    // SAFETY: reads at most FILENAME_LEN bytes into an array of that size.
    unsafe {
        bpf_probe_read_kernel_str(
            main.filename.as_mut_ptr().cast(),
            FILENAME_LEN as u32,
            task::read::<Ptr>(binprm, &BINPRM_FILENAME),
        );
    }
    entry.steps.main_started = 1;
}
