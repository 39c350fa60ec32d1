//! What the kernel's log says of an OOM kill. Pure.
//!
//! ```text
//! <6>[12773.344819] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=ID,mems_allowed=0,
//!     oom_memcg=/kubepods/.../podUID,task_memcg=/kubepods/.../podUID/ID,task=dd,pid=11707,uid=0
//! <6>[...] Tasks in /kubepods/.../podUID/ID are going to be killed due to memory.oom.group set
//! ```
//!
//! It comes before the kill, but the kernel leaves it out where there are many.

use crate::cgroup::Place;
use crate::ids::{ContainerId, Pid, PodRef};
use crate::record::OomLimit;

/// The main process that was killed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Victim<'a> {
    /// In the initial pid namespace.
    pub(super) pid: Pid,
    /// Its container.
    pub(super) container: &'a ContainerId,
    /// Its pod, as cgroups call it.
    pub(super) pod: &'a PodRef,
}

/// Whose limit it was; `None` where the log does not say.
pub(super) fn limit_of(victim: &Victim<'_>, log: &str) -> Option<OomLimit> {
    let mut group_killed = false;
    for line in log.lines().rev() {
        if let Some((_, rest)) = line.split_once("Tasks in ") {
            group_killed |= rest
                .split_once(" are going to be killed due to memory.oom.group")
                .is_some_and(|(path, _)| victim.is_below(path));
        }
        let Some(kill) = line.split_once("oom-kill:").and_then(|(_, rest)| Kill::parse(rest)) else {
            continue;
        };
        // With its group it is killed because of another process, which may be in a cgroup below.
        if victim.is_in(kill.task_memcg) && (kill.pid == victim.pid || group_killed) {
            return kill.limit(victim);
        }
        group_killed = false;
    }
    None
}

impl Victim<'_> {
    fn is_in(&self, path: &str) -> bool {
        matches!(Place::of(path), Place::Container { container_id, .. } if container_id == *self.container)
    }

    /// Whether it is one of the tasks in the cgroup or below.
    fn is_below(&self, path: &str) -> bool {
        self.is_in(path) || matches!(Place::of(path), Place::Pod { pod } if pod == *self.pod)
    }
}

struct Kill<'a> {
    constraint: &'a str,
    oom_memcg: Option<&'a str>,
    task_memcg: &'a str,
    pid: Pid,
}

impl<'a> Kill<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (constraint, rest) = line.strip_prefix("constraint=")?.split_once(',')?;
        // The command's name may hold anything, so the pid is looked for from behind.
        let (rest, pid) = rest.rsplit_once(",pid=")?;
        let pid = pid.split(',').next()?.parse().ok()?;
        let (before, task) = rest.split_once(",task_memcg=")?;
        let (task_memcg, _) = task.split_once(",task=")?;
        Some(Self {
            constraint,
            oom_memcg: before.split_once(",oom_memcg=").map(|(_, path)| path),
            task_memcg,
            pid: Pid(pid),
        })
    }

    fn limit(&self, victim: &Victim<'_>) -> Option<OomLimit> {
        match (self.constraint, self.oom_memcg.map(Place::of)) {
            ("CONSTRAINT_NONE", _) => Some(OomLimit::Node),
            ("CONSTRAINT_MEMCG", Some(Place::Container { container_id, .. }))
                if container_id == *victim.container =>
            {
                Some(OomLimit::Container)
            }
            ("CONSTRAINT_MEMCG", Some(Place::Pod { pod })) if pod == *victim.pod => Some(OomLimit::Pod),
            // All pods', or that of a container that a whole node runs in.
            ("CONSTRAINT_MEMCG", Some(_)) => Some(OomLimit::Node),
            // Memory nodes that it was confined to.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
