//! What a scenario does to the node in the middle of a session: a part of it goes away and comes back.
//!
//! The scenario's script asks for it through `xtask internal`, whoever owns the cluster; [`make_whole`] is the end of it
//! in any case.

use anyhow::Result;
use clap::ValueEnum;
use rustix::process::Signal;

use super::layout::Layout;
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
    /// It is told to end (SIGTERM).
    Stop,
    /// It is ended on the spot (SIGKILL).
    Kill,
    /// It is started again, and awaited.
    Start,
}

impl Part {
    fn component(self, layout: &Layout) -> Result<&'static str> {
        Ok(match self {
            Self::Runtime => control::load(layout)?.runtime.component(),
            Self::Kubelet => "kubelet",
        })
    }

    /// Returns when the part is gone, or serves again.
    pub(super) fn take(self, step: Step, layout: &Layout) -> Result<()> {
        match step {
            Step::Stop => control::stop(layout, self.component(layout)?, Signal::TERM),
            Step::Kill => control::stop(layout, self.component(layout)?, Signal::KILL),
            Step::Start => self.start(layout),
        }
    }

    fn start(self, layout: &Layout) -> Result<()> {
        control::start(layout, self.component(layout)?)?;
        match self {
            Self::Runtime => wait::for_runtime(layout, control::load(layout)?.runtime),
            Self::Kubelet => wait::for_node(layout),
        }
    }

    fn is_away(self, layout: &Layout) -> Result<bool> {
        let state = control::load(layout)?;
        let process = state.components.get(self.component(layout)?).and_then(|component| component.process);
        Ok(!process.is_some_and(ProcessId::alive))
    }
}

/// Starts again what is away of the embedded cluster, and waits until the node takes pods.
///
/// # Errors
/// When there is no cluster, or a part does not come back.
pub fn make_whole() -> Result<()> {
    let layout = Layout::new();
    let mut was_away = false;
    // The kubelet wants a runtime.
    for part in [Part::Runtime, Part::Kubelet] {
        if part.is_away(&layout)? {
            was_away = true;
            part.start(&layout)?;
        }
    }
    if was_away { wait::for_node(&layout) } else { Ok(()) }
}
