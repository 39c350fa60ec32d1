//! The runtimes tier: the scenarios on clusters whose containers are run by other runtimes than the cluster tier's, against
//! what `debugtrail trace` says of them. A cluster each, one after the other.

use std::process::ExitCode;

use anyhow::{Context, Result};
use debugtrail_tests::scenarios::{all_pass, as_expected};
use debugtrail_tests::tier::Tier;
use libtest_mimic::{Arguments, Trial};
use xtask::cluster::{Options, Runtime};
use xtask::scenario;
use xtask::scenario::folder::Scenario;

/// Names the runtimes, separated by commas; unset: all further ones.
const RUNTIMES: &str = "DEBUGTRAIL_TEST_RUNTIMES";
/// Names the scenarios, separated by commas; unset: all.
const SCENARIOS: &str = "DEBUGTRAIL_TEST_SCENARIOS";
/// Names the usual runtime below a kubelet that makes no cgroups of pods.
const NO_POD_CGROUPS: &str = "no-pod-cgroups";
/// What is run there: what a session's path could say, its runtime must.
const WITHOUT_POD_CGROUPS: [&str; 3] = ["05-ephemeral-exit", "30-command-not-found", "40-two-at-once"];

/// Scenarios at the same time: most of one is waiting.
const AT_ONCE: usize = 4;

/// A cluster to run scenarios on.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    options: Options,
}

impl Kind {
    fn on(runtime: Runtime) -> Self {
        Self { name: runtime.name(), options: Options { runtime, ..Options::default() } }
    }

    fn without_pod_cgroups() -> Self {
        let options = Options { without_pod_cgroups: true, ..Options::default() };
        Self { name: NO_POD_CGROUPS, options }
    }

    fn has(&self, scenario: &Scenario) -> bool {
        !self.options.without_pod_cgroups || WITHOUT_POD_CGROUPS.contains(&scenario.name.as_str())
    }
}

fn main() -> ExitCode {
    let result = all(&Arguments::from_args());
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
    for kind in kinds()? {
        let tier = Tier::from(kind.options);
        let of_it = scenarios.iter().filter(|scenario| kind.has(scenario));
        // Those that stop parts of the node run one by one.
        let (alone, beside): (Vec<_>, Vec<_>) = of_it.partition(|scenario| scenario.expect.alone);
        for (threads, scenarios) in [(AT_ONCE, beside), (1, alone)] {
            let trials = scenarios.into_iter().map(|scenario| trial(kind, scenario, &tier)).collect();
            passed &= all_pass(arguments, threads, trials);
        }
        tier.down()?;
    }
    Ok(passed)
}

fn kinds() -> Result<Vec<Kind>> {
    let Ok(names) = std::env::var(RUNTIMES) else {
        let further = Runtime::FURTHER.into_iter().map(Kind::on);
        return Ok(further.chain([Kind::without_pod_cgroups()]).collect());
    };
    let named = |name| match name {
        NO_POD_CGROUPS => Ok(Kind::without_pod_cgroups()),
        _ => Runtime::named(name).map(Kind::on).with_context(|| format!("there is no runtime {name}")),
    };
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

fn trial(kind: Kind, scenario: &Scenario, tier: &Tier) -> Trial {
    let (tier, scenario) = (tier.clone(), scenario.clone());
    Trial::test(format!("{}::{}", kind.name, scenario.name), move || {
        let result =
            scenario.on(kind.options.runtime).and_then(|scenario| as_expected(&scenario, &tier.access()?));
        result.map_err(|error| format!("{error:#}").into())
    })
}
