//! Looks for other debugtrails: by their programs in the kernel, and who holds them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;

use crate::ids::Pid;
use crate::kernel::inspect::{self, LoadedProgram};

use super::super::facts::Others;

/// Each has one program of this name; those of the hooks are called like the tracepoints, as others' may be.
const ONE_OF_EACH: &str = "scan_tasks";

/// What the kernel calls the process.
const COMM: &str = "debugtrail";

pub(super) fn look() -> Result<Others, String> {
    if !may_list_programs() {
        let pids = processes().filter(|(_, folder)| is_called_so(folder) && holds(folder, |_| true));
        let pids: Vec<Pid> = pids.map(|(pid, _)| pid).collect();
        return Ok(Others { count: pids.len(), pids });
    }
    let programs = inspect::programs().map_err(|error| error.to_string())?;
    let ours: Vec<LoadedProgram> =
        programs.into_iter().filter(|program| program.name == ONE_OF_EACH).collect();
    if ours.is_empty() {
        return Ok(Others::default());
    }
    let ids: Vec<u32> = ours.iter().map(|program| program.id).collect();
    let pids = processes().filter(|(_, folder)| holds(folder, |id| ids.contains(&id)));
    Ok(Others { count: ours.len(), pids: pids.map(|(pid, _)| pid).collect() })
}

/// The kernel lists programs for CAP_SYS_ADMIN alone, which debugtrail does not need. Without it, processes
/// are looked at instead: pinned programs that no process holds are not seen then.
fn may_list_programs() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|own| own.effective.contains(CapabilitySet::SYS_ADMIN))
}

fn processes() -> impl Iterator<Item = (Pid, PathBuf)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((Pid(entry.file_name().to_str()?.parse().ok()?), entry.path())))
}

fn is_called_so(process: &Path) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim_end() == COMM)
}

/// Whether a process has a descriptor of a wanted program.
fn holds(process: &Path, wanted: impl Fn(u32) -> bool) -> bool {
    // Descriptors, processes and the right to look may go away at any time.
    let descriptors = fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok())
        .any(|text| program_in(&text).is_some_and(&wanted))
}

fn program_in(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::program_in;

    #[test]
    fn a_programs_descriptor_has_its_id() {
        assert_eq!(program_in("pos:\t0\nprog_type:\t26\nprog_id:\t417\nrun_time_ns:\t0\n"), Some(417));
        assert_eq!(program_in("pos:\t0\nflags:\t02\nmap_id:\t417\n"), None);
    }
}
