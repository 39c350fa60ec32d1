//! What the bench asks the kernel itself, without the library that it measures: that one takes minutes to build.

use std::path::PathBuf;

use anyhow::{Context, Result};
use aya::maps::{HashMap, Map, MapData, MapInfo};
use debugtrail_common::cgroup::CgroupEntry;
use debugtrail_common::maps::CGROUPS;
use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};

use crate::programs;

/// Nanoseconds of `CLOCK_BOOTTIME`, on which the times of records are.
#[must_use]
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Where the v2 hierarchy is mounted.
///
/// # Errors
/// When it is not.
pub fn cgroup_mount() -> Result<PathBuf> {
    let mounts = Process::myself()?.mountinfo()?;
    let mount =
        mounts.into_iter().find(|mount| mount.fs_type == "cgroup2").context("no cgroup2 is mounted")?;
    Ok(mount.mount_point)
}

/// How many cgroups a debugtrail keeps an entry of: sessions and what may be one.
///
/// # Errors
/// When there is no such process or its map cannot be read.
pub fn cgroups_kept_by(pid: u32) -> Result<usize> {
    for id in programs::held_by(pid)?.maps.into_keys() {
        if MapInfo::from_id(id)?.name_as_str() == Some(CGROUPS) {
            let map: HashMap<MapData, u64, CgroupEntry> = Map::HashMap(MapData::from_id(id)?).try_into()?;
            return Ok(map.keys().flatten().count());
        }
    }
    anyhow::bail!("process {pid} has no map {CGROUPS}: is it a debugtrail?")
}
