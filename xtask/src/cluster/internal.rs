//! Commands that xtask gives to itself.

use clap::Subcommand;

use super::layout::Layout;
use super::part::{Part, Step};
use super::{guard, hooked_runc, init};

/// Not for people.
#[derive(Clone, Debug, Subcommand)]
pub enum Internal {
    /// The cluster's init: holds the namespaces, starts and reaps the components.
    Init,
    /// Waits for the cluster's owner to end, then takes the cluster down.
    Guard {
        /// Which cluster: a later one is none of its business.
        generation: String,
    },
    /// runc with OCI hooks added.
    HookedRunc {
        /// runc's arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
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
            Self::HookedRunc { args } => hooked_runc::run(&args),
            Self::Node { step, part } => part.take(step, &Layout::new()),
        }
    }
}
