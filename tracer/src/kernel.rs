//! The programs in the kernel, their maps and their ring.

mod account;
pub mod btf;
mod c_string;
mod counters;
mod entries;
pub mod event;
mod exe;
pub mod fields;
mod generation;
mod hooks;
pub mod inspect;
mod interest;
mod killer;
mod layout;
mod load;
mod lockdown;
mod maps;
pub mod needs;
pub mod observation;
mod parts;
mod pinned_program;
pub mod pins;
mod placed;
pub mod plan;
mod privileges;
mod raw;
mod skipped;
mod start;

use std::io::Read;

use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use debugtrail_common::kept::Kept;

pub use counters::LossCounts;
pub use event::Event;
pub use generation::Inherited;
pub use killer::{Killer, Kin, Sender};
pub use load::{KernelError, LoadOptions, Object};
pub use maps::{Running, RunningMain};
pub use needs::Lack;
pub use observation::{EndSeen, LastSeen, MainSeen, Members, Observation, Used};
pub use pins::{Pins, PinsError};
pub use privileges::{Capability, PrivilegeError, Privileges, check_privileges};
pub use start::{Handover, Started};

use crate::ids::{BootNanos, CgroupId};
use generation::Programs;

/// What the running kernel lacks of what the programs need.
///
/// # Errors
///
/// No BTF, or one that can't be read.
pub fn lacks() -> Result<Vec<Lack>, KernelError> {
    load::types().map(|types| needs::lacks(&types))
}

/// The loaded and attached programs. Dropping it detaches them and leaves nothing behind, unless they are pinned.
pub struct Kernel {
    programs: Programs,
    maps: maps::Maps,
    logger: Option<Logger>,
}

/// The ring, readable when a program woke it.
pub type Ring = RingBuf<MapData>;

/// What the programs log, for `tracing`.
pub type Logger = EbpfLogger<&'static dyn log::Log>;

/// What a generation of programs counts as lost, and how much of that was reported.
pub trait Counted {
    /// Counts of loss since the load.
    ///
    /// # Errors
    ///
    /// A failed map call.
    fn loss(&self) -> Result<LossCounts, KernelError>;

    /// How often the kernel skipped one of the programs since the load: events that no program saw.
    fn skipped(&self) -> u64;

    /// What is kept at a place; see `debugtrail_common::kept`.
    ///
    /// # Errors
    ///
    /// A failed map call.
    fn kept(&self, place: u32) -> Result<Kept, KernelError>;

    /// Keeps it, for as long as the counters live.
    ///
    /// # Errors
    ///
    /// A failed map call.
    fn keep(&mut self, place: u32, kept: Kept) -> Result<(), KernelError>;
}

impl Kernel {
    /// Loads the programs and attaches them; gives the ring beside them. Nothing is pinned.
    ///
    /// # Errors
    ///
    /// [`KernelError`]: each variant says what to do.
    pub fn load(options: LoadOptions) -> Result<(Self, Ring), KernelError> {
        start::load(options, &Object::own())
    }

    /// The programs' own log; `None` when they were built without one, or an earlier process had it.
    pub fn logger(&mut self) -> Option<Logger> {
        self.logger.take()
    }

    /// What was seen of a cgroup; `None` when nothing is kept of it.
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

    /// An event of the ring; `None` where its kind is unknown.
    #[must_use]
    pub fn event(&self, bytes: &[u8]) -> Option<Event> {
        self.maps.event(bytes)
    }

    /// Makes a cgroup part of the session at `root`: the ends of its members are reported from now on.
    ///
    /// # Errors
    ///
    /// A failed map call, such as a full map.
    pub fn track(&mut self, cgroup: CgroupId, root: CgroupId) -> Result<(), KernelError> {
        self.maps.track(cgroup, root)
    }

    /// Says that nothing need be kept of cgroups that are made below this one.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn settle(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        self.maps.settle_container(cgroup)
    }

    /// Drops all that is kept of a cgroup.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn forget(&mut self, cgroup: CgroupId) -> Result<(), KernelError> {
        self.maps.forget(cgroup)
    }

    /// Says until when the ring is read; for ever, where this is never called. After it, new cgroups keep
    /// their entry and report nothing of their members, until the next call.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn read_until(&mut self, until: BootNanos) -> Result<(), KernelError> {
        self.maps.read_until(until)
    }

    /// Takes in cgroups that were there before the programs, and the processes in them; gives those that the programs did
    /// not know by themselves.
    ///
    /// # Errors
    ///
    /// A failed map call, or a scan that could not be read.
    pub fn take_in(&mut self, running: &[Running], now: BootNanos) -> Result<Vec<CgroupId>, KernelError> {
        let mut unknown = Vec::new();
        for cgroup in running {
            if self.maps.enter_running(cgroup, now)? {
                unknown.push(cgroup.cgroup);
            }
        }
        self.maps.settle()?;
        let mut tasks = self.programs.scan()?;
        // The program writes nothing; reading to the end is what runs it.
        tasks.read_to_end(&mut Vec::new()).map_err(KernelError::Scan)?;
        Ok(unknown)
    }

    /// Makes these programs report the end of a cgroup's main process of which other programs saw the start.
    ///
    /// # Errors
    ///
    /// A failed map call, such as a full map.
    pub fn expect_end(&mut self, cgroup: CgroupId, main: &MainSeen) -> Result<(), KernelError> {
        self.maps.expect_end(cgroup, main)
    }

    /// As [`Counted::loss`].
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn loss(&self) -> Result<LossCounts, KernelError> {
        self.maps.loss()
    }

    /// As [`Counted::skipped`].
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.programs.skipped()
    }
}

impl Counted for Kernel {
    fn loss(&self) -> Result<LossCounts, KernelError> {
        self.maps.loss()
    }

    fn skipped(&self) -> u64 {
        self.programs.skipped()
    }

    fn kept(&self, place: u32) -> Result<Kept, KernelError> {
        self.maps.counters().kept(place)
    }

    fn keep(&mut self, place: u32, kept: Kept) -> Result<(), KernelError> {
        self.maps.counters_mut().keep(place, kept)
    }
}
