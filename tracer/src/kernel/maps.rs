//! The maps of the loaded programs, in userspace's terms.

use std::cell::Cell;
use std::collections::BTreeMap;

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
};
use debugtrail_common::{
    cgroup::{CgroupEntry, PATH_LEN, Steps},
    loss::Loss,
    maps,
    process::{Member, ProcessKey},
};

use super::interest::Interest;
use super::load::KernelError;
use super::observation::{Observation, Torn, observe};
use crate::ids::{BootNanos, CgroupId, Pid};

/// Counts of loss since the programs were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// What the programs counted: for each kind, by CPU.
    pub by_cpu: BTreeMap<Loss, Vec<u64>>,
    /// Cgroups found running that the full map had no room for.
    pub no_room: u64,
    /// Entries that could not be read, as they were written at the same time.
    pub torn: u64,
}

impl LossCounts {
    /// The sum over all CPUs.
    #[must_use]
    pub fn of(&self, kind: Loss) -> u64 {
        self.by_cpu.get(&kind).into_iter().flatten().sum()
    }
}

/// How often an entry is read until it is whole.
const READINGS: usize = 8;

/// The kernel writes an entry; userspace only adds and removes whole ones.
pub(super) struct Maps {
    cgroups: HashMap<MapData, u64, CgroupEntry>,
    tracked: HashMap<MapData, u64, u64>,
    mains: HashMap<MapData, ProcessKey, u64>,
    members: HashMap<MapData, ProcessKey, Member>,
    namespaces: HashMap<MapData, u32, u64>,
    read_until: Array<MapData, u64>,
    lost: PerCpuArray<MapData, u64>,
    interest: Interest,
    no_room: u64,
    torn: Cell<u64>,
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
}

/// The main process of a cgroup that was there before the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningMain {
    /// The runtime's init process.
    Is(Pid),
    /// The runtime has yet to exec it: the exec will be seen.
    ToCome,
    /// Nobody says.
    Unknown,
}

impl Maps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            cgroups: HashMap::try_from(take(ebpf, maps::CGROUPS)?)?,
            tracked: HashMap::try_from(take(ebpf, maps::TRACKED)?)?,
            mains: HashMap::try_from(take(ebpf, maps::MAINS)?)?,
            members: HashMap::try_from(take(ebpf, maps::MEMBERS)?)?,
            namespaces: HashMap::try_from(take(ebpf, maps::NAMESPACES)?)?,
            read_until: Array::try_from(take(ebpf, maps::READ_UNTIL)?)?,
            lost: PerCpuArray::try_from(take(ebpf, maps::LOST)?)?,
            interest: Interest::new(Array::try_from(take(ebpf, maps::USER_ENTRIES)?)?),
            no_room: 0,
            torn: Cell::new(0),
        })
    }

    /// What is known of a cgroup; `None` when it is of no interest (any more).
    pub(super) fn observation(&self, cgroup: CgroupId) -> Result<Option<Observation>, KernelError> {
        let mut readings = 1;
        loop {
            let Some(mut before) = get(&self.cgroups, &cgroup.0)? else { return Ok(None) };
            let Some(fields) = get(&self.cgroups, &cgroup.0)? else { return Ok(None) };
            if readings == READINGS {
                // All but the end; the next sweep may be luckier.
                self.torn.set(self.torn.get() + 1);
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
        Ok(self.cgroups.keys().map(|id| id.map(CgroupId)).collect::<Result<_, _>>()?)
    }

    /// Marks a cgroup as part of the session whose root is `root`.
    pub(super) fn track(&mut self, cgroup: CgroupId, root: CgroupId) -> Result<(), KernelError> {
        Ok(self.tracked.insert(cgroup.0, root.0, 0)?)
    }

    /// Drops all that is kept of a cgroup.
    pub(super) fn forget(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        let _ = self.tracked.remove(&cgroup.0);
        let removed = match self.cgroups.remove(&cgroup.0) {
            Ok(()) => true,
            Err(error) => absent(error)?,
        };
        if removed {
            self.interest.removed()?;
        }
        self.interest.forgot(cgroup)?;
        // Only after the entry: a hook that finds no entry adds no process.
        remove_of(&mut self.namespaces, |id| *id == cgroup.0)?;
        remove_of(&mut self.mains, |id| *id == cgroup.0)?;
        remove_of(&mut self.members, |member| member.cgroup_id == cgroup.0)
    }

    /// Says until when somebody reads the ring. After it, cgroups that nobody has claimed tell nothing of their members.
    pub(super) fn read_until(&mut self, until: BootNanos) -> Result<(), KernelError> {
        Ok(self.read_until.set(0, until.0, 0)?)
    }

    /// Enters a cgroup that was there before the programs; the task scan then finds its processes.
    pub(super) fn enter_running(&mut self, running: &Running, now: BootNanos) -> Result<bool, KernelError> {
        let mut entry = CgroupEntry {
            steps: Steps { created: 1, entered: 1, ..Steps::default() },
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
        const BPF_NOEXIST: u64 = 1;
        let Err(error) = self.cgroups.insert(running.cgroup.0, entry, BPF_NOEXIST) else {
            if running.main == RunningMain::ToCome {
                self.interest.found_empty(running.cgroup)?;
            }
            return Ok(true);
        };
        self.interest.removed()?;
        match errno(&error) {
            // Made after the programs were attached: the kernel knows it better.
            Some(libc::EEXIST) => Ok(false),
            Some(libc::E2BIG) => {
                self.no_room += 1;
                Ok(false)
            }
            _ => Err(error.into()),
        }
    }

    /// To be called between the adding of cgroups found running and the scan.
    pub(super) fn settle(&mut self) -> Result<(), KernelError> {
        self.interest.settle()
    }

    pub(super) fn loss(&self) -> Result<LossCounts, KernelError> {
        let mut by_cpu = BTreeMap::new();
        for kind in Loss::ALL {
            by_cpu.insert(kind, self.lost.get(&(kind as u32), 0)?.iter().copied().collect());
        }
        Ok(LossCounts { by_cpu, no_room: self.no_room, torn: self.torn.get() })
    }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, KernelError> {
    ebpf.take_map(name).ok_or_else(|| KernelError::Refused(anyhow::anyhow!("the object has no map {name}")))
}

fn get<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>, key: &K) -> Result<Option<V>, KernelError> {
    match map.get(key, 0) {
        Ok(value) => Ok(Some(value)),
        Err(error) => absent(error).map(|_| None),
    }
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
