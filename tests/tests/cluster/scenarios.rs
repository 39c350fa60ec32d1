//! Every folder of scenarios/ is a test.

use anyhow::{Result, ensure};
use debugtrail_tests::scenarios::as_expected;
use debugtrail_tests::tier::Tier;
use libtest_mimic::Trial;
use xtask::scenario;
use xtask::scenario::folder::Scenario;

/// Those that can run at the same time, and those that stop parts of the node.
pub fn trials(tier: &Tier) -> Result<(Vec<Trial>, Vec<Trial>)> {
    let scenarios = Scenario::all(&scenario::folder())?;
    ensure!(!scenarios.is_empty(), "no scenario in {}", scenario::folder().display());
    let (alone, beside): (Vec<_>, Vec<_>) = scenarios.into_iter().partition(|scenario| scenario.expect.alone);
    let trial = |scenario: Scenario| {
        let name = format!("scenario::{}", scenario.name);
        super::trial(&name, tier, move |tier| as_expected(&scenario, &tier.access()?))
    };
    Ok((beside.into_iter().map(trial).collect(), alone.into_iter().map(trial).collect()))
}
