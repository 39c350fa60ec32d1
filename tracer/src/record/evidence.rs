//! The sources of a session record, and whether they agree.

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::ids::Pid;

/// Per record: what the kernel, the runtime and the API contributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evidence {
    /// What the kernel witnessed of the main process.
    pub kernel: KernelEvidence,
    /// Who gave the session its name; null while it has none.
    pub named_by: Option<NamedBy>,
    /// How `session_kind` is known; null while it is not.
    pub kind_by: Option<KindBy>,
    /// What the runtime says of the main process; null where it was silent.
    pub runtime: Option<RuntimeEvidence>,
    /// What the API says of the end; null where it says nothing (yet).
    pub api: Option<ApiEvidence>,
    /// What the API says of the pod's own end; null where it says nothing (yet).
    pub pod: Option<PodEvidence>,
    /// Where these and the cgroup contradict each other; empty where nobody contradicts anybody.
    #[serde(default)]
    pub disagreements: Vec<Disagreement>,
    /// Kernel events known to be lost since the session's start.
    pub lost_events: u64,
}

impl Evidence {
    /// The kernel alone: no name, no runtime, no API, nothing lost.
    #[must_use]
    pub fn of_kernel(kernel: KernelEvidence) -> Self {
        Self {
            kernel,
            named_by: None,
            kind_by: None,
            runtime: None,
            api: None,
            pod: None,
            disagreements: Vec::new(),
            lost_events: 0,
        }
    }
}

/// What the kernel witnessed of the main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelEvidence {
    /// Start and end (in `session_started`: the start, the end yet to come).
    Full,
    /// The start, but no end.
    StartOnly,
    /// The end, but no start.
    ExitOnly,
    /// Neither.
    None,
}

/// A contradiction about who a session is. The runtime's word goes before the API's, and that before the cgroup's path:
/// anybody who may write to the hierarchy makes cgroups under any name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Disagreement {
    /// The cgroup's path names another pod than the runtime.
    PathPod,
    /// The API's status has the container's id in another pod.
    ApiPod,
    /// The API's status has the container's id under another name than the runtime.
    ApiName,
    /// The cgroup is elsewhere than where the kubelet's containers are known to be.
    CgroupElsewhere,
    /// Another cgroup, not below the container's own, was made with its id for a name; nothing of that is in its records.
    SecondCgroup,
}

/// Who gave a session its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// The annotations of the runtime's bundle.
    Runtime,
    /// A container status of the API.
    Api,
}

/// How a session's kind is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KindBy {
    /// The pod's spec or a label says so.
    Declared,
    /// A heuristic says so.
    Inferred,
}

/// What the runtime says of the main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RuntimeEvidence {
    /// The runtime's init pid of the container.
    pub init_pid: Option<Pid>,
    /// Whether that is the main process the kernel saw; null where either is unknown.
    pub agrees: Option<bool>,
}

/// An exit code that no process gave: what stands in the API where its writers did not see the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Synthetic {
    /// 137: the kubelet found the container gone.
    ContainerStatusUnknown,
    /// 128: the runtime could not start the main process.
    StartError,
    /// 255: the runtime found the container's shim gone.
    Unknown,
}

/// What the API says of the end: the container's terminated state, as the kubelet wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ApiEvidence {
    /// `state.terminated.exitCode`; 137 here may be a code, a signal or the kubelet's own invention.
    pub exit_code: Option<i32>,
    /// Set where the exit code is an invention of the kubelet or the runtime, not a code of any process.
    pub synthetic: Option<Synthetic>,
    /// `reason` of the state.
    pub reason: Option<String>,
    /// `message` of the state.
    pub message: Option<String>,
    /// `startedAt`, whole seconds by the kubelet's clock; null where the kubelet wrote 1970.
    pub started_at: Option<WallTime>,
    /// `finishedAt`, whole seconds by the kubelet's clock.
    pub finished_at: Option<WallTime>,
    /// Whether its exit code is the one derived from the kernel's; null where either is unknown.
    pub agrees: Option<bool>,
}

/// Why the session's pod was ended, as the API server, a controller or the kubelet wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PodEvidence {
    /// Since when it was to end, at the latest; whole seconds by the writer's clock; null where nobody wrote it.
    pub ending_since: Option<WallTime>,
    /// `reason` of the pod's status or of its condition `DisruptionTarget`, such as `EvictionByEvictionAPI`.
    pub reason: Option<String>,
    /// `message` beside it.
    pub message: Option<String>,
}
