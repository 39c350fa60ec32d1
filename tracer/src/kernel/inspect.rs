//! Looking at a debugtrail that runs, from outside: for `doctor` and for tests.

use aya::maps::{HashMap, Map, MapData, MapError, loaded_maps};
use debugtrail_common::{cgroup::CgroupEntry, maps};

use super::observation::{Observation, observe};
use crate::ids::CgroupId;

/// Every cgroup that running debugtrails keep an entry of.
///
/// # Errors
///
/// Not allowed to list BPF maps, or a failed map call.
pub fn cgroups() -> Result<Vec<Observation>, MapError> {
    let mut seen = Vec::new();
    for map in tables(maps::CGROUPS)? {
        let map: HashMap<MapData, u64, CgroupEntry> = HashMap::try_from(Map::HashMap(map))?;
        // A key that goes away while the map is walked is no error here.
        for (id, entry) in map.iter().filter_map(Result::ok) {
            seen.extend(observe(CgroupId(id), &entry, &entry));
        }
    }
    Ok(seen)
}

/// The entries that no running debugtrail has claimed as a session.
///
/// # Errors
///
/// As [`cgroups`].
pub fn candidates() -> Result<Vec<Observation>, MapError> {
    let mut tracked = Vec::new();
    for map in tables(maps::TRACKED)? {
        let map: HashMap<MapData, u64, u64> = HashMap::try_from(Map::HashMap(map))?;
        tracked.extend(map.keys().filter_map(Result::ok));
    }
    Ok(cgroups()?.into_iter().filter(|seen| !tracked.contains(&seen.cgroup.0)).collect())
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
pub fn programs() -> Result<Vec<LoadedProgram>, aya::programs::ProgramError> {
    let mut ours = Vec::new();
    for info in aya::programs::loaded_programs() {
        let info = info?;
        let name = info.name_as_str().unwrap_or_default().to_owned();
        if super::load::names().any(|known| known.get(..15).unwrap_or(known) == name) {
            ours.push(LoadedProgram { id: info.id(), name });
        }
    }
    Ok(ours)
}

fn tables(name: &str) -> Result<Vec<MapData>, MapError> {
    let mut tables = Vec::new();
    for info in loaded_maps() {
        let info = info?;
        if info.name_as_str() == Some(name) {
            tables.push(MapData::from_id(info.id())?);
        }
    }
    Ok(tables)
}
