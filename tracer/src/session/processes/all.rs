//! What is kept of all sessions' processes, within one bound: the session that keeps most makes room for the
//! others. Pure.

use std::collections::HashMap;

use super::{Chunk, EndedProcess, Processes, Program, RECORDED, Reported, Totals};
use crate::ids::ContainerId;
use crate::kernel::event::{Executed, MemberEnded};

/// Bytes that are kept at most. A container that keeps less than its even share of them loses
/// nothing to others.
pub const HELD: usize = 16 << 20;

/// The processes of each container of interest.
#[derive(Debug)]
pub(in super::super) struct AllProcesses {
    /// Processes of one session that are reported.
    limit: u64,
    by_container: HashMap<ContainerId, Processes>,
    /// Bytes of all.
    held: usize,
    /// Containers of which any are kept.
    holders: usize,
}

impl Default for AllProcesses {
    fn default() -> Self {
        Self::new(RECORDED)
    }
}

impl AllProcesses {
    /// Of each session `limit` are to be reported.
    pub(in super::super) fn new(limit: u64) -> Self {
        Self { limit, by_container: HashMap::new(), held: 0, holders: 0 }
    }

    /// Goes on after what an earlier debugtrail reported of a container.
    pub(in super::super) fn go_on_after(&mut self, id: &ContainerId, reported: Reported) {
        self.change(id, |processes| processes.go_on_after(reported));
    }

    /// Takes in what a process executes.
    pub(in super::super) fn executed(&mut self, id: &ContainerId, executed: Executed) {
        let Executed { process, at, exe, args, .. } = executed;
        let program = Program { at, exe, args };
        let room = self.room_of(id, program.held_bytes());
        self.change(id, |processes| processes.executed(process, program, room));
    }

    /// Takes in the end of a process; whether there are enough for a record.
    pub(in super::super) fn ended(&mut self, id: &ContainerId, end: MemberEnded) -> bool {
        // Its program is kept already.
        let ended = EndedProcess { end, program: None };
        let room = self.room_of(id, ended.held_bytes());
        self.change(id, |processes| {
            processes.ended(ended.end, room);
            processes.is_full()
        })
    }

    /// Takes out what is still to be reported of a container.
    pub(in super::super) fn take(&mut self, id: &ContainerId) -> Vec<Chunk> {
        if self.by_container.contains_key(id) { self.change(id, Processes::take) } else { Vec::new() }
    }

    /// Those of one container.
    pub(in super::super) fn get(&self, id: &ContainerId) -> Option<&Processes> {
        self.by_container.get(id)
    }

    /// What is known of all those of one container.
    pub(in super::super) fn totals(&self, id: &ContainerId) -> Totals {
        self.get(id).map(Processes::totals).unwrap_or_default()
    }

    /// Drops all that is kept of a container.
    pub(in super::super) fn remove(&mut self, id: &ContainerId) {
        if let Some(gone) = self.by_container.remove(id) {
            self.held -= gone.held_bytes();
            self.holders -= usize::from(gone.held_bytes() > 0);
        }
    }

    /// Containers with ends that wait to be reported.
    pub(in super::super) fn waiting(&self) -> Vec<ContainerId> {
        let waiting = self.by_container.iter().filter(|(_, processes)| processes.is_waiting());
        waiting.map(|(id, _)| id.clone()).collect()
    }

    /// Bytes that are kept of all, never more than [`HELD`].
    pub(in super::super) fn held_bytes(&self) -> usize {
        self.held
    }

    /// How many bytes a container may keep that is about to keep some more. Where all are in use,
    /// one that has its share may not grow, and one that has less gets them of the one that has
    /// most.
    fn room_of(&mut self, id: &ContainerId, more: usize) -> usize {
        let own = self.get(id).map_or(0, Processes::held_bytes);
        let free = HELD - self.held;
        if more <= free {
            return own + free;
        }
        let share = HELD / (self.holders + usize::from(own == 0));
        if own + more > share {
            return own;
        }
        let most = self.by_container.iter().max_by_key(|(_, processes)| processes.held_bytes());
        if let Some(most) = most.map(|(id, _)| id.clone()) {
            // Not just as much as is needed, or the next event would have to look at all of them again.
            self.change(&most, |processes| processes.shrink_to(share / 2));
        }
        own + (HELD - self.held)
    }

    fn change<T>(&mut self, id: &ContainerId, change: impl FnOnce(&mut Processes) -> T) -> T {
        let limit = self.limit;
        let processes = self.by_container.entry(id.clone()).or_insert_with(|| Processes::new(limit));
        let before = processes.held_bytes();
        let result = change(processes);
        let after = processes.held_bytes();
        self.held = self.held - before + after;
        self.holders = self.holders + usize::from(after > 0) - usize::from(before > 0);
        result
    }
}

#[cfg(test)]
mod tests;
