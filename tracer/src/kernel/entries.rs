//! The map of cgroups, in whatever layout its programs write it.

use aya::maps::Map;
use debugtrail_common::cgroup::CgroupEntry;

use super::layout::{Layout, Translation, bytes_of, entry_of};
use super::load::KernelError;
use super::raw::RawMap;

/// cgroup id -> entry.
pub(super) struct Entries {
    map: RawMap,
    /// From its layout to ours, and back; `None` where they are the same.
    foreign: Option<(Translation, Translation)>,
}

impl Entries {
    /// The entries in a map that is laid out as is said.
    pub(super) fn new(map: Map, layout: &Layout) -> Result<Self, KernelError> {
        let Map::HashMap(map) = map else { return Err(KernelError::unlike("a map of cgroups")) };
        let map = RawMap::new(map, layout.entry_size())?.ok_or_else(|| KernelError::unlike("their sizes"))?;
        let own = Layout::own();
        let foreign = (*layout != own)
            .then(|| (Translation::new(layout.clone(), own.clone()), Translation::new(own, layout.clone())));
        Ok(Self { map, foreign })
    }

    /// The entry of a cgroup.
    pub(super) fn get(&self, cgroup: u64) -> Result<Option<CgroupEntry>, KernelError> {
        let Some(bytes) = self.map.get(cgroup)? else { return Ok(None) };
        Ok(match &self.foreign {
            None => entry_of(&bytes),
            Some((to_ours, _)) => entry_of(&to_ours.entry(&bytes)),
        })
    }

    /// Every cgroup that has one.
    pub(super) fn keys(&self) -> Result<Vec<u64>, KernelError> {
        Ok(self.map.keys()?)
    }

    /// Adds one; fails with `EEXIST` where there is one.
    pub(super) fn add(&self, cgroup: u64, entry: &CgroupEntry) -> Result<(), aya::maps::MapError> {
        match &self.foreign {
            None => self.map.add(cgroup, bytes_of(entry)),
            Some((_, to_theirs)) => self.map.add(cgroup, &to_theirs.entry(bytes_of(entry))),
        }
    }
}
