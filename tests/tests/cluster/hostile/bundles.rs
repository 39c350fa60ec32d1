//! Bundles that can't be read, or not in time.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use debugtrail_tests::attack::{MEMORY_LIMIT, is_whole, peak_memory, text};
use debugtrail_tests::debug::{PATIENCE, Patient};
use debugtrail_tests::tier::Tier;
use serde_json::json;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

use super::cgroups::Files;

/// Of a containerd that this machine does not have: the cluster's keeps its bundles elsewhere.
const BUNDLES: &str = "/run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io";

/// What the sessions exit with.
const CODE: u8 = 8;

/// FIFOs, devices, a file of 1 GB and a file system that hangs, where the agent looks for containers: sessions beside
/// them are named by the runtime, by one that ran before and by one that starts meanwhile.
pub fn bundles_that_block_hold_up_nothing(tier: &Tier) -> Result<()> {
    let patient = Patient::admit(tier.access()?)?;
    let before = Trace::start(&patient.access, &[])?;
    let files = Files::new("debugtrail-bundles")?;
    let folder = files.path("shim");
    fs::create_dir(&folder)?;
    let _mounts = Leftover(&folder);
    let attack = files.start("blocked_bundles", &[("BUNDLES", BUNDLES), ("FOLDER", text(&folder)?)])?;
    let meanwhile = Trace::start(&patient.access, &[])?;
    let session = patient.session("beside", CODE)?;
    for trace in [&before, &meanwhile] {
        let started = trace.wait_for_session("session_started", "beside", PATIENCE)?;
        ensure!(started["evidence"]["named_by"] == "runtime", "{started}");
    }
    session.end()?;
    for trace in [before, meanwhile] {
        trace.wait_for_session("session_closed", "beside", PATIENCE)?;
        let peak = peak_memory(trace.pid())?;
        ensure!(peak < MEMORY_LIMIT, "{peak} bytes at most");
        let log = trace.log();
        let records = trace.stop()?;
        is_whole(&session, CODE, &records)?;
        let ended = session.records("session_ended", &records)[0];
        let by_runtime = json!({"evidence": {"named_by": "runtime", "runtime": {"agrees": true}}});
        let wrong = mismatches(&by_runtime, ended);
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        ensure!(log.contains("does not end"), "nothing hung: {log}");
    }
    files.end(attack)
}

/// What a script that failed leaves behind.
struct Leftover<'a>(&'a Path);

impl Drop for Leftover<'_> {
    fn drop(&mut self) {
        for bundle in fs::read_dir(self.0.join("shown")).into_iter().flatten().flatten() {
            // Most are no mounts.
            let _ = rustix::mount::unmount(bundle.path(), rustix::mount::UnmountFlags::DETACH);
        }
        let _none = fs::remove_dir_all(BUNDLES);
        for folder in Path::new(BUNDLES).ancestors().take(5) {
            // Not ours where it is not empty.
            let _kept = fs::remove_dir(folder);
        }
    }
}
