//! What the path of a cgroup says about pod and container. Pure.
//!
//! Two grammars, by the kubelet's cgroup driver, each below any prefix (kind, k3s, `--cgroup-root`):
//!
//! ```text
//! cgroupfs  kubepods[/burstable|/besteffort]/pod<uid>/<id>
//! systemd   [P-]kubepods.slice/[P-]kubepods-besteffort.slice/[P-]kubepods-besteffort-pod<uid, _ for ->.slice/cri-containerd-<id>.scope
//! ```
//!
//! The container's own component may also be `crio-<id>.scope`, `docker-<id>.scope` or the same without `.scope`;
//! `crio-conmon-<id>` holds CRI-O's monitor and is no container. Where the kubelet speaks systemd but the runtime
//! does not, both are one component: `kubepods-besteffort-pod<uid>.slice:cri-containerd:<id>`.

use crate::ids::{ContainerId, PodRef};

/// Whose cgroup it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A container's, or one below it.
    Container {
        /// The pod, by UID or config hash.
        pod: PodRef,
        /// The container.
        container_id: ContainerId,
        /// Whether it is below the container's own (crun's `container`, a systemd inside, ...).
        inner: bool,
    },
    /// A pod's own.
    Pod {
        /// The pod, by UID or config hash.
        pod: PodRef,
    },
    /// Anything else: QoS slices, system services, CRI-O's monitors.
    Other,
}

impl Place {
    /// Reads a path of the v2 hierarchy, relative to its root or not. Where a cluster runs inside a container of
    /// another one, the innermost pod counts: an agent inside sees the same paths as one outside.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let components: Vec<&str> = path.split('/').filter(|component| !component.is_empty()).collect();
        (0..components.len()).rev().find_map(|at| place_at(&components, at)).unwrap_or(Self::Other)
    }
}

/// The place if the pod's component is the one at `at`. `None`: it is no pod's, look further out.
fn place_at(components: &[&str], at: usize) -> Option<Place> {
    let (outside, below) = (&components[..at], &components[at + 1..]);
    if let Some((slice, id)) = joined(components[at]) {
        let pod = systemd_pod(slice)?;
        return Some(Place::Container { pod, container_id: id, inner: !below.is_empty() });
    }
    let pod = systemd_pod(components[at]).or_else(|| cgroupfs_pod(outside, components[at]))?;
    let Some((own, inside)) = below.split_first() else {
        return Some(Place::Pod { pod });
    };
    Some(match container(own) {
        Some(container_id) => Place::Container { pod, container_id, inner: !inside.is_empty() },
        None => Place::Other,
    })
}

/// `pod<uid>` below `kubepods`, `kubepods/burstable` or `kubepods/besteffort`.
fn cgroupfs_pod(outside: &[&str], component: &str) -> Option<PodRef> {
    let below_kubepods = matches!(outside, [.., "kubepods"] | [.., "kubepods", "burstable" | "besteffort"]);
    let name = component.strip_prefix("pod").filter(|_| below_kubepods)?;
    pod_ref(name, |c| c == '-' || c == '_')
}

/// `[P-]kubepods[-burstable|-besteffort]-pod<uid>.slice`; the kubelet writes `_` for `-`, since systemd takes a
/// slice's `-` for a step down.
fn systemd_pod(component: &str) -> Option<PodRef> {
    let (parent, name) = component.strip_suffix(".slice")?.rsplit_once("-pod")?;
    let parent =
        parent.strip_suffix("-burstable").or_else(|| parent.strip_suffix("-besteffort")).unwrap_or(parent);
    if parent != "kubepods" && !parent.ends_with("-kubepods") {
        return None;
    }
    pod_ref(&name.replace('_', "-"), |c| c == '-')
}

/// A pod's name in a path: a UID (any string without separators, usually a UUID) or a config hash.
fn pod_ref(name: &str, separator: impl Fn(char) -> bool) -> Option<PodRef> {
    let known = name.chars().all(|c| c.is_ascii_alphanumeric() || separator(c));
    (known && !name.is_empty()).then(|| PodRef::new(name))
}

/// `<slice>:<prefix>:<id>`: runc's systemd notation, taken literally by a runtime without systemd.
fn joined(component: &str) -> Option<(&str, ContainerId)> {
    let mut parts = component.split(':');
    let (slice, _prefix, id) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((slice, ContainerId::parse(id)?))
}

/// `<id>` or `<runtime>-<id>`, with or without `.scope`.
fn container(component: &str) -> Option<ContainerId> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let (runtime, id) = name.rsplit_once('-').unwrap_or(("", name));
    if runtime.rsplit('-').next() == Some("conmon") {
        return None;
    }
    ContainerId::parse(id)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
