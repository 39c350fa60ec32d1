//! Scenarios as tests, for the tiers that run them through `debugtrail trace`.

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Trial};
use xtask::scenario::access::Access;
use xtask::scenario::folder::Scenario;
use xtask::scenario::{report, run};

/// Runs one and compares its records with those that it must give.
///
/// # Errors
/// With all that is not as expected, and what was seen.
pub fn as_expected(scenario: &Scenario, access: &Access) -> Result<()> {
    let outcome = run::run(scenario, access, &|_| ())?;
    let findings = outcome.findings.join("\n");
    ensure!(findings.is_empty(), "{findings}\n{}", report::text(&outcome));
    Ok(())
}

/// Runs tests, so many at a time; true where all have passed.
#[must_use]
pub fn all_pass(arguments: &Arguments, threads: usize, trials: Vec<Trial>) -> bool {
    let arguments = Arguments { test_threads: Some(threads), ..arguments.clone() };
    !libtest_mimic::run(&arguments, trials).has_failed()
}
