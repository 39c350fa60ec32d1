//! The witness: programs in the kernel, their maps and their ring.

pub mod btf;
pub mod event;
mod exe;
pub mod fields;
pub mod inspect;
mod interest;
mod killer;
mod load;
mod maps;
pub mod needs;
pub mod observation;
mod privileges;
mod skipped;

use std::io::Read;

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
    programs::Iter,
};
use aya_log::EbpfLogger;

pub use event::Event;
pub use killer::{Killer, Sender};
pub use load::{KernelError, LoadOptions};
pub use maps::{LossCounts, Running, RunningMain};
pub use needs::Lack;
pub use observation::{EndSeen, MainSeen, Members, Observation, Used};
pub use privileges::{Capability, PrivilegeError, Privileges, check_privileges};

use crate::ids::{BootNanos, CgroupId};
use load::refused;

/// What the running kernel lacks of what the programs need.
///
/// # Errors
///
/// No BTF, or one that can't be read.
pub fn lacks() -> Result<Vec<Lack>, KernelError> {
    load::types().map(|types| needs::lacks(&types))
}

/// The loaded and attached programs. Dropping it detaches them and leaves nothing behind.
pub struct Kernel {
    ebpf: Ebpf,
    maps: maps::Maps,
}

/// The ring, readable when a program woke it.
pub type Ring = RingBuf<MapData>;

/// What the programs log, for `tracing`.
pub type Logger = EbpfLogger<&'static dyn log::Log>;

impl Kernel {
    /// Loads the programs and attaches them; gives the ring beside them.
    ///
    /// # Errors
    ///
    /// [`KernelError`]: each variant says what to do.
    pub fn load(options: LoadOptions) -> Result<(Self, Ring), KernelError> {
        let mut ebpf = load::load(options)?;
        let ring = ebpf
            .take_map(debugtrail_common::maps::EVENTS)
            .ok_or_else(|| KernelError::Refused(anyhow::anyhow!("the object has no ring")))?;
        let ring = RingBuf::try_from(ring)?;
        let maps = maps::Maps::take(&mut ebpf)?;
        Ok((Self { ebpf, maps }, ring))
    }

    /// The programs' own log; `None` when they were built without one.
    pub fn logger(&mut self) -> Option<Logger> {
        EbpfLogger::init(&mut self.ebpf).ok()
    }

    /// What has been witnessed of a cgroup; `None` when nothing is kept of it.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn observation(&self, cgroup: CgroupId) -> Result<Option<Observation>, KernelError> {
        self.maps.observation(cgroup)
    }

    /// Every cgroup of which something is kept.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn cgroups(&self) -> Result<Vec<CgroupId>, KernelError> {
        self.maps.cgroups()
    }

    /// Makes a cgroup part of the session at `root`: the ends of its members are told from now on.
    ///
    /// # Errors
    ///
    /// A failed map call, such as a full map.
    pub fn track(&mut self, cgroup: CgroupId, root: CgroupId) -> Result<(), KernelError> {
        self.maps.track(cgroup, root)
    }

    /// Drops all that is kept of a cgroup.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn forget(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        self.maps.forget(cgroup)
    }

    /// Says until when the ring is read; for ever, where this is never called. After it, new cgroups keep their entry and
    /// tell nothing of their members, until the next call.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn read_until(&mut self, until: BootNanos) -> Result<(), KernelError> {
        self.maps.read_until(until)
    }

    /// Takes in cgroups that were there before the programs, and the processes in them.
    ///
    /// # Errors
    ///
    /// A failed map call, or a scan that could not be read.
    pub fn take_in(&mut self, running: &[Running], now: BootNanos) -> Result<(), KernelError> {
        for cgroup in running {
            self.maps.enter_running(cgroup, now)?;
        }
        self.maps.settle()?;
        let scan: &mut Iter = load::program(&mut self.ebpf, load::SCAN)?;
        let link = scan.attach().map_err(refused)?;
        let mut tasks = scan.take_link(link).map_err(refused)?.into_file().map_err(refused)?;
        // The program writes nothing; reading to the end is what runs it.
        tasks.read_to_end(&mut Vec::new()).map_err(KernelError::Scan)?;
        Ok(())
    }

    /// Counts of loss since the load.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn loss(&self) -> Result<LossCounts, KernelError> {
        self.maps.loss()
    }

    /// How often the kernel skipped one of the programs since the load: events that nobody saw.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        skipped::count(&self.ebpf)
    }
}
