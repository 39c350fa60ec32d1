//! What is kept of a pod: names, roles, statuses. Pure. Environment, volumes and everything else stay behind.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::debug::{self, DebugPod};
use super::ending::PodEnding;
use super::object::Fields;
use crate::clock::WallTime;
use crate::ids::{ContainerId, PodUid};
use crate::record::{ApiEvidence, Synthetic};

/// The annotation that carries a static pod's config hash, which is what its cgroup is called.
pub(super) const CONFIG_HASH: &str = "kubernetes.io/config.hash";

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

/// A container's end as the kubelet says.
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
    pub(super) fn of(pod: &Fields<'_>) -> Option<Self> {
        let (meta, spec) = (pod.object("metadata"), pod.object("spec"));
        let [uid, namespace, name] = ["uid", "namespace", "name"].map(|key| meta.needed(key));
        Some(Self {
            uid: PodUid::new(uid?),
            config_hash: meta.object("annotations").text(CONFIG_HASH).map(str::to_owned),
            namespace: namespace?.to_owned(),
            name: name?.to_owned(),
            containers: containers(&spec, "containers"),
            init_containers: containers(&spec, "initContainers"),
            ephemeral_containers: ephemerals(&spec),
            debug: debug::debug_pod(pod),
            ending: PodEnding::of(pod),
            statuses: statuses(&pod.object("status")),
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

    /// Whether the kubelet has reported no run of this name yet.
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

    /// What the kubelet or the runtime's shim wrote where they did not see the end; no process ended with its
    /// exit code.
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

    /// This end as a record's evidence; `derived` is the `container_exit_code` by the kernel.
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

fn containers(spec: &Fields<'_>, kind: &str) -> Vec<ContainerFacts> {
    let facts = |container: Fields<'_>| {
        let name = container.needed("name")?.to_owned();
        Some(ContainerFacts { name, image: container.text("image").map(str::to_owned) })
    };
    spec.each(kind).filter_map(facts).collect()
}

fn ephemerals(spec: &Fields<'_>) -> Vec<EphemeralFacts> {
    let facts = |container: Fields<'_>| {
        Some(EphemeralFacts {
            name: container.needed("name")?.to_owned(),
            image: container.text("image").map(str::to_owned),
            // The API server takes an empty name for none.
            target: container.filled("targetContainerName"),
        })
    };
    spec.each("ephemeralContainers").filter_map(facts).collect()
}

fn statuses(status: &Fields<'_>) -> Vec<ContainerStatus> {
    let kinds = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    kinds.iter().flat_map(|kind| status.each(kind)).filter_map(|status| container_status(&status)).collect()
}

fn container_status(status: &Fields<'_>) -> Option<ContainerStatus> {
    Some(ContainerStatus {
        name: status.needed("name")?.to_owned(),
        container_id: status.filled("containerID"),
        image_id: status.filled("imageID"),
        restart_count: status.integer("restartCount").and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        state: container_state(&status.object("state")),
        last_state: container_state(&status.object("lastState")),
    })
}

/// An end without an exit code can't be reported.
fn container_state(state: &Fields<'_>) -> Option<ContainerState> {
    let text = |fields: &Fields<'_>, key| fields.text(key).map(str::to_owned);
    let ended = state.object("terminated");
    if ended.is_there() {
        let code = |key| ended.integer(key).and_then(|n| i32::try_from(n).ok());
        return Some(ContainerState::Terminated(Terminated {
            exit_code: code("exitCode")?,
            signal: code("signal"),
            reason: text(&ended, "reason"),
            message: ended.words("message"),
            started_at: ended.time("startedAt"),
            finished_at: ended.time("finishedAt"),
            container_id: text(&ended, "containerID"),
        }));
    }
    let running = state.object("running");
    if running.is_there() {
        return Some(ContainerState::Running { started_at: running.time("startedAt") });
    }
    let waiting = state.object("waiting");
    waiting.is_there().then(|| ContainerState::Waiting {
        reason: text(&waiting, "reason"),
        message: waiting.words("message"),
    })
}

#[cfg(test)]
mod tests;
