//! The programs of the kernel side, by their names.

/// Program -> tracepoint. Ends are attached first and beginnings last, so that nothing that is
/// seen to begin can end unseen.
pub(super) const HOOKS: [&str; 9] = [
    "sched_process_free",
    "sched_process_exit",
    "mark_victim",
    "signal_generate",
    "sched_process_exec",
    "sched_process_fork",
    "cgroup_attach_task",
    "cgroup_rmdir",
    "cgroup_mkdir",
];

/// The program that goes over all tasks once.
pub(super) const SCAN: &str = "scan_tasks";

/// The program that changes for userspace what is of interest; attached nowhere.
pub(super) const ACCOUNT: &str = debugtrail_common::interest::ACCOUNT;

/// Names of all programs.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HOOKS.into_iter().chain([SCAN, ACCOUNT])
}
