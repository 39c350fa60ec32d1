//! What a ledger has told so far, from its lines. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use crate::ids::BootId;
use crate::record::{GapReason, KernelEvidence, Record, RecordType, SessionId, SessionRecord};
use crate::session::Told;

/// What was told, as far as the kept segments say.
#[derive(Debug)]
pub struct History {
    boot: BootId,
    /// The highest sequence number given in this boot; 0 where none was.
    pub sequence: u64,
    /// Sessions that began and have not ended: their `session_started`.
    pub open: BTreeMap<SessionId, SessionRecord>,
    /// Sessions whose end was told.
    pub ended: HashSet<SessionId>,
    /// Ends without a `session_reconciled` yet.
    pub unreconciled: BTreeMap<SessionId, SessionRecord>,
    /// What was told of the processes of sessions that are not closed.
    pub processes: HashMap<SessionId, Told>,
    /// Sessions of this boot whose processes were witnessed to the end of the main one, and not to the last one's.
    pub unclosed: HashSet<SessionId>,
    /// Lines that are no record of this schema.
    pub unreadable: u64,
}

/// All that most lines are asked for.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(rename = "type")]
    record_type: RecordType,
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
}

impl History {
    /// Of an empty ledger, asked in this boot.
    #[must_use]
    pub fn new(boot: BootId) -> Self {
        Self {
            boot,
            sequence: 0,
            open: BTreeMap::new(),
            ended: HashSet::new(),
            unreconciled: BTreeMap::new(),
            processes: HashMap::new(),
            unclosed: HashSet::new(),
            unreadable: 0,
        }
    }

    /// Takes in the next line.
    pub fn read(&mut self, line: &str) {
        let Ok(glance) = serde_json::from_str::<Glance<'_>>(line) else {
            self.unreadable += 1;
            return;
        };
        match glance.record_type {
            RecordType::SessionStarted | RecordType::SessionEnded | RecordType::SessionReconciled => {
                self.read_session(line);
            }
            RecordType::SessionProcesses | RecordType::SessionClosed => self.read_processes(line),
            RecordType::Gap => {
                self.read_sequence(&glance.id);
                self.read_gap(line);
            }
            RecordType::AgentStarted | RecordType::AgentStopped | RecordType::ClockStepped => {
                self.read_sequence(&glance.id);
            }
        }
    }

    fn read_session(&mut self, line: &str) {
        let Ok(Record::Session(record)) = Record::from_json_line(line) else {
            self.unreadable += 1;
            return;
        };
        let Some(session) = record.head.session_id().cloned() else { return };
        match record.head.record_type() {
            RecordType::SessionStarted if !self.ended.contains(&session) => {
                self.open.insert(session, *record);
            }
            RecordType::SessionEnded => {
                self.open.remove(&session);
                self.ended.insert(session.clone());
                let witnessed =
                    matches!(record.evidence.kernel, KernelEvidence::Full | KernelEvidence::ExitOnly);
                if witnessed && record.clock.boot_id == self.boot {
                    self.unclosed.insert(session.clone());
                }
                self.unreconciled.insert(session, *record);
            }
            _ => {
                self.unreconciled.remove(&session);
            }
        }
    }

    /// What nobody witnessed any more will not be closed.
    fn read_gap(&mut self, line: &str) {
        if let Ok(Record::Gap(gap)) = Record::from_json_line(line)
            && gap.reason == GapReason::AgentAway
        {
            self.unclosed.retain(|session| !gap.sessions.contains(session));
        }
    }

    fn read_processes(&mut self, line: &str) {
        match Record::from_json_line(line) {
            Ok(Record::Processes(record)) => {
                let Some(session) = record.head.session_id().cloned() else { return };
                let told = self.processes.entry(session).or_default();
                told.chunks = told.chunks.max(record.chunk + 1);
                told.processes += record.processes.len() as u64;
            }
            Ok(Record::Closed(record)) => {
                let Some(session) = record.head.session_id() else { return };
                self.processes.remove(session);
                self.unclosed.remove(session);
            }
            _ => self.unreadable += 1,
        }
    }

    /// `type:boot:sequence`.
    fn read_sequence(&mut self, id: &str) {
        let parts = id.rsplit_once(':').and_then(|(rest, n)| Some((rest, n.parse::<u64>().ok()?)));
        if let Some((rest, sequence)) = parts
            && rest.ends_with(&format!(":{}", self.boot))
        {
            self.sequence = self.sequence.max(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockState;
    use crate::ids::ContainerId;
    use crate::record::{Evidence, Exit, GapRecord};

    fn clock(boot: &str) -> ClockState {
        ClockState { boot_id: BootId::new(boot), synchronized: None, max_error_us: None }
    }

    fn session(n: u8) -> SessionId {
        SessionId::of_container(&ContainerId::parse(&format!("{n:064x}")).unwrap())
    }

    fn evidence() -> Evidence {
        Evidence::of_kernel(KernelEvidence::Full)
    }

    fn started(n: u8) -> SessionRecord {
        SessionRecord::started(session(n), evidence(), clock("b1"))
    }

    fn ended(n: u8) -> SessionRecord {
        SessionRecord::ended(session(n), Exit::unknown(), evidence(), clock("b1"))
    }

    fn history(records: Vec<Record>) -> History {
        let mut history = History::new(BootId::new("b1"));
        for record in records {
            history.read(&record.to_json_line().unwrap());
        }
        history
    }

    fn of(record: SessionRecord) -> Record {
        Record::Session(Box::new(record))
    }

    #[test]
    fn what_began_is_open_until_it_ended() {
        let history = history(vec![of(started(1)), of(started(2)), of(ended(1))]);
        assert_eq!(history.open.keys().collect::<Vec<_>>(), [&session(2)]);
        assert_eq!(history.open[&session(2)], started(2));
        assert_eq!(history.ended, HashSet::from([session(1)]));
    }

    #[test]
    fn an_end_waits_for_its_reconciliation() {
        let reconciled = ended(1).reconciled(clock("b1"));
        let history = history(vec![of(ended(1)), of(ended(2)), of(reconciled)]);
        assert_eq!(history.unreconciled.into_keys().collect::<Vec<_>>(), [session(2)]);
    }

    #[test]
    fn numbers_go_on_within_a_boot() {
        let gap = |n, boot| Record::Gap(GapRecord::new(GapReason::RingFull, n, clock(boot)));
        assert_eq!(history(vec![gap(3, "b1"), gap(7, "b1"), gap(90, "b0")]).sequence, 7);
        assert_eq!(history(vec![gap(90, "b0")]).sequence, 0);
    }

    #[test]
    fn lines_that_are_none_are_counted_and_passed_over() {
        let mut history = history(vec![of(started(1))]);
        for line in ["", "{}", "{\"type\":\"session_ended\",\"id\":\"x\"}", "nonsense"] {
            history.read(line);
        }
        assert_eq!((history.unreadable, history.open.len()), (4, 1));
    }
}
