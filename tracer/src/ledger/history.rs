//! What a ledger has reported so far, from its lines. Pure.

mod recent;

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

use super::ranges::Ranges;
use crate::ids::BootId;
use crate::record::{GapReason, GapRecord, KernelEvidence, Record, RecordType, SessionId, SessionRecord};
use crate::session::{KEPT, Reported};
use recent::{Bound, Recent, Weight};

/// Sessions that began and have not ended: as many as the kernel's map of cgroups has entries, and as many again.
const OPEN: Bound = Bound { sessions: 8192, bytes: 16 << 20 };
/// Ends that were reported. What asks for them is of now: a container that is still there, or one that ended
/// while no agent ran.
const ENDED: Bound = Bound { sessions: 32_768, bytes: usize::MAX };
/// Ends that wait for the API's status: as many as will be waited for.
const UNRECONCILED: Bound = Bound { sessions: KEPT, bytes: 8 << 20 };
/// What was reported of processes.
const PROCESSES: Bound = Bound { sessions: 8192, bytes: usize::MAX };

/// What was reported, as far as the kept segments say; of the newest sessions, so that no ledger is too large
/// to be read.
#[derive(Debug)]
pub struct History {
    boot: BootId,
    /// The highest sequence number given in this boot; 0 where none was.
    pub sequence: u64,
    /// Lines that are no record of this schema.
    pub unreadable: u64,
    /// The lines of starts without an end.
    open: Recent<String>,
    ended: Recent<()>,
    /// The lines of ends without a `session_reconciled`.
    unreconciled: Recent<String>,
    processes: Recent<Reported>,
    unclosed: Recent<()>,
    reported_missing: Ranges,
}

impl Weight for Reported {
    fn bytes(&self) -> usize {
        0
    }
}

/// All that most lines are asked for.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(rename = "type")]
    record_type: RecordType,
    #[serde(borrow)]
    id: Cow<'a, str>,
    session_id: Option<SessionId>,
    evidence: Option<GlanceEvidence>,
    clock: GlanceClock,
}

#[derive(Deserialize)]
struct GlanceEvidence {
    kernel: KernelEvidence,
}

#[derive(Deserialize)]
struct GlanceClock {
    boot_id: BootId,
}

impl History {
    /// Of an empty ledger, asked in this boot.
    #[must_use]
    pub fn new(boot: BootId) -> Self {
        Self {
            boot,
            sequence: 0,
            unreadable: 0,
            open: Recent::within(OPEN),
            ended: Recent::within(ENDED),
            unreconciled: Recent::within(UNRECONCILED),
            processes: Recent::within(PROCESSES),
            unclosed: Recent::within(PROCESSES),
            reported_missing: Ranges::default(),
        }
    }

    /// Whether a session's end was reported.
    #[must_use]
    pub fn is_ended(&self, session: &SessionId) -> bool {
        self.ended.contains(session)
    }

    /// Whether a session's start was reported, and no end.
    #[must_use]
    pub fn is_open(&self, session: &SessionId) -> bool {
        self.open.contains(session)
    }

    /// Sessions whose end was reported.
    #[must_use]
    pub fn ended(&self) -> HashSet<SessionId> {
        self.ended.sessions().cloned().collect()
    }

    /// The `session_started` of sessions that have not ended, oldest first. They are not kept.
    pub fn take_open(&mut self) -> impl Iterator<Item = SessionRecord> {
        sessions_in(&mut self.open)
    }

    /// The `session_ended` of those without a `session_reconciled`, oldest first. They are not kept.
    pub fn take_unreconciled(&mut self) -> impl Iterator<Item = SessionRecord> {
        sessions_in(&mut self.unreconciled)
    }

    /// What was reported of the processes of a session that is not closed.
    #[must_use]
    pub fn processes(&self, session: &SessionId) -> Reported {
        self.processes.get(session).copied().unwrap_or_default()
    }

    /// Sessions of this boot whose processes were seen to the end of the main one, and not to the last one's.
    pub fn unclosed(&self) -> impl Iterator<Item = &SessionId> {
        self.unclosed.sessions()
    }

    /// Sessions without an end that were given up as there are newer ones: none on a node that is well.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.open.forgotten()
    }

    /// Which records were said to be missing.
    pub(super) fn reported_missing(&self) -> &Ranges {
        &self.reported_missing
    }

    /// Takes in the next line; whether it is a record that this version knows.
    pub fn read(&mut self, line: &str) -> bool {
        let unreadable = self.unreadable;
        self.take_in(line);
        self.unreadable == unreadable
    }

    fn take_in(&mut self, line: &str) {
        let Ok(glance) = serde_json::from_str::<Glance<'_>>(line) else {
            self.unreadable += 1;
            return;
        };
        match (glance.record_type, &glance.session_id) {
            (
                RecordType::SessionStarted | RecordType::SessionEnded | RecordType::SessionReconciled,
                Some(_),
            ) => self.read_session(glance, line),
            (RecordType::SessionProcesses | RecordType::SessionClosed, Some(_)) => self.read_processes(line),
            (RecordType::Gap, None) => {
                self.read_sequence(&glance);
                self.read_gap(line);
            }
            (RecordType::AgentStarted | RecordType::AgentStopped | RecordType::ClockStepped, None) => {
                self.read_sequence(&glance);
            }
            _ => self.unreadable += 1,
        }
    }

    fn read_session(&mut self, glance: Glance<'_>, line: &str) {
        let (Some(session), Some(evidence)) = (glance.session_id, glance.evidence) else {
            self.unreadable += 1;
            return;
        };
        match glance.record_type {
            RecordType::SessionStarted => {
                if !self.ended.contains(&session) {
                    self.open.insert(session, line.to_owned());
                }
            }
            RecordType::SessionEnded => {
                self.open.remove(&session);
                self.ended.insert(session.clone(), ());
                let observed = matches!(evidence.kernel, KernelEvidence::Full | KernelEvidence::ExitOnly);
                if observed && glance.clock.boot_id == self.boot {
                    self.unclosed.insert(session.clone(), ());
                }
                self.unreconciled.insert(session, line.to_owned());
            }
            _ => self.unreconciled.remove(&session),
        }
    }

    /// What nothing recorded any more will not be closed.
    fn read_gap(&mut self, line: &str) {
        let Ok(Record::Gap(gap)) = Record::from_json_line(line) else { return };
        let GapRecord { reason, sessions, sessions_truncated, records, .. } = gap;
        if reason == GapReason::AgentAway {
            sessions.iter().for_each(|session| self.unclosed.remove(session));
            if sessions_truncated {
                self.unclosed.clear();
            }
        }
        for range in records.into_iter().filter(|range| range.first <= range.last) {
            self.reported_missing.add(range);
        }
    }

    fn read_processes(&mut self, line: &str) {
        match Record::from_json_line(line) {
            Ok(Record::Processes(record)) => {
                let Some(session) = record.head.session_id() else { return };
                self.processes.change(session, |reported| {
                    reported.chunks = reported.chunks.max(record.chunk.saturating_add(1));
                    reported.processes += record.processes.len() as u64;
                });
            }
            Ok(Record::Closed(record)) => {
                let Some(session) = record.head.session_id() else { return };
                self.processes.remove(session);
                self.unclosed.remove(session);
            }
            _ => self.unreadable += 1,
        }
    }

    /// `type:recorder:sequence`. Earlier versions and other recorders of this boot numbered on in the same
    /// way: what the kernel keeps of a loss that was reported is found by the number alone.
    fn read_sequence(&mut self, glance: &Glance<'_>) {
        let sequence = glance.id.rsplit_once(':').and_then(|(_, n)| n.parse::<u64>().ok());
        if let Some(sequence) = sequence.filter(|n| *n < super::segments::MOST)
            && glance.clock.boot_id == self.boot
        {
            self.sequence = self.sequence.max(sequence);
        }
    }
}

/// One at a time, so that a line goes when its record comes.
fn sessions_in(lines: &mut Recent<String>) -> impl Iterator<Item = SessionRecord> {
    lines.drain().filter_map(|(_, line)| match Record::from_json_line(&line) {
        Ok(Record::Session(record)) => Some(*record),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockState;
    use crate::ids::ContainerId;
    use crate::record::{Evidence, Exit, RecordNumber, RecordRange};

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
    fn a_session_is_open_until_it_ends() {
        let mut history = history(vec![of(started(1)), of(started(2)), of(ended(1))]);
        assert_eq!(history.take_open().collect::<Vec<_>>(), [started(2)]);
        assert_eq!(history.ended(), HashSet::from([session(1)]));
    }

    #[test]
    fn an_end_waits_for_its_reconciliation() {
        let reconciled = ended(1).reconciled(clock("b1"));
        let mut history = history(vec![of(ended(1)), of(ended(2)), of(reconciled)]);
        assert_eq!(history.take_unreconciled().collect::<Vec<_>>(), [ended(2)]);
    }

    #[test]
    fn numbers_go_on_within_a_boot() {
        let gap =
            |n, boot| Record::Gap(GapRecord::new(GapReason::RingFull, &RecordNumber::test(n), clock(boot)));
        assert_eq!(history(vec![gap(3, "b1"), gap(7, "b1"), gap(90, "b0")]).sequence, 7);
        assert_eq!(history(vec![gap(90, "b0")]).sequence, 0);
    }

    #[test]
    fn lines_of_no_record_are_counted_and_passed_over() {
        let mut history = history(vec![of(started(1))]);
        for line in ["", "{}", "{\"type\":\"session_ended\",\"id\":\"x\"}", "nonsense"] {
            history.read(line);
        }
        assert_eq!((history.unreadable, history.take_open().count()), (4, 1));
    }

    /// Of a ledger that a version before recorder ids has written in this boot.
    #[test]
    fn numbers_go_on_after_an_upgrade_and_after_a_lost_id() {
        let mut history = history(Vec::new());
        let line = |id: &str, boot: &str| {
            let gap = Record::Gap(GapRecord::new(GapReason::RingFull, &RecordNumber::test(1), clock(boot)));
            let mut json: serde_json::Value = serde_json::from_str(&gap.to_json_line().unwrap()).unwrap();
            json["id"] = id.into();
            let fields = json.as_object_mut().unwrap();
            fields.remove("records");
            fields.remove("sessions_truncated");
            json.to_string()
        };
        history.read(&line("gap:b1:12", "b1"));
        history.read(&line("gap:b0:90", "b0"));
        history.read(&line("gap:ffffffffffffffffffffffffffffffff:13", "b1"));
        history.read(&line("gap:b1:18446744073709551615", "b1"));
        assert_eq!((history.sequence, history.unreadable), (13, 0));
    }

    #[test]
    fn reported_missing_records_are_remembered() {
        let (first, last) = (3, 9);
        let gap = GapRecord {
            records: vec![RecordRange { first, last }, RecordRange { first: last, last: first }],
            ..GapRecord::new(GapReason::LedgerDamaged, &RecordNumber::test(1), clock("b1"))
        };
        let history = history(vec![Record::Gap(gap)]);
        assert_eq!(history.reported_missing().iter().collect::<Vec<_>>(), [RecordRange { first, last }]);
    }

    #[test]
    fn of_too_many_waiting_ends_the_newest_are_kept() {
        let mut history = History::new(BootId::new("b1"));
        for n in 0..3 * KEPT {
            let id = SessionId::of_container(&ContainerId::parse(&format!("{n:064x}")).unwrap());
            let record = SessionRecord::ended(id, Exit::unknown(), evidence(), clock("b1"));
            history.read(&of(record).to_json_line().unwrap());
        }
        assert_eq!(history.ended().len(), 3 * KEPT);
        let kept: Vec<_> = history.take_unreconciled().collect();
        assert_eq!(kept.len(), KEPT);
        let first = kept[0].head.session_id().unwrap().to_string();
        assert_eq!(first, format!("{:064x}", 2 * KEPT));
    }
}
