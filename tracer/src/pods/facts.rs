//! What is kept of a pod: names, roles, statuses. Pure. Environment, volumes and everything else stay behind.

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as api;
use serde::{Deserialize, Serialize};

use super::debug::{self, DebugPod};
use super::ending::PodEnding;
use crate::clock::WallTime;
use crate::ids::{ContainerId, PodUid};
use crate::record::{ApiEvidence, Synthetic};

/// The annotation that carries a static pod's config hash, which is what its cgroup is called.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// A pod, as far as naming sessions needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFacts {
    /// `metadata.uid`.
    pub uid: PodUid,
    /// The static pod's config hash.
    pub config_hash: Option<String>,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Ordinary containers.
    pub containers: Vec<ContainerFacts>,
    /// Init containers, sidecars included.
    pub init_containers: Vec<ContainerFacts>,
    /// Ephemeral containers. The API only ever adds to them.
    pub ephemeral_containers: Vec<EphemeralFacts>,
    /// Whether the pod as a whole was made for debugging, and how that is known.
    pub debug: Option<DebugPod>,
    /// Why it is being ended, where it is.
    pub ending: Option<PodEnding>,
    /// Statuses of all three kinds.
    pub statuses: Vec<ContainerStatus>,
}

/// An ordinary or init container of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// Its name.
    pub name: String,
    /// Its image as the spec names it.
    pub image: Option<String>,
}

/// An ephemeral container of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EphemeralFacts {
    /// Its name.
    pub name: String,
    /// Its image as the spec names it.
    pub image: Option<String>,
    /// `targetContainerName`.
    pub target: Option<String>,
}

/// What the kubelet says of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// The container's name.
    pub name: String,
    /// The id with its scheme, such as `containerd://a24e...`.
    pub container_id: Option<String>,
    /// The image's id as the runtime resolved it.
    pub image_id: Option<String>,
    /// `restartCount`: how often the container of `state` was run before.
    pub restart_count: u32,
    /// `state`.
    pub state: Option<ContainerState>,
    /// `lastState`: the run before. A start error of an ephemeral container is only here.
    pub last_state: Option<ContainerState>,
}

/// One state of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Not running (yet).
    Waiting {
        /// For instance `RunContainerError`.
        reason: Option<String>,
        /// In words.
        message: Option<String>,
    },
    /// Running.
    Running {
        /// Whole seconds.
        started_at: Option<Timestamp>,
    },
    /// Ended.
    Terminated(Terminated),
}

/// A container's end as the kubelet tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminated {
    /// 128 + signal for a signal; 137, 128 and 255 may also be the kubelet's inventions (see `reason`).
    pub exit_code: i32,
    /// Never set by today's kubelets.
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`, ...
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
    /// Whole seconds; 1970 in a start error.
    pub started_at: Option<Timestamp>,
    /// Whole seconds.
    pub finished_at: Option<Timestamp>,
    /// Which container ended, with its scheme.
    pub container_id: Option<String>,
}

impl PodFacts {
    /// Takes what is needed of `pod`; `None` for one without UID, namespace or name, which no API server sends.
    #[must_use]
    pub fn of(pod: &api::Pod) -> Option<Self> {
        let meta = &pod.metadata;
        let spec = pod.spec.as_ref();
        let annotations = meta.annotations.as_ref();
        Some(Self {
            uid: PodUid::new(meta.uid.as_deref()?),
            config_hash: annotations.and_then(|annotations| annotations.get(CONFIG_HASH)).cloned(),
            namespace: meta.namespace.clone()?,
            name: meta.name.clone()?,
            containers: spec.map(|spec| containers(&spec.containers)).unwrap_or_default(),
            init_containers: spec
                .and_then(|spec| spec.init_containers.as_deref())
                .map(containers)
                .unwrap_or_default(),
            ephemeral_containers: spec
                .and_then(|spec| spec.ephemeral_containers.as_deref())
                .map(ephemerals)
                .unwrap_or_default(),
            debug: debug::debug_pod(pod),
            ending: PodEnding::of(pod),
            statuses: pod.status.as_ref().map(statuses).unwrap_or_default(),
        })
    }

    /// The status of the container called `name`.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<&ContainerStatus> {
        self.statuses.iter().find(|status| status.name == name)
    }
}

impl ContainerStatus {
    /// Every container id that the status knows: of now, of the state's end, of the run before.
    pub fn container_ids(&self) -> impl Iterator<Item = ContainerId> + '_ {
        let ended = [&self.state, &self.last_state].into_iter().filter_map(terminated);
        let urls = self.container_id.iter().chain(ended.filter_map(|ended| ended.container_id.as_ref()));
        urls.filter_map(|url| ContainerId::parse_url(url)).map(|(_, id)| id)
    }

    /// The end of the container `id`: of now or of the run before.
    #[must_use]
    pub fn end_of(&self, id: &ContainerId) -> Option<&Terminated> {
        let is_it = |ended: &&Terminated| {
            let url = ended.container_id.as_ref().or(self.container_id.as_ref());
            url.and_then(|url| ContainerId::parse_url(url)).is_some_and(|(_, ended)| ended == *id)
        };
        [&self.state, &self.last_state].into_iter().filter_map(terminated).find(is_it)
    }

    /// The end that the kubelet gives an ephemeral container which it can't find any more, as in a pod that it has
    /// evicted: it names no container, but there never was but one.
    ///
    /// `convertToAPIContainerStatuses` of pkg/kubelet/kubelet_pods.go, which writes it beside a state of "waiting".
    #[must_use]
    pub fn end_of_the_lost(&self) -> Option<&Terminated> {
        let lost = |ended: &&Terminated| {
            ended.container_id.is_none() && ended.synthetic() == Some(Synthetic::ContainerStatusUnknown)
        };
        terminated(&self.last_state).filter(lost).filter(|_| self.container_id.is_none())
    }

    /// Which run of its name the container `id` is, 0 the first; `None` where the status does not name it.
    #[must_use]
    pub fn attempt_of(&self, id: &ContainerId) -> Option<u32> {
        let is_it = |url: &String| ContainerId::parse_url(url).is_some_and(|(_, named)| named == *id);
        let ended = |state| terminated(state).and_then(|ended| ended.container_id.as_ref());
        // A run that failed to start or waits for its restart is still the current one, and its end in lastState.
        if self.container_id.iter().chain(ended(&self.state)).any(is_it) {
            return Some(self.restart_count);
        }
        ended(&self.last_state).filter(|url| is_it(url)).and_then(|_| self.restart_count.checked_sub(1))
    }

    /// Whether the kubelet has told of no run of this name yet.
    #[must_use]
    pub fn never_ran(&self) -> bool {
        let ended = terminated(&self.state).or(terminated(&self.last_state));
        self.restart_count == 0 && self.container_id.is_none() && ended.is_none()
    }

    /// The end of a container that could not be started, now or in the run before.
    #[must_use]
    pub fn start_error(&self) -> Option<&Terminated> {
        [&self.state, &self.last_state]
            .into_iter()
            .filter_map(terminated)
            .find(|ended| ended.is_start_error())
    }
}

impl Terminated {
    /// Whether the runtime failed to start the main process.
    #[must_use]
    pub fn is_start_error(&self) -> bool {
        matches!(self.reason.as_deref(), Some("StartError" | "ContainerCannotRun"))
    }

    /// What the kubelet or the runtime's shim wrote where they did not see the end; its exit code is nobody's.
    ///
    /// pkg/kubelet/kuberuntime and pkg/kubelet/status (137), containerd's CRI plugin (128, 255).
    #[must_use]
    pub fn synthetic(&self) -> Option<Synthetic> {
        match (self.exit_code, self.reason.as_deref()?) {
            (_, "ContainerStatusUnknown") => Some(Synthetic::ContainerStatusUnknown),
            (_, "StartError" | "ContainerCannotRun") => Some(Synthetic::StartError),
            (255, "Unknown") => Some(Synthetic::Unknown),
            _ => None,
        }
    }

    /// This end as a record's evidence; `derived` is what the kernel's witness gives as `container_exit_code`.
    #[must_use]
    pub fn evidence(&self, derived: Option<u8>) -> ApiEvidence {
        ApiEvidence {
            exit_code: Some(self.exit_code),
            synthetic: self.synthetic(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            started_at: self.started_at.filter(|at| *at != Timestamp::UNIX_EPOCH).map(WallTime),
            finished_at: self.finished_at.filter(|at| *at != Timestamp::UNIX_EPOCH).map(WallTime),
            agrees: derived.map(|code| i32::from(code) == self.exit_code),
        }
    }
}

fn terminated(state: &Option<ContainerState>) -> Option<&Terminated> {
    match state {
        Some(ContainerState::Terminated(ended)) => Some(ended),
        _ => None,
    }
}

fn containers(containers: &[api::Container]) -> Vec<ContainerFacts> {
    let facts = |c: &api::Container| ContainerFacts { name: c.name.clone(), image: c.image.clone() };
    containers.iter().map(facts).collect()
}

fn ephemerals(containers: &[api::EphemeralContainer]) -> Vec<EphemeralFacts> {
    let facts = |c: &api::EphemeralContainer| EphemeralFacts {
        name: c.name.clone(),
        image: c.image.clone(),
        // The API server takes an empty name for none.
        target: c.target_container_name.clone().filter(|target| !target.is_empty()),
    };
    containers.iter().map(facts).collect()
}

fn statuses(status: &api::PodStatus) -> Vec<ContainerStatus> {
    let kinds =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    kinds.into_iter().flatten().flatten().map(container_status).collect()
}

fn container_status(status: &api::ContainerStatus) -> ContainerStatus {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ContainerStatus {
        name: status.name.clone(),
        container_id: status.container_id.as_deref().and_then(filled),
        image_id: filled(&status.image_id),
        restart_count: u32::try_from(status.restart_count).unwrap_or_default(),
        state: status.state.as_ref().and_then(container_state),
        last_state: status.last_state.as_ref().and_then(container_state),
    }
}

fn container_state(state: &api::ContainerState) -> Option<ContainerState> {
    if let Some(ended) = &state.terminated {
        return Some(ContainerState::Terminated(Terminated {
            exit_code: ended.exit_code,
            signal: ended.signal,
            reason: ended.reason.clone(),
            message: ended.message.clone(),
            started_at: ended.started_at.as_ref().map(|at| at.0),
            finished_at: ended.finished_at.as_ref().map(|at| at.0),
            container_id: ended.container_id.clone(),
        }));
    }
    if let Some(running) = &state.running {
        return Some(ContainerState::Running { started_at: running.started_at.as_ref().map(|at| at.0) });
    }
    let waiting = state.waiting.as_ref()?;
    Some(ContainerState::Waiting { reason: waiting.reason.clone(), message: waiting.message.clone() })
}

#[cfg(test)]
mod tests;
