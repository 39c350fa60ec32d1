//! The OOM killer chooses a process.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{clock::now, interest, maps::OOM_VICTIMS, task};

#[unsafe(no_mangle)]
static OOM_HAS_TASK: Global<u32> = Global::new(0);

/// `mark_victim(struct task_struct *, uid_t)`; older kernels give the pid alone.
#[btf_tracepoint(function = "mark_victim")]
pub fn mark_victim(ctx: BtfTracePointContext) -> i32 {
    if !interest::entries().any() {
        return 0;
    }
    let tgid = if OOM_HAS_TASK.load() != 0 { task::tgid(ctx.arg(0)) } else { ctx.arg::<u64>(0) as u32 };
    // An LRU map makes room by itself.
    let _ = OOM_VICTIMS.insert(&tgid, now(), 0);
    0
}
