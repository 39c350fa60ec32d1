//! What the tracker does with the processes of a session, the main one left out.

use super::super::container::Container;
use super::super::processes::Processes;
use super::{Action, Tracker};
use crate::ids::{BootNanos, ContainerId};
use crate::kernel::event::{Args, Executed, MemberEnded, Process};
use crate::record::SessionKind;

impl Tracker {
    /// Takes in the end of a member.
    pub fn member_ended(&mut self, member: MemberEnded) -> Vec<Action> {
        let Some(id) = self.by_cgroup.get(&member.cgroup).cloned() else { return Vec::new() };
        let others = self.waiting;
        let processes = self.processes_of(&id);
        let before = processes.waiting();
        processes.ended(member, others);
        let (kept, is_full) = (processes.waiting() - before, processes.is_full());
        self.waiting += kept;
        if is_full { self.tell_processes(&id) } else { Vec::new() }
    }

    /// Takes in that a process executed a program.
    pub fn executed(&mut self, executed: Executed) {
        let Some(id) = self.by_cgroup.get(&executed.cgroup).cloned() else { return };
        self.processes_of(&id).executed(executed);
    }

    pub(super) fn processes_of(&mut self, id: &ContainerId) -> &mut Processes {
        let limit = self.policy.processes;
        self.processes.entry(id.clone()).or_insert_with(|| Processes::new(limit))
    }

    /// What is to be told of a session's processes now.
    fn tell_processes(&mut self, id: &ContainerId) -> Vec<Action> {
        let Some(container) = self.containers.get(id).filter(|container| container.naming().is_some()) else {
            return Vec::new();
        };
        let chunks = self.processes.get_mut(id).map(Processes::take).unwrap_or_default();
        if !has_processes(container) {
            return Vec::new();
        }
        chunks.into_iter().map(|chunk| Action::Processes(Box::new(container.clone()), chunk)).collect()
    }

    /// What is to be told of all sessions' processes, and which sessions are closed now.
    pub(super) fn review_processes(&mut self, now: BootNanos) -> Vec<Action> {
        let sessions: Vec<_> = self.processes.keys().cloned().collect();
        let mut actions: Vec<_> = sessions.iter().flat_map(|id| self.tell_processes(id)).collect();
        let mut closed = self.containers.values_mut().filter_map(|container| {
            (container.naming().is_some() && container.is_closed(now)).then(|| container.id.clone())
        });
        let closed: Vec<_> = closed.by_ref().collect();
        for id in closed {
            let totals = self.processes.get(&id).map(Processes::totals).unwrap_or_default();
            let is_untold = |container: &&Container| !container.reported_closed && has_processes(container);
            let untold = self.containers.get(&id).filter(is_untold);
            actions.extend(untold.map(|container| Action::Closed(Box::new(container.clone()), totals)));
            actions.extend(self.drop_container(&id));
        }
        self.waiting = self.processes.values().map(Processes::waiting).sum();
        actions
    }
}

/// Whether its processes are told: an ordinary container's are its work, and nobody's debugging.
fn has_processes(container: &Container) -> bool {
    container.naming().is_none_or(|naming| naming.kind != Some(SessionKind::Container))
}

/// Arguments of the main process's first program, if they were heard of.
pub(super) fn main_args(container: &Container, processes: &Processes) -> Option<Args> {
    let main = container.main()?;
    let program = processes.program(Process { pid: main.pid, forked: main.forked })?;
    (Some(program.at) == main.execed).then(|| program.args.clone())?
}
