//! What debugtrail says: records of the schema `debugtrail.dev/record/v1`, one JSON object a line.
//!
//! A record is appended once and never rewritten. Fields stand in the order of the schema's table; what is not
//! known is null, never left out and never guessed.

mod agent;
pub mod convention;
mod evidence;
pub mod exit;
mod gap;
mod head;
mod processes;
mod read;
pub mod redact;
mod session;
pub mod signal;
pub mod table;

pub use agent::{AgentIdentity, AgentRecord, ClockStepRecord, StopReason};
pub use convention::{Convention, ConventionError};
pub use evidence::{
    ApiEvidence, Disagreement, Evidence, KernelEvidence, KindBy, NamedBy, PodEvidence, RuntimeEvidence,
    Synthetic,
};
pub use exit::{Exit, ExitClass, WaitStatus};
pub use gap::{GapReason, GapRecord, LossCount, LossKind, PodNamed, RecordRange};
pub use head::{Head, RecordNumber, RecordType, SCHEMA, SessionId};
pub use processes::{
    ClosedRecord, Entered, EnteredBy, LeftTo, ProcessEnd, ProcessesRecord, SessionUsage, Usage,
};
pub use read::ReadError;
pub use session::{
    ExitMeaning, Identity, KernelKill, KilledBy, KillerPlace, MainProcess, OomLimit, RequestedBy,
    SessionKind, SessionRecord, Severity,
};

use serde::Serialize;

use crate::visible;

/// One record, as sinks see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Record {
    /// `session_started`, `session_ended` or `session_reconciled`.
    Session(Box<SessionRecord>),
    /// `session_processes`.
    Processes(Box<ProcessesRecord>),
    /// `session_closed`.
    Closed(Box<ClosedRecord>),
    /// `gap`: evidence is missing.
    Gap(GapRecord),
    /// `agent_started` or `agent_stopped`.
    Agent(AgentRecord),
    /// `clock_stepped`.
    ClockStep(ClockStepRecord),
}

impl Record {
    /// Schema, type and ids.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Self::Session(record) => &record.head,
            Self::Processes(record) => &record.head,
            Self::Closed(record) => &record.head,
            Self::Gap(record) => &record.head,
            Self::Agent(record) => &record.head,
            Self::ClockStep(record) => &record.head,
        }
    }

    /// The namespace of the session that the record is about; `None` for records about the node or an unnamed session.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Session(record) => record.identity.namespace.as_deref(),
            Self::Processes(record) => record.identity.namespace.as_deref(),
            Self::Closed(record) => record.identity.namespace.as_deref(),
            Self::Gap(_) | Self::Agent(_) | Self::ClockStep(_) => None,
        }
    }

    /// The record as one line of JSON, without the line's end.
    ///
    /// # Errors
    /// None of the types of this module fails to serialise; the error is serde_json's own.
    pub fn to_json_line(&self) -> serde_json::Result<String> {
        visible::json(self)
    }
}

#[cfg(test)]
mod schema_tests;
