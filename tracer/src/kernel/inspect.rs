//! Looking at a debugtrail that runs, from outside: for `doctor` and for tests.

use std::io::ErrorKind;

use aya::{
    maps::{HashMap, Map, MapData, MapInfo},
    programs::ProgramError,
};
use debugtrail_common::{cgroup::CgroupEntry, maps};

use super::observation::{Observation, observe};
use crate::ids::{CgroupId, Pid};

/// Every cgroup that the debugtrail with this pid keeps an entry of.
///
/// # Errors
///
/// No such process, not allowed to look at it or at its maps, or a failed map call.
pub fn cgroups(pid: Pid) -> anyhow::Result<Vec<Observation>> {
    let mut seen = Vec::new();
    for map in tables(pid, maps::CGROUPS)? {
        let map: HashMap<MapData, u64, CgroupEntry> = HashMap::try_from(Map::HashMap(map))?;
        // A key that goes away while the map is walked is no error here.
        for (id, entry) in map.iter().filter_map(Result::ok) {
            seen.extend(observe(CgroupId(id), &entry, &entry).ok().flatten());
        }
    }
    Ok(seen)
}

/// The entries that it has not claimed as a session's.
///
/// # Errors
///
/// As [`cgroups`].
pub fn candidates(pid: Pid) -> anyhow::Result<Vec<Observation>> {
    let mut tracked = Vec::new();
    for map in tables(pid, maps::TRACKED)? {
        let map: HashMap<MapData, u64, u64> = HashMap::try_from(Map::HashMap(map))?;
        tracked.extend(map.keys().filter_map(Result::ok));
    }
    Ok(cgroups(pid)?.into_iter().filter(|seen| !tracked.contains(&seen.cgroup.0)).collect())
}

/// A program that the kernel holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedProgram {
    /// The kernel's id of it, never given twice.
    pub id: u32,
    /// Its name, 15 bytes at most.
    pub name: String,
}

/// Our programs that the kernel still holds, also those of debugtrails that are gone.
///
/// # Errors
///
/// Not allowed to list BPF programs.
pub fn programs() -> Result<Vec<LoadedProgram>, ProgramError> {
    let mut ours = Vec::new();
    for info in aya::programs::loaded_programs() {
        let info = match info {
            // Freed between its being listed and its being looked at.
            Err(ProgramError::SyscallError(error)) if error.io_error.kind() == ErrorKind::NotFound => {
                continue;
            }
            info => info?,
        };
        let name = info.name_as_str().unwrap_or_default().to_owned();
        if super::hooks::names().any(|known| known.get(..15).unwrap_or(known) == name) {
            ours.push(LoadedProgram { id: info.id(), name });
        }
    }
    Ok(ours)
}

/// The maps of that name that a process holds: its descriptors' fdinfo has their ids.
fn tables(pid: Pid, name: &str) -> anyhow::Result<Vec<MapData>> {
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed while the folder is read.
        let Ok(fdinfo) = std::fs::read_to_string(entry?.path()) else { continue };
        let Some(id) = fdinfo.lines().find_map(|line| line.strip_prefix("map_id:")) else { continue };
        let id: u32 = id.trim().parse()?;
        if MapInfo::from_id(id)?.name_as_str() == Some(name) {
            tables.push(MapData::from_id(id)?);
        }
    }
    Ok(tables)
}
