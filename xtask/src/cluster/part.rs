//! What a scenario does to the node in the middle of a session: a part of it goes away and comes back.
//!
//! The scenario's script asks for it through `xtask internal`, whoever owns the cluster; [`make_whole`] is the end of it
//! in any case.

use anyhow::Result;
use clap::ValueEnum;
use rustix::process::Signal;

use super::paths::Paths;
use super::process::ProcessId;
use super::{control, wait};

/// A part of the node that containers outlive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The container runtime; shims and containers run on.
    Runtime,
    /// The kubelet.
    Kubelet,
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// It is asked to end (SIGTERM).
    Stop,
    /// It is ended on the spot (SIGKILL).
    Kill,
    /// It is started again, and awaited.
    Start,
}

impl Part {
    fn component(self, paths: &Paths) -> Result<&'static str> {
        Ok(match self {
            Self::Runtime => control::load(paths)?.runtime.component(),
            Self::Kubelet => "kubelet",
        })
    }

    /// Returns when the part is gone, or serves again.
    pub(super) fn take(self, step: Step, paths: &Paths) -> Result<()> {
        match step {
            Step::Stop => control::stop(paths, self.component(paths)?, Signal::TERM),
            Step::Kill => control::stop(paths, self.component(paths)?, Signal::KILL),
            Step::Start => self.start(paths),
        }
    }

    fn start(self, paths: &Paths) -> Result<()> {
        control::start(paths, self.component(paths)?)?;
        match self {
            Self::Runtime => wait::for_runtime(paths, control::load(paths)?.runtime),
            Self::Kubelet => wait::for_node(paths),
        }
    }

    fn is_away(self, paths: &Paths) -> Result<bool> {
        let state = control::load(paths)?;
        let process = state.components.get(self.component(paths)?).and_then(|component| component.process);
        Ok(!process.is_some_and(ProcessId::alive))
    }
}

/// Starts again what is away of the embedded cluster, and waits until the node takes pods.
///
/// # Errors
/// When there is no cluster, or a part does not come back.
pub fn make_whole() -> Result<()> {
    let paths = Paths::new();
    let mut was_away = false;
    // The kubelet wants a runtime.
    for part in [Part::Runtime, Part::Kubelet] {
        if part.is_away(&paths)? {
            was_away = true;
            part.start(&paths)?;
        }
    }
    if was_away { wait::for_node(&paths) } else { Ok(()) }
}
