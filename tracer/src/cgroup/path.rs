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
//! `crio-conmon-<id>` holds CRI-O's monitor and is no container. Where the kubelet uses systemd but the runtime
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
    /// A cgroup named as a container's that is in no pod's: the runtime's own default parent, or a kubelet without
    /// cgroups per pod (`cgroupsPerQOS: false`). Docker's and Podman's look the same: only the runtime knows.
    Bare {
        /// The container.
        container_id: ContainerId,
        /// Whether it is below the container's own.
        inner: bool,
    },
    /// Anything else: QoS slices, system services, CRI-O's monitors.
    Other,
}

/// Where in a path a container's own cgroup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own<'a> {
    /// The container's own cgroup, below which all others of it are.
    pub cgroup: &'a str,
    /// What is above `kubepods`: the same for all containers of a kubelet.
    pub root: &'a str,
}

impl Place {
    /// Reads a path of the v2 hierarchy, relative to its root or not. What is below a pod's container is that
    /// container's, whatever it is called: whoever may make cgroups in there names them as they like. So a cluster
    /// that runs inside a pod is part of that pod.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match located(path) {
            Some(Located { place, .. }) => place,
            None => {
                bare(path).map_or(Self::Other, |(container_id, _, inner)| Self::Bare { container_id, inner })
            }
        }
    }

    /// The container that it is of, by its name alone.
    #[must_use]
    pub fn container_id(&self) -> Option<&ContainerId> {
        match self {
            Self::Container { container_id, .. } | Self::Bare { container_id, .. } => Some(container_id),
            Self::Pod { .. } | Self::Other => None,
        }
    }

    /// Whether it is below the container's own cgroup.
    #[must_use]
    pub fn is_inner(&self) -> bool {
        matches!(self, Self::Container { inner: true, .. } | Self::Bare { inner: true, .. })
    }
}

impl<'a> Own<'a> {
    /// Of a path that is a container's; `None` of any other.
    #[must_use]
    pub fn of(path: &'a str) -> Option<Self> {
        if let Some(located) = located(path) {
            let cgroup = path.get(..located.own_end?)?;
            return Some(Self { cgroup, root: path.get(..located.root_end)?.trim_end_matches('/') });
        }
        let (_, own_end, _) = bare(path)?;
        let cgroup = path.get(..own_end)?;
        Some(Self { cgroup, root: cgroup.rsplit_once('/').map_or("", |(above, _)| above) })
    }
}

/// A pod or a container of one, found in a path.
struct Located {
    place: Place,
    /// Where the container's own component ends; `None` of a pod.
    own_end: Option<usize>,
    /// Where what is above `kubepods` ends.
    root_end: usize,
}

/// One step of a path, and where it begins and ends in it.
#[derive(Clone, Copy)]
struct Component<'a> {
    name: &'a str,
    begin: usize,
    end: usize,
}

fn components(path: &str) -> Vec<Component<'_>> {
    let mut begin = 0;
    let mut found = Vec::new();
    for name in path.split('/') {
        let end = begin + name.len();
        if !name.is_empty() {
            found.push(Component { name, begin, end });
        }
        begin = end + 1;
    }
    found
}

/// The outermost pod, and what is below it.
fn located(path: &str) -> Option<Located> {
    let components = components(path);
    (0..components.len()).find_map(|at| located_at(&components, at))
}

/// What there is if the pod's component is the one at `at`.
fn located_at(components: &[Component<'_>], at: usize) -> Option<Located> {
    let (outside, here, below) = (&components[..at], components[at], &components[at + 1..]);
    if let Some((slice, container_id)) = joined(here.name) {
        let pod = systemd_pod(slice)?;
        let place = Place::Container { pod, container_id, inner: !below.is_empty() };
        return Some(Located { place, own_end: Some(here.end), root_end: here.begin });
    }
    let (pod, root_end) = match systemd_pod(here.name) {
        Some(pod) => (pod, root_of_slices(outside, here)),
        None => cgroupfs_pod(outside, here.name)?,
    };
    let Some((own, inside)) = below.split_first() else {
        return Some(Located { place: Place::Pod { pod }, own_end: None, root_end });
    };
    Some(match container(own.name) {
        Some(container_id) => Located {
            place: Place::Container { pod, container_id, inner: !inside.is_empty() },
            own_end: Some(own.end),
            root_end,
        },
        None => Located { place: Place::Other, own_end: None, root_end },
    })
}

/// A container's component outside of any pod: its id, where it ends, and whether there is more below it.
fn bare(path: &str) -> Option<(ContainerId, usize, bool)> {
    let components = components(path);
    let named = |name| joined(name).map(|(_, id)| id).or_else(|| container(name));
    let (at, id) = components.iter().enumerate().find_map(|(at, c)| Some((at, named(c.name)?)))?;
    Some((id, components[at].end, at + 1 < components.len()))
}

/// Where the slices begin that lead to a pod's: each is named after the one above it.
fn root_of_slices(outside: &[Component<'_>], pod: Component<'_>) -> usize {
    let mut begin = pod.begin;
    let mut below = pod.name;
    for above in outside.iter().rev() {
        let leads = above
            .name
            .strip_suffix(".slice")
            .is_some_and(|name| below.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
        if !leads {
            break;
        }
        (begin, below) = (above.begin, above.name);
    }
    begin
}

/// `pod<uid>` below `kubepods`, `kubepods/burstable` or `kubepods/besteffort`, and where `kubepods` begins.
fn cgroupfs_pod(outside: &[Component<'_>], component: &str) -> Option<(PodRef, usize)> {
    let kubepods = match outside {
        [.., kubepods, qos] if matches!(qos.name, "burstable" | "besteffort") => kubepods,
        [.., kubepods] => kubepods,
        [] => return None,
    };
    let name = component.strip_prefix("pod").filter(|_| kubepods.name == "kubepods")?;
    Some((pod_ref(name, |c| c == '-' || c == '_')?, kubepods.begin))
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
