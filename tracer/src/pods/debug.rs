//! Which pods were made for debugging as a whole. Pure.
//!
//! `kubectl debug node/N` and `kubectl debug POD --copy-to` make ordinary pods with ordinary containers; a
//! label marks them at best.

use serde::{Deserialize, Serialize};

use super::object::Fields;
use crate::record::{KindBy, SessionKind};

/// Set by kubectl 1.34 and later on node-debug pods (k8s.io/kubectl, pkg/cmd/debug/debug.go).
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const KUBECTL_DEBUG: &str = "kubectl-debug";

/// The annotation that `oc debug` sets: resource and name of what it debugs, such as `/v1, Resource=nodes/NODE`
/// (openshift/oc, pkg/cli/debug/debug.go).
pub(super) const OC_SOURCE: &str = "debug.openshift.io/source-resource";

/// Opt-in label: with it a copy is declared. Its value is free.
pub(super) const DECLARED: &str = "debugtrail.dev/session";

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
pub(super) fn debug_pod(pod: &Fields<'_>) -> Option<DebugPod> {
    let (meta, spec) = (pod.object("metadata"), pod.object("spec"));
    let node_debug = |by| Some(DebugPod { kind: SessionKind::NodeDebug, by });
    let labels = meta.object("labels");
    let by_kubectl = labels.text(MANAGED_BY) == Some(KUBECTL_DEBUG);
    if by_kubectl || meta.object("annotations").text(OC_SOURCE).is_some_and(is_of_a_node) {
        return node_debug(KindBy::Declared);
    }
    if is_node_debugger(&meta, &spec) {
        return node_debug(KindBy::Inferred);
    }
    let declared = labels.text(DECLARED).map(|_| KindBy::Declared);
    let by = declared.or_else(|| is_copy(&meta, &spec).then_some(KindBy::Inferred))?;
    Some(DebugPod { kind: SessionKind::Copy, by })
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

/// `oc` writes a resource with its group and version, and older ones without.
fn is_of_a_node(source: &str) -> bool {
    let resource = source.rsplit_once('=').map_or(source, |(_, resource)| resource);
    resource.starts_with("nodes/")
}

/// What all profiles of `kubectl debug node/NODE` before 1.34 have in common: an ownerless pod `node-debugger-NODE-xxxxx`
/// that is bound to that node, is never restarted and tolerates everything. Host namespaces and the host's root come with
/// some profiles only: `legacy`, `general` and `sysadmin` have both, `netadmin` the namespaces, `baseline` and `restricted`
/// neither.
fn is_node_debugger(meta: &Fields<'_>, spec: &Fields<'_>) -> bool {
    let tolerates_all = |toleration: Fields<'_>| {
        toleration.text("operator") == Some("Exists")
            && toleration.filled("key").is_none()
            && toleration.filled("effect").is_none()
    };
    meta.text("name").zip(spec.text("nodeName")).is_some_and(|(name, node)| node_debugger_name(name, node))
        && is_ownerless(meta)
        && spec.text("restartPolicy") == Some("Never")
        && spec.each("tolerations").any(tolerates_all)
}

fn node_debugger_name(name: &str, node: &str) -> bool {
    let rest = name.strip_prefix("node-debugger-").and_then(|rest| rest.strip_prefix(node));
    let suffix = rest.and_then(|rest| rest.strip_prefix('-'));
    suffix.is_some_and(|suffix| suffix.len() == 5 && suffix.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// A copy that no label declares is ownerless, was created by kubectl, and has a `debugger-*` container.
fn is_copy(meta: &Fields<'_>, spec: &Fields<'_>) -> bool {
    let is_debugger =
        |container: Fields<'_>| container.text("name").is_some_and(|name| name.starts_with(DEBUGGER));
    is_ownerless(meta) && spec.each("containers").any(is_debugger) && made_by_kubectl(meta)
}

fn is_ownerless(meta: &Fields<'_>) -> bool {
    meta.each("ownerReferences").next().is_none()
}

/// Field managers are client names: `kubectl`, `kubectl-debug`, `kubectl-create`, ...
fn made_by_kubectl(meta: &Fields<'_>) -> bool {
    let is_kubectl = |entry: Fields<'_>| {
        entry.text("manager").is_some_and(|manager| manager == "kubectl" || manager.starts_with("kubectl-"))
    };
    meta.each("managedFields").any(is_kubectl)
}

#[cfg(test)]
mod tests;
