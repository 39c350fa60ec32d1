//! The programs, links and maps of one load: pinned, and opened again by another process.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{BtfTracePoint, Iter};
use debugtrail_common::{layout, maps};

use super::counters::{Counters, LossCounts};
use super::entries::Entries;
use super::event::{self, Event};
use super::hooks::{HOOKS, SCAN};
use super::layout::{Layout, Translation};
use super::load::KernelError;
use super::observation::{Observation, observe};
use super::parts::{Parts, layout_in};
use super::pinned_program;
use super::pins::{self, Pins, PinsError};
use super::plan::Generation;
use super::{Counted, Ring, load, skipped};
use crate::ids::CgroupId;

/// Pins what was loaded and attached. With its last pin the generation is complete.
pub(super) fn pin(loaded: &mut load::Loaded, folder: &Path) -> Result<Vec<PinnedLink>, KernelError> {
    let refused =
        |path: PathBuf| move |error: aya::pin::PinError| KernelError::Pins(PinsError::unusable(&path)(error));
    for (name, map) in loaded.ebpf.maps().filter(|(name, _)| *name != layout::MAP) {
        let path = folder.join(pins::map(name));
        map.pin(&path).map_err(refused(path))?;
    }
    for (name, program) in loaded.ebpf.programs_mut() {
        let path = folder.join(pins::program(name));
        program.pin(&path).map_err(refused(path))?;
    }
    let mut links = Vec::new();
    for (hook, link) in std::mem::take(&mut loaded.links) {
        let program: &mut BtfTracePoint = load::program(&mut loaded.ebpf, hook)?;
        let link: FdLink = program.take_link(link).map_err(load::refused)?.into();
        let path = folder.join(pins::link(hook));
        links.push(link.pin(&path).map_err(refused(path))?);
    }
    let path = folder.join(pins::LAYOUT);
    let description = loaded.ebpf.map(layout::MAP);
    let description = description.ok_or_else(|| KernelError::unlike("an object without a layout"))?;
    description.pin(&path).map_err(refused(path))?;
    Ok(links)
}

/// A folder of pins, to take maps from.
pub(super) struct Folder(PathBuf);

impl Parts for Folder {
    fn map(&mut self, name: &str) -> Result<Map, KernelError> {
        Ok(Map::from_map_data(MapData::from_pin(self.0.join(pins::map(name)))?)?)
    }

    fn program(&mut self, name: &str) -> Result<OwnedFd, KernelError> {
        pinned_program::open(&self.0.join(pins::program(name))).map_err(load::refused)
    }
}

/// The pinned programs and links of a generation.
pub(super) struct Pinned {
    pub(super) hooks: Vec<OwnedFd>,
    pub(super) scan: Option<OwnedFd>,
    /// Held so that they stay attached also if the pins are removed.
    pub(super) _links: Vec<PinnedLink>,
}

impl Pinned {
    pub(super) fn open(folder: &Path) -> Result<Self, KernelError> {
        let program = |name| folder.join(pins::program(name));
        let hooks = HOOKS.map(|hook| pinned_program::open(&program(hook)));
        let links = HOOKS.map(|hook| PinnedLink::from_pin(folder.join(pins::link(hook))));
        Ok(Self {
            hooks: hooks.into_iter().collect::<Result<_, _>>().map_err(load::refused)?,
            scan: Some(pinned_program::open(&program(SCAN)).map_err(load::refused)?),
            _links: links.into_iter().collect::<Result<_, _>>().map_err(load::refused)?,
        })
    }

    /// Those of another version's hooks that go by a name of ours: which count what they missed.
    fn of_others(folder: &Path) -> Self {
        let hooks = HOOKS.map(|hook| pinned_program::open(&folder.join(pins::program(hook))));
        Self { hooks: hooks.into_iter().flatten().collect(), scan: None, _links: Vec::new() }
    }
}

/// The maps of a pinned generation.
pub(super) fn parts(folder: &Path) -> Folder {
    Folder(folder.to_owned())
}

/// A generation of other programs, which recorded until it was detached: to be read, reported and removed.
pub struct Inherited {
    generation: Generation,
    readable: Result<Readable, KernelError>,
    was_attached: bool,
}

struct Readable {
    entries: Entries,
    ring: Ring,
    counters: Counters,
    programs: Pinned,
    translation: Translation,
}

impl Inherited {
    pub(super) fn open(pins: &Pins, generation: Generation, was_attached: bool) -> Self {
        let folder = pins.folder_of(generation);
        Self { generation, readable: Readable::open(&folder), was_attached }
    }

    /// Whether it recorded until now.
    #[must_use]
    pub fn was_attached(&self) -> bool {
        self.was_attached
    }

    /// Why nothing of it can be read.
    #[must_use]
    pub fn unreadable(&self) -> Option<&KernelError> {
        self.readable.as_ref().err()
    }

    /// Detaches its programs; what they kept stays.
    ///
    /// # Errors
    ///
    /// Where a pin can't be removed.
    pub fn detach(&self, pins: &Pins) -> Result<(), KernelError> {
        Ok(pins.remove_links(self.generation)?)
    }

    /// Removes all that is left of it.
    ///
    /// # Errors
    ///
    /// Where a pin can't be removed.
    pub fn remove(self, pins: &Pins) -> Result<(), KernelError> {
        Ok(pins.remove(self.generation)?)
    }

    /// What it has seen of every cgroup that it kept.
    ///
    /// # Errors
    ///
    /// A failed map call.
    pub fn observations(&self) -> Result<Vec<Observation>, KernelError> {
        let Ok(readable) = &self.readable else { return Ok(Vec::new()) };
        let mut seen = Vec::new();
        for cgroup in readable.entries.keys()? {
            if let Some(entry) = readable.entries.get(cgroup)? {
                seen.extend(observe(CgroupId(cgroup), &entry, &entry).ok().flatten());
            }
        }
        Ok(seen)
    }

    /// What its ring still holds, each event once: the kernel keeps where the reading is.
    pub fn events(&mut self) -> Vec<Event> {
        let Ok(readable) = &mut self.readable else { return Vec::new() };
        let mut events = Vec::new();
        while let Some(bytes) = readable.ring.next() {
            events.extend(readable.translation.event(&bytes).and_then(|bytes| event::parse(&bytes)));
        }
        events
    }

    /// What it counts as lost; `None` where that can't be read.
    pub fn counted(&mut self) -> Option<&mut dyn Counted> {
        self.readable.as_mut().ok().map(|readable| readable as &mut dyn Counted)
    }
}

impl Readable {
    fn open(folder: &Path) -> Result<Self, KernelError> {
        let mut parts = parts(folder);
        let layout = layout_in(&mut parts)?;
        Ok(Self {
            entries: Entries::new(parts.map(maps::CGROUPS)?, &layout)?,
            ring: Ring::try_from(parts.map(maps::EVENTS)?)?,
            counters: Counters::take(&mut parts, &layout)?,
            programs: Pinned::of_others(folder),
            translation: Translation::new(layout, Layout::own()),
        })
    }
}

impl Counted for Readable {
    fn loss(&self) -> Result<LossCounts, KernelError> {
        self.counters.loss()
    }

    fn skipped(&self) -> u64 {
        skipped::count(self.programs.hooks.iter().map(AsFd::as_fd))
    }

    fn kept(&self, place: u32) -> Result<debugtrail_common::kept::Kept, KernelError> {
        self.counters.kept(place)
    }

    fn keep(&mut self, place: u32, kept: debugtrail_common::kept::Kept) -> Result<(), KernelError> {
        self.counters.keep(place, kept)
    }
}

/// The programs of this process's own load, or of a pinned one.
pub(super) enum Programs {
    Loaded { ebpf: Box<Ebpf>, _links: Vec<PinnedLink> },
    Pinned(Box<Pinned>),
}

impl Programs {
    /// A file whose reading goes over all tasks.
    pub(super) fn scan(&mut self) -> Result<File, KernelError> {
        match self {
            Self::Loaded { ebpf, .. } => {
                let scan: &mut Iter = load::program(ebpf, SCAN)?;
                let link = scan.attach().map_err(load::refused)?;
                scan.take_link(link).map_err(load::refused)?.into_file().map_err(load::refused)
            }
            Self::Pinned(pinned) => {
                let scan = pinned.scan.as_ref().ok_or_else(|| KernelError::unlike("a scan"))?;
                pinned_program::iterator(scan.as_fd()).map_err(load::refused)
            }
        }
    }

    /// How often the kernel skipped one of them.
    pub(super) fn skipped(&self) -> u64 {
        match self {
            Self::Loaded { ebpf, .. } => {
                skipped::count(ebpf.programs().filter_map(|(_, program)| Some(program.fd().ok()?.as_fd())))
            }
            Self::Pinned(pinned) => skipped::count(pinned.hooks.iter().map(AsFd::as_fd)),
        }
    }
}
