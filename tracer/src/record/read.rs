//! Reading records back, from a ledger or a pipe. Pure.

use serde::Deserialize;
use thiserror::Error;

use super::{
    AgentRecord, ClockStepRecord, ClosedRecord, GapRecord, ProcessesRecord, Record, RecordType, SCHEMA,
    SessionRecord,
};

/// Why a line is no record of this schema.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The line is not the JSON of a record.
    #[error("not a record: {0}")]
    Json(#[from] serde_json::Error),
    /// The record is of another schema, such as a later version's.
    #[error("a record of the schema {0:?}, and this debugtrail reads {SCHEMA:?}")]
    Schema(String),
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    schema: std::borrow::Cow<'a, str>,
    #[serde(rename = "type")]
    record_type: RecordType,
}

impl Record {
    /// Reads one line of JSON.
    ///
    /// # Errors
    /// Where the line is not a record of the schema `debugtrail.dev/record/v1`.
    pub fn from_json_line(line: &str) -> Result<Self, ReadError> {
        let kind: Kind<'_> = serde_json::from_str(line)?;
        if kind.schema != SCHEMA {
            return Err(ReadError::Schema(kind.schema.into_owned()));
        }
        Ok(match kind.record_type {
            RecordType::SessionStarted | RecordType::SessionEnded | RecordType::SessionReconciled => {
                Self::Session(serde_json::from_str::<Box<SessionRecord>>(line)?)
            }
            RecordType::SessionProcesses => {
                Self::Processes(serde_json::from_str::<Box<ProcessesRecord>>(line)?)
            }
            RecordType::SessionClosed => Self::Closed(serde_json::from_str::<Box<ClosedRecord>>(line)?),
            RecordType::Gap => Self::Gap(serde_json::from_str::<GapRecord>(line)?),
            RecordType::AgentStarted | RecordType::AgentStopped => {
                Self::Agent(serde_json::from_str::<AgentRecord>(line)?)
            }
            RecordType::ClockStepped => Self::ClockStep(serde_json::from_str::<ClockStepRecord>(line)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ClockState, SessionTimes, WallTime};
    use crate::ids::{BootId, BootNanos, ContainerId, Pid};
    use crate::record::{
        ApiEvidence, Evidence, Exit, GapReason, Identity, KernelEvidence, MainProcess, RecordNumber,
        SessionId, SessionKind, Synthetic, WaitStatus,
    };

    const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";

    fn clock() -> ClockState {
        ClockState { boot_id: BootId::new("b0"), synchronized: Some(true), max_error_us: None }
    }

    fn session() -> SessionRecord {
        let id = SessionId::of_container(&ContainerId::parse(ID).unwrap());
        let api = ApiEvidence {
            exit_code: Some(255),
            synthetic: Some(Synthetic::Unknown),
            agrees: Some(false),
            ..ApiEvidence::default()
        };
        let evidence = Evidence { api: Some(api), ..Evidence::of_kernel(KernelEvidence::Full) };
        SessionRecord {
            identity: Identity {
                namespace: Some("default".into()),
                session_kind: Some(SessionKind::Ephemeral),
                ..Identity::default()
            },
            times: SessionTimes {
                started_at: Some(WallTime::from_unix_nanos(1_795_447_614_000_000_000)),
                duration_ns: Some(u64::MAX),
                duration_seconds: Some(2.932_333_545_999_999_7),
                finished_boot_ns: Some(BootNanos(u64::MAX)),
                ..SessionTimes::default()
            },
            main: Some(MainProcess {
                pid: Pid(26623),
                pid_in_container: Some(Pid(31)),
                comm: Some("sh".into()),
                exe: None,
                argv: None,
                argv_truncated: None,
            }),
            ..SessionRecord::ended(id, Exit::observed(WaitStatus(9), false), evidence, clock())
        }
    }

    #[test]
    fn a_written_record_is_read_back() {
        let gap = GapRecord {
            lost: Some(3),
            sessions: vec![session().head.session_id().unwrap().clone()],
            ..GapRecord::new(GapReason::AgentAway, &RecordNumber::test(7), clock())
        };
        for record in [
            Record::Session(Box::new(session())),
            Record::Session(Box::new(session().reconciled(clock()))),
            Record::Gap(gap),
        ] {
            let line = record.to_json_line().unwrap();
            assert_eq!(Record::from_json_line(&line).unwrap(), record);
        }
    }

    #[test]
    fn a_reconciled_record_has_an_id_of_its_own() {
        let record = session().reconciled(clock());
        assert_eq!(record.head.id(), format!("session_reconciled:{ID}"));
        assert_eq!(record.identity, session().identity);
    }

    #[test]
    fn other_lines_are_refused_with_the_reason() {
        let torn = Record::from_json_line("{\"schema\":\"debugtrail.dev/rec").unwrap_err();
        assert!(torn.to_string().starts_with("not a record: EOF"), "{torn}");
        let later = Record::from_json_line("{\"schema\":\"debugtrail.dev/record/v2\",\"type\":\"gap\"}");
        assert!(later.unwrap_err().to_string().contains("debugtrail.dev/record/v2"));
    }
}
