//! Containers that were there before the programs.

use std::collections::BTreeMap;
use std::fs;

use procfs::process::Process;

use crate::cgroup::{Cgroup, Hierarchy, Own, Place};
use crate::ids::{ContainerId, Pid};
use crate::kernel::{Running, RunningMain};
use crate::runtime::{ContainerKind, Lookups, RuntimeFacts};

/// What the runtime says of containers.
pub(super) type Known = BTreeMap<ContainerId, RuntimeFacts>;

/// The own cgroup of every container that is not a pause container, and what the runtime says of them.
pub(super) fn containers(hierarchy: &Hierarchy, lookups: &mut Lookups) -> (Vec<Running>, Known) {
    let cgroups = hierarchy.walk().unwrap_or_else(|error| {
        tracing::warn!("can't list {}: {error}; what already runs is not seen", hierarchy.mount().display());
        Vec::new()
    });
    let places: Vec<(Cgroup, Place)> = cgroups
        .into_iter()
        .map(|cgroup| {
            let place = Place::of(&cgroup.path);
            (cgroup, place)
        })
        .collect();
    // Who is below belongs to it, and there may be thousands.
    let places: Vec<_> = places.into_iter().filter(|(_, place)| !place.is_inner()).collect();
    let known = lookups.ask_all(places.iter().filter_map(|(_, place)| place.container_id()));
    let running = places.into_iter().filter_map(|(cgroup, place)| running(cgroup, &place, hierarchy, &known));
    (running.collect(), known)
}

fn running(cgroup: Cgroup, place: &Place, hierarchy: &Hierarchy, known: &Known) -> Option<Running> {
    let runtime = known.get(place.container_id()?);
    if runtime.is_some_and(|facts| facts.meta.kind == ContainerKind::Sandbox) {
        return None;
    }
    let populated = hierarchy.is_populated(&cgroup.path);
    let main = match runtime.map(|facts| (facts, facts.init_pid)) {
        Some((facts, Some(init))) if is_to_start(facts, init) => RunningMain::ToCome,
        // Of another cgroup with the same id in its name.
        Some((_, Some(init))) if !is_in(init, &cgroup.path) => return None,
        Some((_, Some(init))) => RunningMain::Is(init),
        // It runs, and none of its pids is the kernel's: the container of a node that is itself a container.
        Some((facts, None)) if facts.other_pids && populated => RunningMain::Unknown,
        // A bundle without a pid: the container is being made.
        Some((_, None)) => RunningMain::ToCome,
        None if populated => RunningMain::Unknown,
        // Nothing is in it, and nothing says that anything was.
        None => RunningMain::ToCome,
    };
    let entered = populated || runtime.is_some();
    Some(Running { cgroup: cgroup.id, path: cgroup.path, main, entered })
}

/// Those whose main process was to come, and has come since.
pub(super) fn begun(running: &[Running], lookups: &mut Lookups) -> Vec<Running> {
    let to_come: Vec<(&Running, ContainerId)> = running
        .iter()
        .filter(|cgroup| cgroup.main == RunningMain::ToCome)
        .filter_map(|cgroup| Some((cgroup, Place::of(&cgroup.path).container_id()?.clone())))
        .collect();
    let known = lookups.ask_all(to_come.iter().map(|(_, id)| id));
    let begun = to_come.iter().filter_map(|(cgroup, id)| {
        let facts = known.get(id)?;
        let init = facts.init_pid.filter(|init| !is_to_start(facts, *init))?;
        let main = RunningMain::Is(init);
        is_in(init, &cgroup.path).then(|| Running { main, entered: true, ..(*cgroup).clone() })
    });
    begun.collect()
}

/// Whether the runtime's init process still runs the runtime, and has yet to exec the container's program. A program may
/// have the runtime's name as well: so the runtime's own files must say that `start` is still to come.
fn is_to_start(facts: &RuntimeFacts, init: Pid) -> bool {
    let exe = fs::read_link(format!("/proc/{init}/exe")).unwrap_or_default();
    let exe = exe.to_string_lossy();
    // runc re-executes itself from a sealed copy in memory: "/memfd:runc_cloned:/proc/self/exe (deleted)".
    let called = ["runc", "crun"].iter().any(|runtime| {
        exe.ends_with(&format!("/{runtime}")) || exe.starts_with(&format!("/memfd:{runtime}"))
    });
    facts.to_start && called
}

/// Whether a process is in the container's cgroup at `path`. True also where it can't be known, as it has
/// gone elsewhere or ended.
fn is_in(init: Pid, path: &str) -> bool {
    let cgroups = i32::try_from(init.0).ok().and_then(|pid| Process::new(pid).ok()?.cgroups().ok());
    let at = cgroups.and_then(|all| all.into_iter().find(|cgroup| cgroup.hierarchy == 0));
    let Some(at) = at else { return true };
    // Below its own there may be others; elsewhere may be a place that has the same id.
    match (Own::of(&at.pathname), Own::of(path)) {
        (Some(its), Some(own))
            if Place::of(&at.pathname).container_id() == Place::of(path).container_id() =>
        {
            its.cgroup == own.cgroup || own.cgroup.ends_with(its.cgroup)
        }
        _ => true,
    }
}
