//! How the programs get into the kernel: loaded, or adopted from pins.

use aya_log::EbpfLogger;

use super::generation::{self, Inherited, Pinned, Programs};
use super::load::{self, KernelError, LoadOptions, Object};
use super::pins::Pins;
use super::plan::{Generation, Standing, plan};
use super::{Kernel, Ring, maps};

/// The programs, and what this agent has from those before it.
pub struct Started {
    /// The programs and their maps.
    pub kernel: Kernel,
    /// Their ring.
    pub ring: Ring,
    /// What is pinned, where anything is.
    pub handover: Handover,
}

impl Started {
    /// Programs that were just loaded, and that are not pinned.
    #[must_use]
    pub fn of_loaded((kernel, ring): (Kernel, Ring)) -> Self {
        Self { kernel, ring, handover: Handover::default() }
    }
}

/// What a start has from the agents before it.
#[derive(Default)]
pub struct Handover {
    /// The folder of pins; `None` where nothing is pinned.
    pub pins: Option<Pins>,
    /// Whether the programs outlive this process.
    pub pinned: bool,
    /// These very programs recorded before this process began.
    pub adopted: bool,
    /// Other programs did; what they recorded is still to be read.
    pub inherited: Vec<Inherited>,
}

impl Handover {
    /// Whether programs were attached all the time, so that nothing is missing but what they count as lost.
    #[must_use]
    pub fn all_the_time(&self) -> bool {
        self.adopted || self.inherited.iter().any(Inherited::was_attached)
    }
}

/// Loads the programs and attaches them; nothing is pinned.
pub(super) fn load(options: LoadOptions, object: &Object) -> Result<(Kernel, Ring), KernelError> {
    from_loaded(load::load(options, object)?, Vec::new())
}

impl Kernel {
    /// Adopts the programs that are pinned, where they are of the same object and options; else loads and
    /// pins. What other objects left is inherited: it is still attached, so that nothing goes unseen until it
    /// is detached.
    ///
    /// # Errors
    ///
    /// [`KernelError`]: each variant says what to do.
    pub fn start(options: LoadOptions, object: &Object, pins: Pins) -> Result<Started, KernelError> {
        let found = pins.found()?;
        let identity = object.identity_with(options);
        let plan = plan(&found, identity);
        for generation in &plan.discard {
            tracing::debug!("{} was pinned or removed in part", generation.folder());
            pins.remove(*generation)?;
        }
        let adopted = plan.adopt.and_then(|generation| adopt(&pins, generation));
        let was_adopted = adopted.is_some();
        let (kernel, ring, pinned) = match adopted {
            Some((kernel, ring)) => (kernel, ring, true),
            None => load_and_pin(options, object, &pins, Generation::after(&found, identity))?,
        };
        let inherit = |generation: &Generation| {
            let attached = found.contains(&(*generation, Standing::Attached));
            Inherited::open(&pins, *generation, attached)
        };
        let inherited = plan.inherit.iter().map(inherit).collect();
        let handover = Handover { pins: Some(pins), pinned, adopted: was_adopted, inherited };
        Ok(Started { kernel, ring, handover })
    }
}

/// `None` where a part of it is missing, so that it is of no use: it is removed.
fn adopt(pins: &Pins, generation: Generation) -> Option<(Kernel, Ring)> {
    let folder = pins.folder_of(generation);
    let opened = (|| {
        let mut parts = generation::parts(&folder);
        let programs = Programs::Pinned(Box::new(Pinned::open(&folder)?));
        let ring = maps::ring(&mut parts)?;
        let mut maps = maps::Maps::take(&mut parts)?;
        maps.recount()?;
        Ok::<_, KernelError>((Kernel { programs, maps, logger: None }, ring))
    })();
    let error = match opened {
        Ok(opened) => return Some(opened),
        Err(error) => error,
    };
    tracing::warn!("what is pinned in {} can't be adopted: {error}", folder.display());
    if let Err(error) = pins.remove(generation) {
        tracing::warn!("{error}");
    }
    None
}

/// Whether it is pinned comes with it: an agent that records while it runs is better than none.
fn load_and_pin(
    options: LoadOptions,
    object: &Object,
    pins: &Pins,
    generation: Generation,
) -> Result<(Kernel, Ring, bool), KernelError> {
    let mut loaded = load::load(options, object)?;
    let pinned = pins.make(generation).map_err(KernelError::from);
    match pinned.and_then(|folder| generation::pin(&mut loaded, &folder)) {
        Ok(links) => from_loaded(loaded, links).map(|(kernel, ring)| (kernel, ring, true)),
        Err(error) => {
            tracing::warn!("{error}; until then, what happens while no agent runs is not recorded");
            // Half of it would go on recording without a reader.
            let _next_start_does = pins.remove(generation);
            drop(loaded);
            load(options, object).map(|(kernel, ring)| (kernel, ring, false))
        }
    }
}

fn from_loaded(
    loaded: load::Loaded,
    links: Vec<aya::programs::links::PinnedLink>,
) -> Result<(Kernel, Ring), KernelError> {
    let mut ebpf = loaded.ebpf;
    let ring = maps::ring(&mut ebpf)?;
    let maps = maps::Maps::take(&mut ebpf)?;
    let logger = EbpfLogger::init(&mut ebpf).ok();
    let programs = Programs::Loaded { ebpf: Box::new(ebpf), _links: links };
    Ok((Kernel { programs, maps, logger }, ring))
}
