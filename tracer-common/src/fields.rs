//! The kernel fields that the programs read. Their offsets differ from kernel to kernel; userspace
//! resolves them from the running kernel's BTF and sets them as globals before loading (rustc
//! emits no CO-RE relocations).

/// Calls `$with!` with every field: the global's name, then the structure and the member, or
/// several of them where kernels disagree on the name. Of one structure inside another, the offsets are added.
#[macro_export]
macro_rules! kernel_fields {
    ($with:ident) => {
        $with! {
            TASK_PID = "task_struct.pid";
            TASK_TGID = "task_struct.tgid";
            TASK_START_BOOTTIME = "task_struct.start_boottime";
            TASK_GROUP_LEADER = "task_struct.group_leader";
            TASK_REAL_PARENT = "task_struct.real_parent";
            TASK_SIGNAL = "task_struct.signal";
            TASK_EXIT_CODE = "task_struct.exit_code";
            TASK_CGROUPS = "task_struct.cgroups";
            TASK_NSPROXY = "task_struct.nsproxy";
            TASK_THREAD_PID = "task_struct.thread_pid";
            TASK_COMM = "task_struct.comm";
            TASK_FLAGS = "task_struct.flags";
            SIGNAL_FLAGS = "signal_struct.flags";
            SIGNAL_GROUP_EXIT_CODE = "signal_struct.group_exit_code";
            SIGNAL_LIVE = "signal_struct.live";
            CSS_SET_DFL_CGRP = "css_set.dfl_cgrp";
            CGROUP_KN = "cgroup.kn";
            CGROUP_ROOT = "cgroup.root";
            CGROUP_LEVEL = "cgroup.level";
            // An array by level, of pointers since 6.1 and of ids before.
            CGROUP_ANCESTORS = "cgroup.ancestors" | "cgroup.ancestor_ids";
            CGROUP_ROOT_HIERARCHY_ID = "cgroup_root.hierarchy_id";
            KERNFS_ID = "kernfs_node.id";
            NSPROXY_MNT_NS = "nsproxy.mnt_ns";
            PID_LEVEL = "pid.level";
            PID_NUMBERS = "pid.numbers";
        }
    };
}

/// The same for fields that a kernel may lack. They stand in groups, each behind a global that is 1 where all
/// of the group are there: a missing field costs one fact. `$with!` gets each group's global, the fact that
/// it gives, and its fields.
#[macro_export]
macro_rules! optional_kernel_fields {
    ($with:ident) => {
        $with! {
            HAS_EXE "the path of executables" {
                BINPRM_FILE = "linux_binprm.file";
                FILE_PATH = "file.f_path";
                TASK_FS = "task_struct.fs";
                FS_ROOT = "fs_struct.root";
                PATH_MNT = "path.mnt";
                PATH_DENTRY = "path.dentry";
                VFSMOUNT_ROOT = "vfsmount.mnt_root";
                MOUNT_VFSMOUNT = "mount.mnt";
                MOUNT_PARENT = "mount.mnt_parent";
                MOUNT_POINT = "mount.mnt_mountpoint";
                DENTRY_PARENT = "dentry.d_parent";
                DENTRY_NAME = "dentry.d_name+qstr.name" | "dentry.__d_name+qstr.name";
            }
            HAS_ARGS "arguments" {
                TASK_MM = "task_struct.mm";
                MM_ARG_START = "mm_struct.arg_start";
                MM_ARG_END = "mm_struct.arg_end";
            }
            HAS_NAMESPACE_ID "entries and departures by mount namespace" {
                // Its own count until 6.17, then one of all namespaces. Numbers (`inum`) are given again at once.
                MNT_NS_ID = "mnt_namespace.ns+ns_common.ns_id" | "mnt_namespace.seq";
            }
            HAS_CSET_LINKS "cgroups of which a parallel load hid all else (Linux 7.3)" {
                CGROUP_CSET_LINKS = "cgroup.cset_links";
            }
            HAS_USAGE "what processes used" {
                SIGNAL_CPU_NS = "signal_struct.sum_sched_runtime";
                SIGNAL_MIN_FLT = "signal_struct.min_flt";
                SIGNAL_MAJ_FLT = "signal_struct.maj_flt";
                SIGNAL_MAXRSS = "signal_struct.maxrss";
            }
        }
    };
}

/// Fields that every process of the machine pays for. Their offsets are no globals, which cost a load from memory and
/// three instructions each: they stand in the instructions, as a marker that userspace replaces before loading.
pub mod placed {
    /// The lowest marker. Nothing else in the programs has so large an offset.
    pub const FIRST: i16 = 0x7f00;
    /// Of the global of the same name.
    pub const TASK_CGROUPS: i16 = FIRST;
    /// As above.
    pub const CSS_SET_DFL_CGRP: i16 = FIRST + 8;
    /// As above.
    pub const TASK_NSPROXY: i16 = FIRST + 16;
    /// As above.
    pub const NSPROXY_MNT_NS: i16 = FIRST + 24;
    /// Global whose value takes a marker's place.
    pub const FIELDS: [(&str, i16); 4] = [
        ("TASK_CGROUPS", TASK_CGROUPS),
        ("CSS_SET_DFL_CGRP", CSS_SET_DFL_CGRP),
        ("TASK_NSPROXY", TASK_NSPROXY),
        ("NSPROXY_MNT_NS", NSPROXY_MNT_NS),
    ];
}

/// Global that userspace sets where arguments are asked for.
pub const WITH_ARGS: &str = "WITH_ARGS";

/// Global that is set where `sched_process_exit` has a second argument, `group_dead` (since 6.16).
pub const EXIT_HAS_GROUP_DEAD: &str = "EXIT_HAS_GROUP_DEAD";

/// Global that is set where `mark_victim` passes the task and not its pid (newer kernels).
pub const OOM_HAS_TASK: &str = "OOM_HAS_TASK";

/// Global that is set where a task's system call can be read, by [`TASK_PT_REGS`].
pub const HAS_SYSCALL: &str = "HAS_SYSCALL";

/// Global with the offset of the system call's number.
pub const PT_REGS_SYSCALL: &str = "PT_REGS_SYSCALL";

/// The names that it goes by: on x86, on Arm.
pub const SYSCALL_NUMBER: [&str; 2] = ["pt_regs.orig_ax", "pt_regs.syscallno"];

/// Global with the distance of a task's registers from the beginning of its stack, for kernels without
/// [`TASK_PT_REGS`]; 0 where that is not known.
pub const PT_REGS_IN_STACK: &str = "PT_REGS_IN_STACK";

/// Global with the offset of a task's stack.
pub const TASK_STACK: &str = "TASK_STACK";

/// Global that is set where [`CGROUP_ANCESTORS`] holds ids (before 6.1) and not pointers.
///
/// [`CGROUP_ANCESTORS`]: kernel_fields
pub const ANCESTORS_ARE_IDS: &str = "ANCESTORS_ARE_IDS";

/// The helper that finds a task's registers, a function of the kernel (since 5.15).
pub const TASK_PT_REGS: &str = "bpf_task_pt_regs";
