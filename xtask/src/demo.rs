//! The demo.

/// Runs the demo.
///
/// # Errors
/// When a step fails.
pub fn run(_use_cluster: bool, _keep: bool) -> anyhow::Result<()> {
    anyhow::bail!("the demo is being written")
}
