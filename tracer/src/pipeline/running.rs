//! Containers that were there before the programs.

use std::fs;

use crate::cgroup::{Cgroup, Hierarchy, Place};
use crate::ids::Pid;
use crate::kernel::{Running, RunningMain};
use crate::runtime::{Bundles, ContainerKind};

/// Every cgroup of a container that is not a pause container.
pub(super) fn containers(hierarchy: &Hierarchy, bundles: &mut Bundles) -> Vec<Running> {
    let cgroups = hierarchy.walk().unwrap_or_else(|error| {
        tracing::warn!("can't list {}: {error}; what already runs is not seen", hierarchy.mount().display());
        Vec::new()
    });
    cgroups.into_iter().filter_map(|cgroup| running(cgroup, bundles)).collect()
}

fn running(cgroup: Cgroup, bundles: &mut Bundles) -> Option<Running> {
    let Place::Container { container_id, .. } = Place::of(&cgroup.path) else { return None };
    let runtime = bundles.lookup(&container_id);
    if runtime.as_ref().is_some_and(|facts| facts.meta.kind == ContainerKind::Sandbox) {
        return None;
    }
    let main = match runtime.map(|facts| facts.init_pid) {
        Some(Some(init)) if is_the_runtimes_own(init) => RunningMain::ToCome,
        Some(Some(init)) => RunningMain::Is(init),
        // A bundle without a pid: the container is being made.
        Some(None) => RunningMain::ToCome,
        None => RunningMain::Unknown,
    };
    Some(Running { cgroup: cgroup.id, path: cgroup.path, main })
}

/// Those whose main process was to come, and has come since.
pub(super) fn begun(running: &[Running], bundles: &mut Bundles) -> Vec<Running> {
    let to_come = running.iter().filter(|cgroup| cgroup.main == RunningMain::ToCome);
    to_come
        .filter_map(|cgroup| {
            let Place::Container { container_id, .. } = Place::of(&cgroup.path) else { return None };
            let init = bundles.lookup(&container_id)?.init_pid?;
            (!is_the_runtimes_own(init)).then(|| Running { main: RunningMain::Is(init), ..cgroup.clone() })
        })
        .collect()
}

/// Whether the runtime's init process still runs the runtime and has yet to exec the container's program.
fn is_the_runtimes_own(init: Pid) -> bool {
    let exe = fs::read_link(format!("/proc/{init}/exe")).unwrap_or_default();
    let exe = exe.to_string_lossy();
    // runc re-executes itself from a sealed copy in memory: "/memfd:runc_cloned:/proc/self/exe (deleted)".
    ["runc", "crun"]
        .iter()
        .any(|runtime| exe.ends_with(&format!("/{runtime}")) || exe.starts_with(&format!("/memfd:{runtime}")))
}
