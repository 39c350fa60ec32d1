//! What is no session is forgotten: the kernel map's candidates return to zero.

use std::time::Duration;

use anyhow::{Result, ensure};
use debugtrail::ids::Pid;
use debugtrail::kernel::inspect;
use debugtrail::kernel::observation::Observation;
use debugtrail_tests::tier::Tier;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use xtask::cluster::BUSYBOX_IMAGE;
use xtask::poll;
use xtask::scenario::access::Access;
use xtask::scenario::pod::{self, Namespace};
use xtask::scenario::trace::Trace;

const PODS: usize = 50;
/// From a container's start on, at most.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(1);
/// For the machine to start them all.
const STARTING: Duration = Duration::from_secs(300);

/// Fifty pods, a pause and an ordinary container each, are started under a trace. While they start, no container may
/// still be a candidate a second after its main process began; when all run, none is left.
pub fn candidates_return_to_zero(tier: &Tier) -> Result<()> {
    let access = tier.access()?;
    let trace = Trace::start(&access, &[])?;
    // Another debugtrail of this machine may keep candidates of its own.
    let pid = Pid(trace.pid());
    let candidates = || inspect::candidates(pid);
    let namespace = Namespace::create(&access, "test")?;
    pod::create(&access, &["-n", &namespace.name], &idle_pods(&access.node_name))?;

    let mut late = None;
    let mut seen = 0;
    let mut asked = 0;
    let all_run = poll::until(STARTING, || {
        let Ok(now) = candidates() else { return false };
        seen = seen.max(now.len());
        late = late.take().or_else(|| now.into_iter().find(is_late));
        asked += 1;
        // Asking kubectl is slow; the map is looked at far more often.
        late.is_some()
            || (asked % 50 == 0 && running(&access, &namespace.name).is_ok_and(|pods| pods == PODS))
    });
    ensure!(late.is_none(), "still a candidate more than a second after its start: {late:?}");
    ensure!(all_run, "{PODS} pods did not start within {STARTING:?}");
    ensure!(seen > 0, "no candidate was ever seen: this test looks at the wrong map");
    let empty = poll::until(FORGOTTEN_WITHIN, || candidates().is_ok_and(|left| left.is_empty()));
    ensure!(empty, "left as candidates: {:?}", candidates()?);
    let records = trace.stop()?;
    let about: Vec<_> = records.iter().filter(|record| record["namespace"] == *namespace.name).collect();
    ensure!(about.is_empty(), "records of idle pods: {about:?}");
    Ok(())
}

fn is_late(candidate: &Observation) -> bool {
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    let began = candidate.main.as_ref().and_then(|main| main.execed);
    began.is_some_and(|began| now.saturating_sub(Duration::from_nanos(began.0)) > FORGOTTEN_WITHIN)
}

fn running(access: &Access, namespace: &str) -> Result<usize> {
    let running = ["get", "pods", "-n", namespace, "--field-selector=status.phase=Running", "-o", "name"];
    Ok(access.kubectl_output(&running)?.lines().count())
}

fn idle_pods(node_name: &str) -> Value {
    let container = json!({"name": "app", "image": BUSYBOX_IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]});
    let pod = |number| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("idle-{number}")},
            "spec": {"nodeName": node_name, "terminationGracePeriodSeconds": 0, "containers": [container]},
        })
    };
    json!({"apiVersion": "v1", "kind": "List", "items": (1..=PODS).map(pod).collect::<Vec<_>>()})
}
