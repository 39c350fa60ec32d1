//! Which pods were made for debugging as a whole. Pure.
//!
//! `kubectl debug node/N` and `kubectl debug POD --copy-to` make ordinary pods with ordinary containers; what tells
//! them is a label at best.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use serde::{Deserialize, Serialize};

use crate::record::{KindBy, SessionKind};

/// Set by kubectl 1.35 and later on node-debug pods.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubectl-debug");

/// Opt-in label: with it a copy is declared. Its value is free.
const DECLARED: &str = "debugtrail.dev/session";

/// How kubectl names the debug container it adds to a copy.
const DEBUGGER: &str = "debugger-";

/// A pod made for debugging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugPod {
    /// `node_debug` or `copy`.
    pub kind: SessionKind,
    /// Whether a label declares it or a heuristic infers it.
    pub by: KindBy,
}

/// Says whether `pod` was made for debugging.
#[must_use]
pub fn debug_pod(pod: &Pod) -> Option<DebugPod> {
    let spec = pod.spec.as_ref()?;
    let node_debug = |by| Some(DebugPod { kind: SessionKind::NodeDebug, by });
    if label(pod, MANAGED_BY.0) == Some(MANAGED_BY.1) {
        return node_debug(KindBy::Declared);
    }
    if is_node_debugger(pod, spec) {
        return node_debug(KindBy::Inferred);
    }
    copy(pod, spec).map(|by| DebugPod { kind: SessionKind::Copy, by })
}

/// Whether `container_name` of a debug pod is a session: in a copy only the container that kubectl added (all, where
/// a label declares the pod and none has kubectl's name), in a node-debug pod every one.
#[must_use]
pub fn is_session(debug: DebugPod, container_name: &str, siblings: &[&str]) -> bool {
    match debug.kind {
        SessionKind::Copy => {
            container_name.starts_with(DEBUGGER) || !siblings.iter().any(|name| name.starts_with(DEBUGGER))
        }
        SessionKind::NodeDebug | SessionKind::Ephemeral | SessionKind::Container => true,
    }
}

/// `node-debugger-NODE-xxxxx` with hostPID and the host's root as a volume.
fn is_node_debugger(pod: &Pod, spec: &PodSpec) -> bool {
    let named =
        pod.metadata.name.as_deref().is_some_and(|name| node_debugger_name(name, spec.node_name.as_deref()));
    named && spec.host_pid == Some(true) && mounts_host_root(spec)
}

fn node_debugger_name(name: &str, node: Option<&str>) -> bool {
    let rest = name.strip_prefix("node-debugger-").zip(node).and_then(|(rest, node)| rest.strip_prefix(node));
    let suffix = rest.and_then(|rest| rest.strip_prefix('-'));
    suffix.is_some_and(|suffix| suffix.len() == 5 && suffix.chars().all(|c| c.is_ascii_alphanumeric()))
}

fn mounts_host_root(spec: &PodSpec) -> bool {
    let volumes = spec.volumes.iter().flatten();
    volumes.filter_map(|volume| volume.host_path.as_ref()).any(|host| host.path == "/")
}

/// A copy is ownerless, was created by kubectl, and has a `debugger-*` container; or a label declares it.
fn copy(pod: &Pod, spec: &PodSpec) -> Option<KindBy> {
    if label(pod, DECLARED).is_some() {
        return Some(KindBy::Declared);
    }
    let ownerless = pod.metadata.owner_references.as_ref().is_none_or(Vec::is_empty);
    let debugger = spec.containers.iter().any(|container| container.name.starts_with(DEBUGGER));
    (ownerless && debugger && made_by_kubectl(pod)).then_some(KindBy::Inferred)
}

/// Field managers are client names: `kubectl`, `kubectl-debug`, `kubectl-create`, ...
fn made_by_kubectl(pod: &Pod) -> bool {
    let managers = pod.metadata.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    managers.into_iter().any(|manager| manager == "kubectl" || manager.starts_with("kubectl-"))
}

fn label<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests;
