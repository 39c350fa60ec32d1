//! The records of one session: `session_started`, `session_ended` and `session_reconciled`, all fields of the schema's table.

use serde::{Deserialize, Serialize};

use super::{Evidence, Exit, Head, RecordType, SessionId};
use crate::clock::{ClockState, SessionTimes, WallTime};
use crate::ids::{Pid, PodUid};

/// A session record. Both types carry all fields; in `session_started` the end's are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionRecord {
    /// Schema, type and ids.
    #[serde(flatten)]
    pub head: Head,
    /// Who it was.
    #[serde(flatten)]
    pub identity: Identity,
    /// How the main process ended.
    #[serde(flatten)]
    pub exit: Exit,
    /// What the team's exit-code convention calls the code.
    pub exit_meaning: Option<ExitMeaning>,
    /// Who sent the signal that ended the main process.
    pub killed_by: Option<KilledBy>,
    /// Why the runtime ended it, where the API knows: `deleted`, `evicted`, `preempted`, `deadline_exceeded`,
    /// `node_shutdown`; `runtime_stop` where the API gives no cause.
    pub cause: Option<String>,
    /// When, and for how long.
    #[serde(flatten)]
    pub times: SessionTimes,
    /// The main process; null where none was seen.
    pub main: Option<MainProcess>,
    /// Who asked for the session.
    pub requested_by: Option<RequestedBy>,
    /// What vouches for the record.
    pub evidence: Evidence,
    /// The node's clock when the record was made.
    pub clock: ClockState,
}

impl SessionRecord {
    /// A `session_started` with nothing known but its evidence; fill in what is.
    #[must_use]
    pub fn started(session_id: SessionId, evidence: Evidence, clock: ClockState) -> Self {
        Self::new(Head::of_session(RecordType::SessionStarted, session_id), evidence, clock)
    }

    /// A `session_ended` with nothing known but how it ended and its evidence; fill in what is.
    #[must_use]
    pub fn ended(session_id: SessionId, exit: Exit, evidence: Evidence, clock: ClockState) -> Self {
        let head = Head::of_session(RecordType::SessionEnded, session_id);
        Self { exit, ..Self::new(head, evidence, clock) }
    }

    /// The `session_reconciled` of this `session_ended`: all that it said, to which what is known by now is added.
    #[must_use]
    pub fn reconciled(self, clock: ClockState) -> Self {
        let session_id = self.head.session_id().cloned().unwrap_or_default();
        Self { head: Head::of_session(RecordType::SessionReconciled, session_id), clock, ..self }
    }

    fn new(head: Head, evidence: Evidence, clock: ClockState) -> Self {
        Self {
            head,
            identity: Identity::default(),
            exit: Exit::default(),
            exit_meaning: None,
            killed_by: None,
            cause: None,
            times: SessionTimes::default(),
            main: None,
            requested_by: None,
            evidence,
            clock,
        }
    }
}

/// Who a session was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identity {
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's name.
    pub pod_name: Option<String>,
    /// The pod's UID; for a static pod the mirror pod's, where the API knows it.
    pub pod_uid: Option<PodUid>,
    /// The container's name in the pod.
    pub container_name: Option<String>,
    /// The container's id with its runtime's scheme, such as `containerd://a24e...`.
    pub container_id: Option<String>,
    /// Which run of that container name in that pod this is, 0 the first.
    pub attempt: Option<u32>,
    /// The image as the pod's spec names it.
    pub image: Option<String>,
    /// The image's id as the runtime resolved it.
    pub image_id: Option<String>,
    /// `targetContainerName` of an ephemeral container.
    pub target_container: Option<String>,
    /// The node.
    pub node_name: Option<String>,
    /// What kind of session; null while undecided.
    pub session_kind: Option<SessionKind>,
}

/// What kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// An ephemeral container (`kubectl debug POD`).
    Ephemeral,
    /// A container of a node-debug pod (`kubectl debug node/N`).
    NodeDebug,
    /// The debug container of a pod's copy (`kubectl debug POD --copy-to`).
    Copy,
    /// An ordinary container, recorded because of `--all-containers`.
    Container,
}

/// The process whose end ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MainProcess {
    /// Pid in the initial pid namespace.
    pub pid: Pid,
    /// Pid in the innermost pid namespace of the process.
    pub pid_in_container: Option<Pid>,
    /// The kernel's 15-byte name.
    pub comm: Option<String>,
    /// Path of the executable as the process sees it.
    pub exe: Option<String>,
    /// Arguments; null where they were not asked for. What looks like a secret is redacted.
    pub argv: Option<Vec<String>>,
    /// Whether arguments are missing at the end of `argv`; null where there are none.
    pub argv_truncated: Option<bool>,
}

/// What an exit code means by the team's convention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExitMeaning {
    /// For instance `connection-pool-exhausted`.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
}

/// How bad an exit code is by the team's convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// Worth a look.
    Warning,
    /// Needs someone.
    Error,
}

/// The sender of the signal that matches the wait status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KilledBy {
    /// The sender's pid in the initial pid namespace; null for the kernel's own.
    pub pid: Option<Pid>,
    /// The sender's 15-byte name; null for the kernel's own.
    pub comm: Option<String>,
    /// Where the sender ran; null for the kernel's own or where unknown.
    pub place: Option<KillerPlace>,
    /// Why the kernel itself sent it; null for a process's signal.
    pub kernel: Option<KernelKill>,
    /// Whose memory limit was hit; null for all but `oom`, or where neither the kernel's log nor its counters tell.
    pub oom_limit: Option<OomLimit>,
}

/// Whose limit made the kernel kill for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OomLimit {
    /// The container's own.
    Container,
    /// The pod's.
    Pod,
    /// Something further out: that of all pods, or the node's memory itself.
    Node,
}

/// Where the sender of a signal ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KillerPlace {
    /// In the session itself.
    Session,
    /// In another container of the pod.
    Pod,
    /// The container runtime.
    Runtime,
    /// Anywhere else on the node.
    Host,
}

/// Why the kernel itself sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KernelKill {
    /// The OOM killer.
    Oom,
    /// The pid namespace's init ended.
    PidnsExit,
    /// `cgroup.kill`.
    CgroupKill,
    /// A fault of the process itself, such as SIGSEGV.
    Fault,
}

/// Who asked for the session, as the admission request says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestedBy {
    /// The user's name.
    pub user: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// The user's UID, where the authenticator gives one.
    pub uid: Option<String>,
    /// When the request was admitted.
    pub requested_at: Option<WallTime>,
}

#[cfg(test)]
mod tests;
