//! Records about debugtrail itself and the node's clock.

use serde::{Deserialize, Serialize};

use super::{Head, RecordNumber, RecordType};
use crate::clock::{ClockState, ClockStep, WallTime};
use crate::ids::{BootNanos, Pid};

/// `agent_started` or `agent_stopped`: from when to when there was a witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AgentRecord {
    /// Schema, type and ids.
    #[serde(flatten)]
    pub head: Head,
    /// The node.
    pub node_name: Option<String>,
    /// debugtrail's version.
    pub version: String,
    /// The kernel's release, as `uname -r` says.
    pub kernel_release: String,
    /// debugtrail's pid in its own pid namespace.
    pub pid: Pid,
    /// Why it stopped; null in `agent_started`.
    pub reason: Option<StopReason>,
    /// When the programs were attached or let go.
    pub at: WallTime,
    /// `at` by the boot clock.
    pub boot_ns: BootNanos,
    /// The node's clock when the record was made.
    pub clock: ClockState,
}

/// What start and stop have in common: which debugtrail, on which node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentIdentity {
    /// The node.
    pub node_name: Option<String>,
    /// debugtrail's version.
    pub version: String,
    /// The kernel's release, as `uname -r` says.
    pub kernel_release: String,
    /// debugtrail's pid in its own pid namespace.
    pub pid: Pid,
}

impl AgentRecord {
    /// An `agent_started`.
    #[must_use]
    pub fn started(
        agent: AgentIdentity,
        number: &RecordNumber,
        boot_ns: BootNanos,
        at: WallTime,
        clock: ClockState,
    ) -> Self {
        let head = Head::of_node(RecordType::AgentStarted, number);
        let AgentIdentity { node_name, version, kernel_release, pid } = agent;
        Self { head, node_name, version, kernel_release, pid, reason: None, at, boot_ns, clock }
    }

    /// An `agent_stopped`.
    #[must_use]
    pub fn stopped(
        agent: AgentIdentity,
        reason: StopReason,
        number: &RecordNumber,
        boot_ns: BootNanos,
        at: WallTime,
        clock: ClockState,
    ) -> Self {
        let head = Head::of_node(RecordType::AgentStopped, number);
        Self { head, reason: Some(reason), ..Self::started(agent, number, boot_ns, at, clock) }
    }
}

/// Why debugtrail stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal or the connection that `trace` was started from is gone.
    HungUp,
    /// The reader of the output went away.
    OutputClosed,
    /// Something failed; the log says what.
    Failed,
}

impl StopReason {
    /// The reason in words for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::HungUp => "hung up",
            Self::OutputClosed => "output closed",
            Self::Failed => "failed",
        }
    }
}

/// `clock_stepped`: the wall clock jumped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockStepRecord {
    /// Schema, type and ids.
    #[serde(flatten)]
    pub head: Head,
    /// The node.
    pub node_name: Option<String>,
    /// The moment of the step by the clock before it.
    pub before_at: WallTime,
    /// The same moment by the clock after it.
    pub after_at: WallTime,
    /// After minus before, in nanoseconds; a string in JSON.
    #[serde(with = "crate::text")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub step_ns: i64,
    /// The moment by the boot clock: when the step was noticed.
    pub boot_ns: BootNanos,
    /// The last moment, by the boot clock, at which the clock was known not to be stepped yet. Wall times in between are of
    /// the clock before the step.
    #[serde(default)]
    pub from_boot_ns: Option<BootNanos>,
    /// The node's clock when the record was made.
    pub clock: ClockState,
}

impl ClockStepRecord {
    /// The record of `step`.
    #[must_use]
    pub fn new(
        step: &ClockStep,
        node_name: Option<String>,
        number: &RecordNumber,
        clock: ClockState,
    ) -> Self {
        Self {
            head: Head::of_node(RecordType::ClockStepped, number),
            node_name,
            before_at: step.before,
            after_at: step.after,
            step_ns: step.step_ns,
            boot_ns: step.boot,
            from_boot_ns: Some(step.after_boot),
            clock,
        }
    }
}
