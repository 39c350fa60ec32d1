//! Commands that xtask gives to itself.

use clap::Subcommand;

/// Not for people.
#[derive(Clone, Debug, Subcommand)]
pub enum Internal {
    /// Waits for the cluster's owner to end, then takes the cluster down.
    Guard,
}

impl Internal {
    /// Runs it.
    ///
    /// # Errors
    /// As the command says.
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("being written")
    }
}
