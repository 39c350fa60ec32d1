//! Whether a container is a session, and whose. Pure.
//!
//! The runtime says what the container is called, the API says what that name is. Never by elimination: what
//! neither knows stays undecided until a synced index has had its time.

use std::time::Duration;

use super::processes::RECORDED;
use crate::ids::{BootNanos, ContainerId, PodRef, PodUid};
use crate::pods::{ContainerState, ContainerStatus, PodFacts, PodIndex, Role, index::role_in};
use crate::record::{KindBy, NamedBy, SessionKind};
use crate::runtime::{ContainerKind, ContainerMeta};

/// How long a synced index may lack a container before the container is unresolved. The kubelet's status is
/// about a second behind the kernel; the watch is milliseconds behind the API.
pub const UNRESOLVED_AFTER: Duration = Duration::from_secs(10);

/// How long a pod that the runtime names may be missing from the watch before it is another kubelet's (the nodes of
/// a kind cluster share a kernel). Longer than a watch that died silently goes unnoticed.
pub const FOREIGN_AFTER: Duration = Duration::from_secs(90);

/// How long the runtime and a synced index may be silent on a cgroup outside of all pods before it is taken
/// for none of Kubernetes'.
pub const BARE_AFTER: Duration = Duration::from_secs(5);

/// What is recorded besides debug sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Ordinary and init containers as well (`--all-containers`).
    pub all_containers: bool,
    /// Processes of a session that are recorded; what comes after is counted (`--processes`).
    pub processes: u64,
    /// Arguments of programs are read (`--argv`).
    pub with_args: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { all_containers: false, processes: RECORDED, with_args: false }
    }
}

/// What a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To be recorded.
    Session(Naming),
    /// To be forgotten: a pause container, an ordinary one, or none of Kubernetes.
    Other,
    /// Of a pod that the runtime names and the API does not list for this node: another kubelet's, or this
    /// agent asks for the pods of another node. To be forgotten, and reported.
    Foreign,
    /// Not yet known.
    Undecided,
    /// A synced index has had its time and does not know it. Recorded with what is known.
    Unresolved(Naming),
}

/// Who a session is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's name.
    pub pod_name: Option<String>,
    /// The pod's UID.
    pub pod_uid: Option<PodUid>,
    /// The container's name.
    pub container_name: Option<String>,
    /// Scheme of the container's id, such as `containerd`.
    pub scheme: Option<String>,
    /// The image as the spec names it.
    pub image: Option<String>,
    /// `targetContainerName`.
    pub target: Option<String>,
    /// What kind of session; `None` while unresolved.
    pub kind: Option<SessionKind>,
    /// How the kind is known.
    pub kind_by: Option<KindBy>,
    /// Who gave the container's name.
    pub named_by: Option<NamedBy>,
}

/// A container that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Its id.
    pub id: &'a ContainerId,
    /// Its pod, as the cgroup's path calls it; `None` for one outside of all pods.
    pub pod: Option<&'a PodRef>,
    /// What the runtime says; `None` where it is silent.
    pub runtime: Option<&'a ContainerMeta>,
    /// When it was first seen.
    pub first_seen: BootNanos,
    /// When it was first seen that something was in it; `None` while nothing was.
    pub entered: Option<BootNanos>,
    /// Whether its cgroup is elsewhere than where the kubelet's containers are known to be.
    pub elsewhere: bool,
    /// When its cgroup was made, as far as that was seen: before it was first seen where no debugtrail ran.
    pub made: BootNanos,
}

/// Says what a container is, as far as is known at `now`.
#[must_use]
pub fn decide(question: Question<'_>, index: &PodIndex, policy: Policy, now: BootNanos) -> Verdict {
    if question.runtime.is_some_and(|meta| meta.kind == ContainerKind::Sandbox) {
        return Verdict::Other;
    }
    let Some((pod, name, named_by)) = find(question, index) else {
        return undecided(question, index, policy, now);
    };
    let Some((kind, kind_by, image, target)) = kind_of(role_in(pod, name), policy) else {
        return match role_in(pod, name) {
            Some(_) => Verdict::Other,
            // The runtime knows a container that the spec lacks: the watch is behind.
            None => undecided(question, index, policy, now),
        };
    };
    Verdict::Session(Naming {
        namespace: Some(pod.namespace.clone()),
        pod_name: Some(pod.name.clone()),
        pod_uid: Some(pod.uid.clone()),
        container_name: Some(name.to_owned()),
        scheme: scheme(question, pod.status(name)),
        image,
        target,
        kind: Some(kind),
        kind_by: Some(kind_by),
        named_by: Some(named_by),
    })
}

impl Question<'_> {
    /// Its pod: as the runtime says, which made it, else as the path says, which others may have made, too.
    pub(super) fn pod_ref(&self) -> Option<PodRef> {
        let by_runtime = self.runtime.and_then(|meta| meta.pod_uid.as_ref()).map(PodRef::from);
        by_runtime.or_else(|| self.pod.cloned())
    }
}

/// The pod and the container's name in it: as the runtime says, else by a status that has the id.
fn find<'a>(question: Question<'a>, index: &'a PodIndex) -> Option<(&'a PodFacts, &'a str, NamedBy)> {
    if let Some(name) = question.runtime.and_then(|meta| meta.container_name.as_deref()) {
        return Some((index.pod(&question.pod_ref()?)?, name, NamedBy::Runtime));
    }
    let (pod, name) = index.by_container_id(question.id)?;
    // Elsewhere than where the kubelet's are, others may have made a cgroup with the id of one that is over.
    let may_be_it = !question.elsewhere || runs(pod.status(name));
    may_be_it.then_some((pod, name, NamedBy::Api))
}

/// Whether the API says that a container runs.
pub(super) fn runs(status: Option<&ContainerStatus>) -> bool {
    matches!(status.and_then(|status| status.state.as_ref()), Some(ContainerState::Running { .. }))
}

/// Kind, how it is known, image, target.
type Kind = (SessionKind, KindBy, Option<String>, Option<String>);

/// What kind of session a container of this role is; `None` where it is none.
pub(super) fn kind_of(role: Option<Role>, policy: Policy) -> Option<Kind> {
    match role? {
        Role::Ephemeral { image, target } => Some((SessionKind::Ephemeral, KindBy::Declared, image, target)),
        Role::Ordinary { image, debug: Some(debug) } => Some((debug.kind, debug.by, image, None)),
        Role::Ordinary { image, debug: None } | Role::Init { image } => {
            policy.all_containers.then_some((SessionKind::Container, KindBy::Declared, image, None))
        }
    }
}

fn undecided(question: Question<'_>, index: &PodIndex, policy: Policy, now: BootNanos) -> Verdict {
    if let Some(verdict) = foreign(question, index, now) {
        return verdict;
    }
    if let Some(verdict) = of_the_path_alone(question, index, now) {
        return verdict;
    }
    let waited = index.synced_since().map(|synced| now.since(synced.max(since(question))));
    if waited.is_none_or(|waited| waited < UNRESOLVED_AFTER) {
        return Verdict::Undecided;
    }
    if is_none_of_its_pod(question, index, policy) {
        return Verdict::Other;
    }
    let meta = question.runtime;
    let pod_ref = question.pod_ref();
    let pod = pod_ref.as_ref().and_then(|pod| index.pod(pod));
    let named = meta.and_then(|meta| meta.container_name.clone());
    Verdict::Unresolved(Naming {
        namespace: meta
            .and_then(|meta| meta.namespace.clone())
            .or_else(|| pod.map(|pod| pod.namespace.clone())),
        pod_name: meta.and_then(|meta| meta.pod_name.clone()).or_else(|| pod.map(|pod| pod.name.clone())),
        pod_uid: pod.map(|pod| pod.uid.clone()).or_else(|| pod_ref?.uid()),
        named_by: named.as_ref().map(|_| NamedBy::Runtime),
        container_name: named,
        scheme: scheme(question, None),
        ..Naming::default()
    })
}

/// From when on the API has its time to name it: what the runtime does not know may have been an empty cgroup for long.
fn since(question: Question<'_>) -> BootNanos {
    question.entered.filter(|_| question.runtime.is_none()).unwrap_or(question.first_seen)
}

/// A cgroup alone is no container: others may make one, under any name. `None` where there is more than that.
fn of_the_path_alone(question: Question<'_>, index: &PodIndex, now: BootNanos) -> Option<Verdict> {
    if question.runtime.is_some() {
        return None;
    }
    let Some(pod) = question.pod else {
        let waited = index.synced_since().map(|synced| now.since(synced.max(question.first_seen)));
        let over = waited.is_some_and(|waited| waited >= BARE_AFTER);
        return Some(if over { Verdict::Other } else { Verdict::Undecided });
    };
    let Some(entered) = question.entered else { return Some(Verdict::Undecided) };
    let waited = now.since(entered) >= UNRESOLVED_AFTER && index.synced();
    // The kubelet has this pod's containers elsewhere.
    (question.elsewhere && waited && index.pod(pod).is_some()).then_some(Verdict::Other)
}

/// The kubelet runs no debug session that it does not have from the API, so a pod that the runtime names and
/// that a watch without interruption did not is not of this node. `None` where that is not certain.
fn foreign(question: Question<'_>, index: &PodIndex, now: BootNanos) -> Option<Verdict> {
    question.runtime?.container_name.as_ref()?;
    let watched_all_the_time = index.synced_since()? <= question.first_seen;
    let pod = question.pod_ref()?;
    if !watched_all_the_time || index.pod(&pod).is_some() || index.may_lack(&pod) {
        return None;
    }
    let over = now.since(question.first_seen) >= FOREIGN_AFTER;
    Some(if over { Verdict::Foreign } else { Verdict::Undecided })
}

/// Whether a pod, listed after the container was made, can't have it as a session: the kubelet runs none that
/// the spec does not have, and each ephemeral one of the spec is another container. That is so of pause
/// containers and of earlier runs of a crashing one that lived while no debugtrail ran, so that the runtime
/// was never asked.
fn is_none_of_its_pod(question: Question<'_>, index: &PodIndex, policy: Policy) -> bool {
    let listed_after = index.synced_since().is_some_and(|synced| question.made < synced);
    let pod = question.pod.filter(|_| listed_after && question.runtime.is_none());
    let Some(pod) = pod.and_then(|pod| index.current(pod)) else { return false };
    if question.pod.is_some_and(|pod| index.may_lack(pod)) {
        return false;
    }
    let mut ordinary =
        pod.containers.iter().chain(&pod.init_containers).map(|container| container.name.as_str());
    let mut ephemeral = pod.ephemeral_containers.iter().map(|container| container.name.as_str());
    // An ephemeral container runs once.
    let is_another = |name: &str| pod.status(name).is_some_and(|status| status.container_id.is_some());
    ordinary.all(|name| kind_of(role_in(pod, name), policy).is_none()) && ephemeral.all(is_another)
}

fn scheme(question: Question<'_>, status: Option<&ContainerStatus>) -> Option<String> {
    let by_runtime = question.runtime.map(|meta| meta.scheme.to_owned());
    by_runtime.or_else(|| {
        let url = status?.container_id.as_deref()?;
        ContainerId::parse_url(url).map(|(scheme, _)| scheme.to_owned())
    })
}

#[cfg(test)]
mod tests;
