//! The maps of the loaded programs, in userspace's terms.

use std::collections::BTreeSet;

use aya::Pod;
use aya::maps::{Array, HashMap, MapData, MapError};
use debugtrail_common::{
    cgroup::{CgroupEntry, PATH_LEN, Steps},
    interest::ACCOUNT,
    maps,
    process::{Member, ProcessKey, origin, role, state},
};

use super::Ring;
use super::account::Account;
use super::counters::{Counters, LossCounts};
use super::entries::Entries;
use super::event::{self, Event};
use super::interest::Interest;
use super::layout::{Layout, Translation};
use super::load::KernelError;
use super::observation::{MainSeen, Observation, Torn, observe};
use super::parts::{Parts, layout_in};
use crate::ids::{BootNanos, CgroupId, Pid};

/// How often an entry is read until it is whole.
const READINGS: usize = 8;

/// The kernel writes an entry; userspace only adds and removes whole ones.
pub(super) struct Maps {
    cgroups: Entries,
    tracked: HashMap<MapData, u64, u64>,
    settled: HashMap<MapData, u64, u32>,
    mains: HashMap<MapData, ProcessKey, u64>,
    members: HashMap<MapData, ProcessKey, Member>,
    read_until: Array<MapData, u64>,
    counters: Counters,
    interest: Interest,
    to_ours: Translation,
}

/// A cgroup that was there before the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Id of the cgroup.
    pub cgroup: CgroupId,
    /// Its path below the root of the v2 hierarchy.
    pub path: String,
    /// What is known of its main process.
    pub main: RunningMain,
    /// Whether anything is or was in it. An empty cgroup of no known container is forgotten when it is
    /// removed.
    pub entered: bool,
}

/// The main process of a cgroup that was there before the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningMain {
    /// The runtime's init process.
    Is(Pid),
    /// The runtime has yet to exec it: the exec will be seen.
    ToCome,
    /// Not known.
    Unknown,
}

impl Maps {
    pub(super) fn take(parts: &mut impl Parts) -> Result<Self, KernelError> {
        let layout = layout_in(parts)?;
        Ok(Self {
            cgroups: Entries::new(parts.map(maps::CGROUPS)?, &layout)?,
            tracked: HashMap::try_from(parts.map(maps::TRACKED)?)?,
            settled: HashMap::try_from(parts.map(maps::SETTLED)?)?,
            mains: HashMap::try_from(parts.map(maps::MAINS)?)?,
            members: HashMap::try_from(parts.map(maps::MEMBERS)?)?,
            read_until: Array::try_from(parts.map(maps::READ_UNTIL)?)?,
            counters: Counters::take(parts, &layout)?,
            interest: Interest::new(
                Account::new(parts.program(ACCOUNT)?),
                Array::try_from(parts.map(maps::INTEREST)?)?,
            ),
            to_ours: Translation::new(layout, Layout::own()),
        })
    }

    /// Counts on after another process.
    pub(super) fn recount(&mut self) -> Result<(), KernelError> {
        let cgroups = &self.cgroups;
        let entries = || Ok(cgroups.keys()?.into_iter().map(CgroupId).collect::<BTreeSet<_>>());
        let idle = |cgroup: CgroupId| {
            let entry = cgroups.get(cgroup.0).ok().flatten();
            entry.is_some_and(|entry| entry.steps.main_started == 0 && entry.steps.removed == 0)
        };
        self.interest.recount(entries, idle)
    }

    /// An event of the ring.
    pub(super) fn event(&self, bytes: &[u8]) -> Option<Event> {
        event::parse(&self.to_ours.event(bytes)?)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// What is known of a cgroup; `None` when it is of no interest (any more).
    pub(super) fn observation(&self, cgroup: CgroupId) -> Result<Option<Observation>, KernelError> {
        let mut readings = 1;
        loop {
            let Some(mut before) = self.cgroups.get(cgroup.0)? else { return Ok(None) };
            let Some(fields) = self.cgroups.get(cgroup.0)? else { return Ok(None) };
            if readings == READINGS {
                // All but the end; the next sweep may read it whole.
                self.counters.torn();
                before.steps.main_ended = 0;
            }
            match observe(cgroup, &before, &fields) {
                Ok(seen) => return Ok(seen),
                Err(Torn) => readings += 1,
            }
        }
    }

    /// Every cgroup of interest.
    pub(super) fn cgroups(&self) -> Result<Vec<CgroupId>, KernelError> {
        Ok(self.cgroups.keys()?.into_iter().map(CgroupId).collect())
    }

    /// Marks a cgroup as part of the session whose root is `root`.
    pub(super) fn track(&mut self, cgroup: CgroupId, root: CgroupId) -> Result<(), KernelError> {
        Ok(self.tracked.insert(cgroup.0, root.0, 0)?)
    }

    /// Says that nothing is to be kept of cgroups made below this one.
    pub(super) fn settle_container(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        Ok(self.settled.insert(cgroup.0, 1, 0)?)
    }

    /// Drops all that is kept of a cgroup.
    pub(super) fn forget(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        let _ = self.tracked.remove(&cgroup.0);
        let entered = self.cgroups.get(cgroup.0)?.is_none_or(|entry| entry.steps.entered != 0);
        self.interest.forget(cgroup)?;
        if !entered {
            // No process is of it: no walk over all. What came just now leaves with its process.
            return Ok(());
        }
        // Only after the entry: a hook that finds no entry adds no process.
        remove_of(&mut self.mains, |id| *id == cgroup.0)?;
        remove_of(&mut self.members, |member| member.cgroup_id == cgroup.0)
    }

    /// Says until when the ring is read. After it, cgroups that are not claimed report nothing of their
    /// members.
    pub(super) fn read_until(&mut self, until: BootNanos) -> Result<(), KernelError> {
        Ok(self.read_until.set(0, until.0, 0)?)
    }

    /// Enters a cgroup that was there before the programs; the task scan then finds its processes.
    pub(super) fn enter_running(&mut self, running: &Running, now: BootNanos) -> Result<bool, KernelError> {
        let mut entry = CgroupEntry {
            steps: Steps { created: 1, entered: u8::from(running.entered), ..Steps::default() },
            created_boot_ns: now.0,
            ..CgroupEntry::EMPTY
        };
        match running.main {
            RunningMain::Is(pid) => {
                entry.scan_main_tgid = pid.0;
                entry.steps.main_scanned = 1;
            }
            RunningMain::Unknown => entry.steps.main_scanned = 1,
            RunningMain::ToCome => {}
        }
        let path = running.path.as_bytes();
        let len = path.len().min(PATH_LEN - 1);
        entry.path[..len].copy_from_slice(&path[..len]);
        entry.path_len = (len + 1) as u32;
        self.interest.adding()?;
        let Err(error) = self.cgroups.add(running.cgroup.0, &entry) else {
            if running.main == RunningMain::ToCome {
                self.interest.found_empty(running.cgroup)?;
            }
            return Ok(true);
        };
        self.interest.not_added()?;
        match errno(&error) {
            // Made after the programs were attached: the kernel knows it better.
            Some(libc::EEXIST) => Ok(false),
            Some(libc::E2BIG) => {
                self.counters.no_room()?;
                Ok(false)
            }
            _ => Err(error.into()),
        }
    }

    /// Makes the programs report the end of a main process that the scan did not find in its cgroup. The
    /// cgroup in which it is now has no mark.
    pub(super) fn expect_end(&mut self, cgroup: CgroupId, main: &MainSeen) -> Result<(), KernelError> {
        let key = ProcessKey::new(main.pid.0, main.forked.0);
        self.interest.found_empty(cgroup)?;
        let member = Member {
            cgroup_id: cgroup.0,
            origin: origin::FOUND,
            role: role::MAIN,
            state: state::IN_NAMESPACE,
            ..Member::default()
        };
        self.members.insert(key, member, 0)?;
        Ok(self.mains.insert(key, cgroup.0, 0)?)
    }

    /// To be called between the adding of cgroups found running and the scan.
    pub(super) fn settle(&mut self) -> Result<(), KernelError> {
        self.interest.settle()
    }

    pub(super) fn loss(&self) -> Result<LossCounts, KernelError> {
        self.counters.loss()
    }
}

/// The ring among these maps.
pub(super) fn ring(parts: &mut impl Parts) -> Result<Ring, KernelError> {
    Ok(Ring::try_from(parts.map(maps::EVENTS)?)?)
}

/// Ok(false) where a map call failed because there is no such key.
fn absent(error: MapError) -> Result<bool, KernelError> {
    match error {
        MapError::KeyNotFound => Ok(false),
        error if errno(&error) == Some(libc::ENOENT) => Ok(false),
        error => Err(error.into()),
    }
}

fn errno(error: &MapError) -> Option<i32> {
    match error {
        MapError::SyscallError(error) => error.io_error.raw_os_error(),
        _ => None,
    }
}

fn remove_of<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    is_its: impl Fn(&V) -> bool,
) -> Result<(), KernelError> {
    // Walking a hash map that others change can skip or repeat keys, and can fail when the key it
    // stands on goes away. What is left over leaves with its process.
    let keys: Vec<_> =
        map.iter().filter_map(Result::ok).filter(|(_, value)| is_its(value)).map(|(key, _)| key).collect();
    for key in keys {
        if let Err(error) = map.remove(&key) {
            absent(error)?;
        }
    }
    Ok(())
}
