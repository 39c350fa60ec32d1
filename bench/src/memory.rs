//! Memory of debugtrail at rest, on a node of idle pods.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use xtask::progress::Step;

use crate::report::MemoryRow;
use crate::stage::{IDLE_PODS, Stage};
use crate::trace::TimedTrace;

/// How long it is left alone before it is looked at.
const REST: Duration = Duration::from_secs(5);
const AIM_RSS_KIB: u64 = 20 * 1024;

/// Looks at it.
///
/// # Errors
/// When it does not run.
pub fn measure(stage: &Stage) -> Result<Vec<MemoryRow>> {
    let step = Step::begin(&format!("memory at rest with {IDLE_PODS} idle pods"));
    let trace = TimedTrace::start(&stage.access)?;
    // One session from begin to end: then the list of pods is in, too.
    let session = stage.live_session(&trace, &stage.patients[0], "memory")?;
    session.end()?;
    trace.wait_for_session("session_ended", &session.pod_uid, &session.container)?;
    sleep(REST);
    let (status, held) = (trace.status()?, trace.counts()?);
    trace.stop()?;
    step.done();
    Ok(vec![MemoryRow {
        program: "debugtrail".to_owned(),
        case: "at rest",
        rss_kib: status.vmrss,
        anonymous_kib: status.rssanon,
        file_kib: status.rssfile,
        peak_kib: status.vmhwm,
        kernel_maps_kib: Some(held.map_kib()),
        aim_rss_kib: Some(AIM_RSS_KIB),
    }])
}
