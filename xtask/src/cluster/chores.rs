//! `cargo xtask cluster up|down|status`.

/// Starts the cluster and leaves it running.
///
/// # Errors
/// When it does not start.
pub fn up() -> anyhow::Result<()> {
    anyhow::bail!("being written")
}

/// Takes the cluster down.
///
/// # Errors
/// When something is left.
pub fn down() -> anyhow::Result<()> {
    anyhow::bail!("being written")
}

/// Says whether it is up.
///
/// # Errors
/// When its state cannot be read.
pub fn status() -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
