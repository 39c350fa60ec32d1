//! What every record starts with: schema, type, id, session id.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ContainerId, PodUid, RecorderId};

/// The schema that records are written in.
pub const SCHEMA: &str = "debugtrail.dev/record/v1";

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecordType {
    /// A session's main process began to run.
    SessionStarted,
    /// A session's main process ended, or can no longer be witnessed.
    SessionEnded,
    /// What became known of a session after its end was recorded: the API's word, or its name.
    SessionReconciled,
    /// Processes of a session that ended, the main one left out.
    SessionProcesses,
    /// The last process of a session ended.
    SessionClosed,
    /// Evidence is missing.
    Gap,
    /// debugtrail began to witness.
    AgentStarted,
    /// debugtrail ceased to witness.
    AgentStopped,
    /// The wall clock was stepped.
    ClockStepped,
}

impl RecordType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::SessionStarted,
        Self::SessionEnded,
        Self::SessionReconciled,
        Self::SessionProcesses,
        Self::SessionClosed,
        Self::Gap,
        Self::AgentStarted,
        Self::AgentStopped,
        Self::ClockStepped,
    ];

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionStarted => "session_started",
            Self::SessionEnded => "session_ended",
            Self::SessionReconciled => "session_reconciled",
            Self::SessionProcesses => "session_processes",
            Self::SessionClosed => "session_closed",
            Self::Gap => "gap",
            Self::AgentStarted => "agent_started",
            Self::AgentStopped => "agent_stopped",
            Self::ClockStepped => "clock_stepped",
        }
    }
}

/// A session's name: its container's id, or `pod_uid/container_name` where no container ever was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// Of a session that has a container.
    #[must_use]
    pub fn of_container(id: &ContainerId) -> Self {
        Self(id.to_string())
    }

    /// Of a session whose container was never made.
    #[must_use]
    pub fn of_declaration(pod: &PodUid, container_name: &str) -> Self {
        Self(format!("{pod}/{container_name}"))
    }

    /// The bare text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a record about the node. Who gives it never gives a sequence twice under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordNumber {
    /// Who numbers.
    pub recorder: RecorderId,
    /// Counted from 1.
    pub sequence: u64,
}

/// The first fields of every record. The id is derived, so that a replay gives the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Head {
    schema: Cow<'static, str>,
    #[serde(rename = "type")]
    record_type: RecordType,
    id: String,
    session_id: Option<SessionId>,
}

impl Head {
    /// Of a record about one session: `type:session_id`.
    #[must_use]
    pub fn of_session(record_type: RecordType, session_id: SessionId) -> Self {
        let id = format!("{}:{session_id}", record_type.name());
        Self { schema: Cow::Borrowed(SCHEMA), record_type, id, session_id: Some(session_id) }
    }

    /// Of one of several records of a kind about one session: `type:session_id:n`.
    #[must_use]
    pub fn of_part(record_type: RecordType, session_id: SessionId, n: u64) -> Self {
        let id = format!("{}:{session_id}:{n}", record_type.name());
        Self { schema: Cow::Borrowed(SCHEMA), record_type, id, session_id: Some(session_id) }
    }

    /// Of a record about the node: `type:recorder:sequence`.
    #[must_use]
    pub fn of_node(record_type: RecordType, number: &RecordNumber) -> Self {
        let RecordNumber { recorder, sequence } = number;
        let id = format!("{}:{recorder}:{sequence}", record_type.name());
        Self { schema: Cow::Borrowed(SCHEMA), record_type, id, session_id: None }
    }

    /// What the record is about.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// The record's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The session that the record is about.
    #[must_use]
    pub fn session_id(&self) -> Option<&SessionId> {
        self.session_id.as_ref()
    }
}

#[cfg(test)]
impl RecordNumber {
    /// Of one recorder, for tests.
    pub(crate) fn test(sequence: u64) -> Self {
        let recorder = RecorderId::parse("00112233445566778899aabbccddeeff").expect("an id");
        Self { recorder, sequence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_derived() {
        let session = SessionId::of_declaration(&PodUid::new("78089609-0000"), "dbg");
        let head = Head::of_session(RecordType::SessionEnded, session);
        assert_eq!(head.id(), "session_ended:78089609-0000/dbg");
        let head = Head::of_node(RecordType::Gap, &RecordNumber::test(3));
        assert_eq!(head.id(), "gap:00112233445566778899aabbccddeeff:3");
        let json = serde_json::to_string(&head).unwrap();
        assert!(
            json.starts_with(r#"{"schema":"debugtrail.dev/record/v1","type":"gap","id":"gap:0011"#),
            "{json}"
        );
    }

    #[test]
    fn names_are_the_json_names() {
        for record_type in RecordType::ALL {
            assert_eq!(serde_json::to_string(&record_type).unwrap(), format!("\"{}\"", record_type.name()));
        }
    }
}
