//! What the tracker does with the processes of a session, the main one left out.

use super::super::container::Container;
use super::super::processes::Processes;
use super::{Action, Tracker};
use crate::ids::{BootNanos, ContainerId};
use crate::kernel::event::{Args, Executed, MemberEnded, Process};
use crate::pods::PodIndex;
use crate::record::SessionKind;

impl Tracker {
    /// Takes in the end of a member.
    pub fn member_ended(&mut self, member: MemberEnded) -> Vec<Action> {
        let Some(id) = self.by_cgroup.get(&member.cgroup).cloned() else { return Vec::new() };
        let is_full = self.processes.ended(&id, member);
        if is_full { self.report_processes(&id) } else { Vec::new() }
    }

    /// Takes in that a process executed a program.
    pub fn executed(&mut self, executed: Executed) {
        let Some(id) = self.by_cgroup.get(&executed.cgroup) else { return };
        self.processes.executed(id, executed);
    }

    /// Takes in that all events of the time before `at` were read. In a storm the ring may be behind.
    pub fn ring_read_until(&mut self, at: BootNanos) {
        self.ring_read = self.ring_read.max(Some(at));
    }

    /// What waited for the ring to be read.
    pub fn read_on(&mut self, index: &PodIndex, now: BootNanos) -> Vec<Action> {
        let unread = std::mem::take(&mut self.unread);
        unread.iter().flat_map(|id| self.step(id, index, now)).collect()
    }

    /// Bytes that are kept of all sessions' processes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.processes.held_bytes()
    }

    /// What is to be reported of a session's processes now.
    fn report_processes(&mut self, id: &ContainerId) -> Vec<Action> {
        let container = self.containers.get_mut(id).filter(|container| container.naming().is_some());
        let Some(container) = container else { return Vec::new() };
        let chunks = self.processes.take(id);
        if !has_processes(container) {
            return Vec::new();
        }
        let action = |chunk| Action::Processes(Box::new(container.without_cgroups()), chunk);
        chunks.into_iter().map(action).collect()
    }

    /// What is to be reported of all sessions' processes, and which sessions are closed now.
    pub(super) fn review_processes(&mut self, now: BootNanos) -> Vec<Action> {
        let sessions = self.processes.waiting();
        let mut actions: Vec<_> = sessions.iter().flat_map(|id| self.report_processes(id)).collect();
        let ring_read = self.ring_read.unwrap_or(now);
        let mut closed = self.containers.values_mut().filter_map(|container| {
            (container.naming().is_some() && container.is_closed(ring_read, now))
                .then(|| container.id.clone())
        });
        let closed: Vec<_> = closed.by_ref().collect();
        for id in closed {
            let totals = self.processes.totals(&id);
            let is_unreported =
                |container: &&Container| !container.reported_closed && has_processes(container);
            let unreported = self.containers.get(&id).filter(is_unreported);
            actions.extend(unreported.map(|container| Action::Closed(Box::new(container.clone()), totals)));
            self.settled.add(&id);
            actions.extend(self.drop_container(&id));
        }
        actions
    }
}

/// Whether its processes are reported: an ordinary container's are its work, and no debugging.
fn has_processes(container: &Container) -> bool {
    container.naming().is_none_or(|naming| naming.kind != Some(SessionKind::Container))
}

/// Arguments of the main process's first program, if its exec was seen.
pub(super) fn main_args(container: &Container, processes: &Processes) -> Option<Args> {
    let main = container.main()?;
    let program = processes.program(Process { pid: main.pid, forked: main.forked })?;
    (Some(program.at) == main.execed).then(|| program.args.clone())?
}
