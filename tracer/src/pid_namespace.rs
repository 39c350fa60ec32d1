//! Whether pids are the kernel's: its programs see those of the initial pid namespace, and a node that is
//! itself a container (kind, k3d) has others.

use std::fs;
use std::path::Path;

/// Inode of the initial pid namespace: `PROC_PID_INIT_INO` of include/linux/proc_ns.h.
const INITIAL: &str = "pid:[4026531836]";

/// Whether a process, by its folder in a `/proc`, is in the initial pid namespace.
pub(crate) fn is_initial_of(process: &Path) -> bool {
    fs::read_link(process.join("ns/pid")).is_ok_and(|link| link.as_os_str() == INITIAL)
}

/// Whether this process is: else the kernel's pids are other processes' in its `/proc`, or no process's.
pub(crate) fn is_initial() -> bool {
    is_initial_of(Path::new("/proc/self"))
}
