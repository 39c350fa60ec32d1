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
    /// containerd; shims and containers run on.
    Containerd,
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
    const fn component(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
        }
    }

    /// Returns when the part is gone, or serves again.
    pub(super) fn take(self, step: Step, layout: &Layout) -> Result<()> {
        match step {
            Step::Stop => control::stop(layout, self.component(), Signal::TERM),
            Step::Kill => control::stop(layout, self.component(), Signal::KILL),
            Step::Start => self.start(layout),
        }
    }

    fn start(self, layout: &Layout) -> Result<()> {
        control::start(layout, self.component())?;
        match self {
            Self::Containerd => wait::for_containerd(layout),
            Self::Kubelet => wait::for_node(layout),
        }
    }

    fn is_away(self, layout: &Layout) -> Result<bool> {
        let state = control::load(layout)?;
        let process = state.components.get(self.component()).and_then(|component| component.process);
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
    // The kubelet wants a containerd.
    for part in [Part::Containerd, Part::Kubelet] {
        if part.is_away(&layout)? {
            was_away = true;
            part.start(&layout)?;
        }
    }
    if was_away { wait::for_node(&layout) } else { Ok(()) }
}
