//! What the agent knows from before it started: its ledger's history, and the state kept beside it. Pure.

use std::collections::{HashMap, HashSet};

use crate::ids::{BootId, BootNanos};
use crate::ledger::{Heartbeat, History, Snapshot};
use crate::pods::PodFacts;
use crate::record::{SessionId, SessionRecord};
use crate::session::{Remembered, Reported};

/// Empty for `trace`, which keeps nothing, and for the first agent on a node.
#[derive(Debug, Default)]
pub struct Memory {
    /// Pods as last known; the API may be away.
    pub(super) pods: Vec<PodFacts>,
    /// Sessions that were live in this boot.
    pub(super) live: Vec<Remembered>,
    /// Sessions that were live in an earlier boot: no process of theirs can be.
    pub(super) cut_off: Vec<SessionRecord>,
    /// Ends to which the API's status is still to be added.
    pub(super) unreconciled: Vec<SessionRecord>,
    /// Ends that were reported.
    pub(super) reported: HashSet<SessionId>,
    /// What was reported of the processes of those that are not closed.
    pub(super) unclosed: HashMap<SessionId, Reported>,
    /// The last sequence number given in this boot.
    pub(super) sequence: u64,
    /// The last sign of life.
    pub(super) last_alive: Option<Heartbeat>,
}

impl Memory {
    /// Of a ledger and what was kept beside it, in this boot.
    #[must_use]
    pub fn of(mut history: History, heartbeat: Option<Heartbeat>, snapshot: Snapshot, boot: &BootId) -> Self {
        let mut memory = Self {
            pods: snapshot.pods,
            sequence: history.sequence,
            last_alive: heartbeat,
            unreconciled: history.take_unreconciled().collect(),
            ..Self::default()
        };
        // The ledger knows more of a session than the state: it is durable first.
        let unreported = snapshot.live.into_iter().filter(|record| {
            let session = record.head.session_id();
            session.is_some_and(|id| !history.is_open(id) && !history.is_ended(id))
        });
        let unreported: Vec<_> = unreported.map(|started| (started, false)).collect();
        let reported: Vec<_> = history.take_open().map(|started| (started, true)).collect();
        for (started, reported) in reported.into_iter().chain(unreported) {
            if started.clock.boot_id == *boot {
                let session = started.head.session_id();
                let processes = session.map(|id| history.processes(id)).unwrap_or_default();
                memory.live.push(Remembered { started, reported, processes });
            } else {
                memory.cut_off.push(started);
            }
        }
        memory.unclosed = history.unclosed().map(|id| (id.clone(), history.processes(id))).collect();
        memory.reported = history.ended();
        memory
    }
}

impl Memory {
    /// The last sign of life, where it was in this boot.
    pub(super) fn alive_in(&self, boot: &BootId) -> Option<BootNanos> {
        self.last_alive.as_ref().filter(|alive| alive.boot_id == *boot).map(|alive| alive.boot_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockState;
    use crate::ids::ContainerId;
    use crate::record::{Evidence, Exit, KernelEvidence, Record};

    fn session(n: u8) -> SessionId {
        SessionId::of_container(&ContainerId::parse(&format!("{n:064x}")).unwrap())
    }

    fn started(n: u8, boot: &str) -> SessionRecord {
        let clock = ClockState { boot_id: BootId::new(boot), synchronized: None, max_error_us: None };
        SessionRecord::started(session(n), Evidence::of_kernel(KernelEvidence::Full), clock)
    }

    fn ended(n: u8) -> SessionRecord {
        let evidence = Evidence::of_kernel(KernelEvidence::Full);
        SessionRecord::ended(session(n), Exit::unknown(), evidence, started(n, "b1").clock)
    }

    fn ids<'a>(records: impl IntoIterator<Item = &'a SessionRecord>) -> Vec<SessionId> {
        records.into_iter().filter_map(|record| record.head.session_id().cloned()).collect()
    }

    #[test]
    fn live_sessions_come_from_ledger_and_state_each_once() {
        let mut history = History::new(BootId::new("b1"));
        for record in [started(1, "b1"), started(2, "b0"), ended(3)] {
            history.read(&Record::Session(Box::new(record)).to_json_line().unwrap());
        }
        // 1 is in both, 3 ended after the state was kept, 4 and 5 were found running and never reported.
        let live = vec![started(1, "b1"), started(3, "b1"), started(4, "b1"), started(5, "b0")];
        let memory = Memory::of(history, None, Snapshot { pods: Vec::new(), live }, &BootId::new("b1"));
        let live: Vec<_> = memory.live.iter().map(|live| (&live.started, live.reported)).collect();
        assert_eq!(ids(live.iter().map(|(started, _)| *started)), [session(1), session(4)]);
        assert_eq!(live.iter().map(|(_, reported)| *reported).collect::<Vec<_>>(), [true, false]);
        assert_eq!(ids(&memory.cut_off), [session(2), session(5)]);
        assert_eq!(
            (ids(&memory.unreconciled), memory.reported),
            (vec![session(3)], HashSet::from([session(3)]))
        );
    }
}
