//! The path of a main process's executable, as the process sees it.

use std::fs;

use crate::kernel::{Kernel, Observation};
use crate::pid_namespace;

/// Reads `/proc/PID/exe` of a main process that is alive, where the kernel side does not know it: of one found running.
/// `None` where it has ended: the pid may be another's.
pub(super) fn of(kernel: &Kernel, seen: &Observation) -> Option<String> {
    let main = seen.main.as_ref().filter(|main| main.exe.is_none() && seen.end.is_none())?;
    if !pid_namespace::is_initial() {
        return None;
    }
    let exe = fs::read_link(format!("/proc/{}/exe", main.pid)).ok()?;
    // Not ended after the reading either: then the pid was its own all the time.
    let after = kernel.observation(seen.cgroup).ok()??;
    after.end.is_none().then(|| exe.to_string_lossy().into_owned())
}
