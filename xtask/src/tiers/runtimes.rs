//! The runtimes tier: the scenarios on clusters with other container runtimes than the cluster tier's.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use anyhow::Result;

use super::{Extent, Tier, build_tests, cargo_test};
use crate::cluster::{self, Runtime};
use crate::setup::apt;
use crate::{command, repo, setup};

/// What is run of it where it is not named: a session that runs, and one whose program is not there.
const SAMPLE: &str = "05-ephemeral-exit,30-command-not-found";

/// Runs it on these runtimes, all further ones where none is given; as a whole also below a kubelet that makes no cgroups of
/// pods.
pub(super) fn run(wanted: &[Runtime], extent: Extent) -> Result<()> {
    let is_all = wanted.is_empty() && extent == Extent::Whole;
    let wanted = further(wanted);
    wanted.iter().try_for_each(|&runtime| setup::for_cluster(runtime))?;
    build_tests(Tier::Runtimes)?;
    let mut tests = cargo_test(Tier::Runtimes);
    let names: Vec<&str> = wanted.iter().map(|runtime| runtime.name()).collect();
    if !is_all {
        tests.env("DEBUGTRAIL_TEST_RUNTIMES", names.join(","));
    }
    if extent == Extent::Sample {
        tests.env("DEBUGTRAIL_TEST_SCENARIOS", SAMPLE);
    }
    let result = command::run(&mut tests);
    cluster::settle()?;
    result
}

fn further(wanted: &[Runtime]) -> &[Runtime] {
    if wanted.is_empty() { &Runtime::FURTHER } else { wanted }
}

/// Builds the runtimes while another tier waits for its pods, with what that leaves of the CPUs. [`run`] builds what this
/// did not, and says why it can't be built, so that nothing here is an error. On Ctrl-C it ends with all that we run.
pub(super) fn build_ahead(wanted: &[Runtime]) -> Option<Child> {
    // Here, since nothing else installs meanwhile.
    if further(wanted).contains(&Runtime::CriO) {
        apt::install_missing(apt::Purpose::CriO).ok()?;
    }
    fs::create_dir_all(repo::tools()).ok()?;
    let log = File::create(repo::tools().join("runtimes.log")).ok()?;
    let mut setup = Command::new("nice");
    setup.args(["-n", "19"]).arg(std::env::current_exe().ok()?).arg("setup");
    for runtime in further(wanted) {
        setup.args(["--runtime", runtime.name()]);
    }
    setup.stdin(Stdio::null()).stdout(log.try_clone().ok()?).stderr(log).spawn().ok()
}
