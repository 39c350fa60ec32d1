//! Where the process ran that sent a signal, and whether it is a runtime's daemon.

use std::collections::BTreeMap;
use std::{fs, path::Path};

use crate::cgroup::Hierarchy;
use crate::ids::CgroupId;
use crate::kernel::{Killer, Observation, Sender, event::Process};
use crate::pid_namespace;
use crate::session::DAEMONS;

/// Senders and their cgroups that are remembered, so that a look at the same end asks once.
const REMEMBERED: usize = 64;

/// Finds the paths of senders' cgroups, and the runtime's daemon behind a sender.
pub(super) struct SenderPaths {
    hierarchy: Hierarchy,
    known: BTreeMap<CgroupId, Option<String>>,
    daemons: BTreeMap<Process, Option<String>>,
}

impl SenderPaths {
    pub(super) fn new(hierarchy: Hierarchy) -> Self {
        Self { hierarchy, known: BTreeMap::new(), daemons: BTreeMap::new() }
    }

    /// Fills in the path of the sender's cgroup, where it still exists, and the daemon.
    pub(super) fn fill_in(&mut self, seen: &mut Observation) {
        let Some(Killer::Process(sender) | Killer::Asked(sender)) = &mut seen.killer else { return };
        sender.daemon = self.daemon(sender);
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&sender.cgroup) {
            self.known.clear();
        }
        let path = self.known.entry(sender.cgroup).or_insert_with(|| {
            self.hierarchy
                .path_of(sender.cgroup)
                .inspect_err(|error| tracing::warn!("can't find where the sender of a signal ran: {error}"))
                .ok()?
        });
        sender.cgroup_path.clone_from(path);
    }

    /// The sender of a signal may be gone by now; a daemon that had started it is not.
    fn daemon(&mut self, sender: &Sender) -> Option<String> {
        let kin = sender.kin;
        if kin.member || kin.of_parent || !kin.beside_parent {
            return None;
        }
        let process = Process { pid: sender.pid, forked: sender.forked };
        if self.daemons.len() >= REMEMBERED && !self.daemons.contains_key(&process) {
            self.daemons.clear();
        }
        let found = || [Some(process), sender.parent].into_iter().flatten().find_map(daemon);
        self.daemons.entry(process).or_insert_with(found).clone()
    }
}

/// The name of a process's executable, where that is a daemon's.
fn daemon(process: Process) -> Option<String> {
    if !pid_namespace::is_initial() {
        return None;
    }
    let exe = fs::read_link(format!("/proc/{}/exe", process.pid)).ok()?;
    let name = Path::new(&exe).file_name()?.to_string_lossy().into_owned();
    // Started when the kernel says, also after the reading: then the pid was its own all the time.
    let stat =
        procfs::process::Process::new(process.pid.0.try_into().ok()?).and_then(|found| found.stat()).ok()?;
    let ticks = process.forked.0 / (1_000_000_000 / procfs::ticks_per_second());
    (DAEMONS.contains(&name.as_str()) && stat.starttime == ticks).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BootNanos, Pid};

    #[test]
    fn a_process_is_no_daemon_by_its_pid_alone() {
        let own = procfs::process::Process::myself().unwrap().stat().unwrap();
        let forked = own.starttime * (1_000_000_000 / procfs::ticks_per_second());
        let process = |forked| Process { pid: Pid(std::process::id()), forked: BootNanos(forked) };
        assert_eq!(daemon(process(forked)), None);
        assert_eq!(daemon(process(0)), None);
        assert_eq!(daemon(Process { pid: Pid(u32::MAX), forked: BootNanos(0) }), None);
    }
}
