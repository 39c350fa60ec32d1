//! An empty program on each tracepoint that debugtrail has a hook on: what its hooks are measured against.
//!
//! The kernel's own counting of run time is most of what an empty program costs. This object is never shipped; only
//! `cargo xtask bench` loads it.
#![no_std]
#![no_main]

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

macro_rules! empty {
    ($($tracepoint:ident $name:literal)*) => {
        $(
            #[btf_tracepoint(function = $name)]
            pub fn $tracepoint(_: BtfTracePointContext) -> i32 {
                0
            }
        )*
    };
}

empty! {
    sched_process_fork "sched_process_fork"
    sched_process_exec "sched_process_exec"
    sched_process_exit "sched_process_exit"
    sched_process_free "sched_process_free"
    signal_generate "signal_generate"
    cgroup_mkdir "cgroup_mkdir"
    cgroup_rmdir "cgroup_rmdir"
    cgroup_attach_task "cgroup_attach_task"
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// As the product's object has it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
