//! Commands that xtask gives to itself.

use clap::Subcommand;

use super::oci_runtime::{self, Changed};
use super::part::{Part, Step};
use super::paths::Paths;
use super::{guard, init};

/// Not for people.
#[derive(Clone, Debug, Subcommand)]
pub enum Internal {
    /// The cluster's init: holds the namespaces, starts and reaps the components.
    Init,
    /// Waits for the cluster's owner to end, then takes the cluster down.
    Guard {
        /// Which cluster: a later one is left alone.
        generation: String,
    },
    /// An OCI runtime, called with a bundle that is changed first.
    OciRuntime(Changed),
    /// Lets a part of the running cluster's node go away or come back, for a scenario's script.
    Node {
        /// What to do.
        step: Step,
        /// To which part.
        part: Part,
    },
}

impl Internal {
    /// Runs it.
    ///
    /// # Errors
    /// As the command says.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Init => init::run(),
            Self::Guard { generation } => guard::run(&generation),
            Self::OciRuntime(changed) => oci_runtime::run(&changed),
            Self::Node { step, part } => part.take(step, &Paths::new()),
        }
    }
}
