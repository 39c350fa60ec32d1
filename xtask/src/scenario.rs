//! Scenarios.

/// Runs one scenario for a person.
///
/// # Errors
/// When a step fails.
pub fn run_one(_name: &str) -> anyhow::Result<()> {
    anyhow::bail!("scenarios are being written")
}

/// Lists the scenarios.
///
/// # Errors
/// When the folder cannot be read.
pub fn list() -> anyhow::Result<()> {
    anyhow::bail!("scenarios are being written")
}
