//! The runtimes tier: the scenarios on clusters whose containers are run by other runtimes than the cluster tier's, against
//! what `debugtrail trace` says of them. A cluster each, one after the other.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::tier::Tier;
use libtest_mimic::{Arguments, Trial};
use xtask::cluster::Runtime;
use xtask::scenario;
use xtask::scenario::folder::Scenario;
use xtask::scenario::{report, run};

/// Names the runtimes, separated by commas; unset: all further ones.
const RUNTIMES: &str = "DEBUGTRAIL_TEST_RUNTIMES";
/// Names the scenarios, separated by commas; unset: all.
const SCENARIOS: &str = "DEBUGTRAIL_TEST_SCENARIOS";

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let result = all(&arguments);
    xtask::interrupt::wait_if_interrupted();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True where all have passed.
fn all(arguments: &Arguments) -> Result<bool> {
    xtask::interrupt::install()?;
    let scenarios = chosen(&Scenario::all(&scenario::folder())?)?;
    let mut passed = true;
    for runtime in runtimes()? {
        let tier = Tier::from(runtime);
        let trials = scenarios.iter().map(|scenario| trial(runtime, scenario, &tier)).collect();
        passed &= !libtest_mimic::run(arguments, trials).has_failed();
        tier.down()?;
    }
    Ok(passed)
}

fn runtimes() -> Result<Vec<Runtime>> {
    let Ok(names) = std::env::var(RUNTIMES) else { return Ok(Runtime::FURTHER.to_vec()) };
    let named = |name| Runtime::named(name).with_context(|| format!("there is no runtime {name}"));
    names.split(',').map(named).collect()
}

fn chosen(all: &[Scenario]) -> Result<Vec<Scenario>> {
    let Ok(names) = std::env::var(SCENARIOS) else { return Ok(all.to_vec()) };
    let find = |name: &str| {
        let found = all.iter().find(|scenario| scenario.name == name);
        found.cloned().with_context(|| format!("there is no scenario {name}"))
    };
    names.split(',').map(find).collect()
}

fn trial(runtime: Runtime, scenario: &Scenario, tier: &Tier) -> Trial {
    let (tier, scenario) = (tier.clone(), scenario.clone());
    Trial::test(format!("{}::{}", runtime.name(), scenario.name), move || {
        as_expected(&scenario, runtime, &tier).map_err(|error| format!("{error:#}").into())
    })
}

fn as_expected(scenario: &Scenario, runtime: Runtime, tier: &Tier) -> Result<()> {
    let scenario = scenario.on(runtime)?;
    let outcome = run::run(&scenario, &tier.access()?, &|_| ())?;
    let findings = outcome.findings.join("\n");
    ensure!(findings.is_empty(), "{findings}\n{}", report::text(&outcome));
    Ok(())
}
