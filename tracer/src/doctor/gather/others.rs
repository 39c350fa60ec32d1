//! Looks for other debugtrails: by their programs in the kernel, and who holds them.

use std::fs;
use std::path::Path;

use crate::ids::Pid;
use crate::kernel::inspect::{self, LoadedProgram};

use super::super::facts::Others;

/// Each has one program of this name; those of the hooks are called like the tracepoints, as others' may be.
const ONE_OF_EACH: &str = "scan_tasks";

pub(super) fn look() -> Result<Others, String> {
    let programs = inspect::programs().map_err(|error| error.to_string())?;
    let ours: Vec<LoadedProgram> =
        programs.into_iter().filter(|program| program.name == ONE_OF_EACH).collect();
    if ours.is_empty() {
        return Ok(Others::default());
    }
    let ids: Vec<u32> = ours.iter().map(|program| program.id).collect();
    Ok(Others { count: ours.len(), pids: holders(&ids) })
}

/// Processes with a descriptor of one of these programs.
fn holders(ids: &[u32]) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid))
        .filter(|pid| holds(&Path::new("/proc").join(pid.to_string()).join("fdinfo"), ids))
        .collect()
}

fn holds(fdinfo: &Path, ids: &[u32]) -> bool {
    // Descriptors, processes and the right to look may go away at any time.
    let descriptors = fs::read_dir(fdinfo).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok())
        .any(|text| program_in(&text).is_some_and(|id| ids.contains(&id)))
}

fn program_in(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::program_in;

    #[test]
    fn a_descriptor_of_a_program_tells_its_id() {
        assert_eq!(program_in("pos:\t0\nprog_type:\t26\nprog_id:\t417\nrun_time_ns:\t0\n"), Some(417));
        assert_eq!(program_in("pos:\t0\nflags:\t02\nmap_id:\t417\n"), None);
    }
}
