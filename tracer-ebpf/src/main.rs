//! What the kernel says of cgroups and of the processes in them.
//!
//! Nothing here knows of Kubernetes. A new cgroup becomes a candidate; the first exec in it from
//! outside, into another mount namespace, is its main process; the end of that process is written
//! into the cgroup's map entry. Userspace decides which cgroups are sessions and forgets the rest.
//! While no cgroup is of interest every hook is one test long; else a hook that is about any other
//! process is two.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod clock;
mod exe;
mod hooks;
mod interest;
mod lineage;
mod maps;
mod membership;
mod namespaces;
mod reader;
mod task;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Helpers such as `bpf_probe_read_kernel` and the ring buffer are for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
