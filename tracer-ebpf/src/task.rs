//! Reading kernel structures through offsets that userspace took from the running kernel's BTF.
//!
//! A load through a BTF pointer is a single instruction that the verifier checks and that reads 0
//! where the pointer is bad; `bpf_probe_read_kernel` costs some 90.

use core::arch::asm;

use aya_ebpf::{
    Global,
    cty::c_void,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_task, bpf_probe_read_kernel},
    },
};
use debugtrail_common::{
    cgroup::Usage, fields::placed, kernel_fields, optional_kernel_fields, process::ProcessKey,
};

macro_rules! globals {
    ($($name:ident = $($field:literal)|+;)*) => {
        $(#[unsafe(no_mangle)] pub static $name: Global<u32> = Global::new(0);)*
    };
}
kernel_fields!(globals);

macro_rules! groups {
    ($($has:ident $what:literal { $($name:ident = $($field:literal)|+;)* })*) => {
        $(
            #[unsafe(no_mangle)] pub static $has: Global<u32> = Global::new(0);
            globals! { $($name = $($field)|+;)* }
        )*
    };
}
optional_kernel_fields!(groups);

/// A pointer to a kernel structure, as the verifier tracks it.
pub type Ptr = *const c_void;

/// `SIGNAL_GROUP_EXIT` of include/linux/sched/signal.h.
const SIGNAL_GROUP_EXIT: u32 = 0x4;
/// `sizeof(struct upid)`: an int, padding, a pointer; part of no config.
const UPID_SIZE: u64 = 16;
/// Offset of that pointer, to the pid namespace.
const UPID_NAMESPACE: u64 = 8;

/// Reads the field at the offset of a structure.
#[inline(always)]
pub fn read<T: Copy>(base: Ptr, offset: &Global<u32>) -> T {
    // Volatile, so that LLVM does not fold this load and one of a map's value into a single
    // instruction: the verifier wants one type of pointer at each.
    // SAFETY: the verifier only accepts loads at a field of the pointer's BTF type.
    unsafe { base.byte_add(offset.load() as usize).cast::<T>().read_volatile() }
}

/// The same of a pointer whose offset stands in the instruction itself, where userspace has put it.
macro_rules! read_placed {
    ($base:expr, $field:ident) => {{
        let field: Ptr;
        // SAFETY: as of `read`.
        unsafe {
            asm!(
                "{field} = *(u64 *)({base} + {offset})",
                field = out(reg) field,
                base = in(reg) $base,
                offset = const placed::$field,
                options(readonly, nostack),
            );
        }
        field
    }};
}

/// The same of a structure that the verifier does not know: through a helper. 0 where it can't be read.
#[inline(always)]
pub fn probe<T: Probed>(base: Ptr, offset: &Global<u32>) -> T {
    let mut value = T::ZERO;
    // SAFETY: reads the value's size into a local; a bad address gives an error and zeroes.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            base.byte_add(offset.load() as usize),
        );
    }
    value
}

/// What [`probe`] reads.
pub trait Probed {
    /// What it gives where there is nothing to read.
    const ZERO: Self;
}

impl Probed for u32 {
    const ZERO: Self = 0;
}

impl Probed for u64 {
    const ZERO: Self = 0;
}

impl Probed for Ptr {
    const ZERO: Self = core::ptr::null();
}

/// Whether the task is the first of its thread group (also after an exec from another thread,
/// which takes over the leader's pid).
#[inline(always)]
pub fn is_leader(task: Ptr) -> bool {
    read::<u32>(task, &TASK_PID) == read::<u32>(task, &TASK_TGID)
}

/// Thread group of a task, for the initial pid namespace.
#[inline(always)]
pub fn tgid(task: Ptr) -> u32 {
    read(task, &TASK_TGID)
}

/// Identity of the task's process.
#[inline(always)]
pub fn key(task: Ptr) -> ProcessKey {
    let leader: Ptr = read(task, &TASK_GROUP_LEADER);
    ProcessKey::new(tgid(task), read(leader, &TASK_START_BOOTTIME))
}

/// Identity of the current task's process.
#[inline(always)]
pub fn current_key() -> ProcessKey {
    // bpf_get_current_task_btf, which would allow checked loads, is not in 5.10.
    // SAFETY: the helper takes no argument.
    let leader: Ptr = probe(unsafe { bpf_get_current_task() } as Ptr, &TASK_GROUP_LEADER);
    ProcessKey::new((bpf_get_current_pid_tgid() >> 32) as u32, probe(leader, &TASK_START_BOOTTIME))
}

/// Start of the task itself, nanoseconds of `CLOCK_BOOTTIME`.
#[inline(always)]
pub fn start_boot_ns(task: Ptr) -> u64 {
    read(task, &TASK_START_BOOTTIME)
}

/// The task's set of cgroups: the same for two tasks that are in the same ones.
#[inline(always)]
pub fn css_set(task: Ptr) -> Ptr {
    read_placed!(task, TASK_CGROUPS)
}

/// The task's cgroup in the default hierarchy. A task has one until its last reference is dropped,
/// which is after the last of our hooks.
#[inline(always)]
pub fn cgroup_of(task: Ptr) -> Ptr {
    cgroup_in(css_set(task))
}

/// The cgroup in the default hierarchy of all tasks of a `css_set`.
#[inline(always)]
pub fn cgroup_in(css_set: Ptr) -> Ptr {
    read_placed!(css_set, CSS_SET_DFL_CGRP)
}

/// Id of the task's cgroup in the default hierarchy.
#[inline(always)]
pub fn cgroup_id(task: Ptr) -> u64 {
    id_of(cgroup_of(task))
}

/// Id of a cgroup.
#[inline(always)]
pub fn id_of(cgroup: Ptr) -> u64 {
    let kn: Ptr = read(cgroup, &CGROUP_KN);
    read(kn, &KERNFS_ID)
}

/// Whether a process of the cgroup itself, none below, has not been freed yet: each holds its `css_set` until then, and
/// those of a cgroup are in a list.
#[inline(always)]
pub fn has_unfreed(cgroup: Ptr) -> bool {
    if HAS_CSET_LINKS.load() == 0 {
        return false;
    }
    let first: Ptr = read(cgroup, &CGROUP_CSET_LINKS);
    // SAFETY: only compared.
    first != unsafe { cgroup.byte_add(CGROUP_CSET_LINKS.load() as usize) }
}

/// Whether a cgroup is of the default (v2) hierarchy: v1 hierarchies fire the same tracepoints.
#[inline(always)]
pub fn in_default_hierarchy(cgroup: Ptr) -> bool {
    let root: Ptr = read(cgroup, &CGROUP_ROOT);
    read::<u32>(root, &CGROUP_ROOT_HIERARCHY_ID) == 0
}

/// The task's mount namespace; null when it has given up its namespaces.
#[inline(always)]
pub fn mount_namespace(task: Ptr) -> Ptr {
    let nsproxy: Ptr = read_placed!(task, TASK_NSPROXY);
    read_placed!(nsproxy, NSPROXY_MNT_NS)
}

/// Wait status of the task's whole process, as wait(2) will give it: right at the last exit of the
/// group and after.
#[inline(always)]
pub fn wait_status(task: Ptr) -> i32 {
    if is_group_exit(task) {
        let signal: Ptr = read(task, &TASK_SIGNAL);
        return read(signal, &SIGNAL_GROUP_EXIT_CODE);
    }
    let leader: Ptr = read(task, &TASK_GROUP_LEADER);
    read(leader, &TASK_EXIT_CODE)
}

/// Whether the task has executed a program since its fork (`PF_FORKNOEXEC` of include/linux/sched.h).
#[inline(always)]
pub fn has_execed(task: Ptr) -> bool {
    read::<u32>(task, &TASK_FLAGS) & 0x40 == 0
}

/// Whether the whole process is ending, so that its status is settled.
#[inline(always)]
pub fn is_group_exit(task: Ptr) -> bool {
    let signal: Ptr = read(task, &TASK_SIGNAL);
    read::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0
}

/// What the task's process has used, all of it once the leader is freed (`__exit_signal` in kernel/exit.c
/// adds each thread's when it is released); `None` where the kernel does not show it.
#[inline(always)]
pub fn usage(task: Ptr) -> Option<Usage> {
    if HAS_USAGE.load() == 0 {
        return None;
    }
    let signal: Ptr = read(task, &TASK_SIGNAL);
    Some(Usage {
        processes: 1,
        cpu_ns: read(signal, &SIGNAL_CPU_NS),
        minor_faults: read(signal, &SIGNAL_MIN_FLT),
        major_faults: read(signal, &SIGNAL_MAJ_FLT),
    })
}

/// Largest resident memory of the process, in pages, once its last thread exits; 0 where the kernel does not
/// show it.
#[inline(always)]
pub fn max_rss_pages(task: Ptr) -> u64 {
    if HAS_USAGE.load() == 0 {
        return 0;
    }
    let signal: Ptr = read(task, &TASK_SIGNAL);
    read(signal, &SIGNAL_MAXRSS)
}

/// Threads of the process that are still alive; 0 in the last one's exit. Two threads that race
/// can both read 0.
#[inline(always)]
pub fn live_threads(task: Ptr) -> i32 {
    let signal: Ptr = read(task, &TASK_SIGNAL);
    read(signal, &SIGNAL_LIVE)
}

/// The process's pid in its innermost pid namespace; 0 where it can't be read.
#[inline(always)]
pub fn tgid_in_namespace(task: Ptr) -> u32 {
    let pid: Ptr = read(task, &TASK_THREAD_PID);
    number_in_namespace(pid, read(pid, &PID_LEVEL))
}

/// The same of a task that the verifier does not know.
#[inline(always)]
pub fn probed_tgid_in_namespace(leader: Ptr) -> u32 {
    let pid: Ptr = probe(leader, &TASK_THREAD_PID);
    number_in_namespace(pid, probe(pid, &PID_LEVEL))
}

/// The process that a process was started by, or that has adopted it since: its first thread. Of a task that the verifier
/// does not know.
#[inline(always)]
pub fn probed_parent(leader: Ptr) -> Ptr {
    // Any thread of it may have forked.
    let thread: Ptr = probe(leader, &TASK_REAL_PARENT);
    probe(thread, &TASK_GROUP_LEADER)
}

/// Addresses of the mount namespace and of the innermost pid namespace of a task that the verifier does not know.
#[inline(always)]
pub fn probed_namespaces(leader: Ptr) -> (u64, u64) {
    let nsproxy: Ptr = probe(leader, &TASK_NSPROXY);
    let pid: Ptr = probe(leader, &TASK_THREAD_PID);
    let level: u32 = probe(pid, &PID_LEVEL);
    // SAFETY: only read through a helper.
    let upid = unsafe { pid.byte_add((u64::from(level) * UPID_SIZE + UPID_NAMESPACE) as usize) };
    (probe(nsproxy, &NSPROXY_MNT_NS), probe(upid, &PID_NUMBERS))
}

#[inline(always)]
fn number_in_namespace(pid: Ptr, level: u32) -> u32 {
    let mut nr = 0u32;
    // The level is only known at run time, which a checked load does not allow.
    // SAFETY: reads 4 bytes into a local; a bad address gives an error.
    let result = unsafe {
        let upid =
            pid.byte_add(PID_NUMBERS.load() as usize).byte_add((u64::from(level) * UPID_SIZE) as usize);
        bpf_probe_read_kernel((&raw mut nr).cast(), 4, upid)
    };
    if result == 0 { nr } else { 0 }
}

/// Copies the task's name.
#[inline(always)]
pub fn read_comm<const N: usize>(task: Ptr, comm: &mut [u8; N]) {
    // SAFETY: `comm` holds N bytes; a bad address gives an error and zeroes.
    unsafe {
        bpf_probe_read_kernel(comm.as_mut_ptr().cast(), N as u32, task.byte_add(TASK_COMM.load() as usize));
    }
}
