//! `cargo xtask setup`.

/// Runs the chore.
///
/// # Errors
/// When a step fails.
pub fn run() -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
