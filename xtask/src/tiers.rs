//! `cargo xtask test`.

/// A tier of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Pure code: no root needed.
    Unit,
    /// The eBPF programs on the running kernel.
    Kernel,
    /// Real containers through containerd and runc or crun.
    Containers,
    /// Real debug sessions on the embedded Kubernetes.
    Cluster,
}

/// Runs the tiers, all where none is named.
///
/// # Errors
/// When a tier fails or can't run.
pub fn run(_tiers: &[Tier]) -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
