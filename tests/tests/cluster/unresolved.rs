//! What neither runtime nor API can name: reported as unresolved, after the deadline on a synced index and
//! not before.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use debugtrail::session::UNRESOLVED_AFTER;
use debugtrail_tests::debug::{PATIENCE, Patient, Session};
use debugtrail_tests::tier::Tier;
use rustix::process::Signal;
use serde_json::{Value, json};
use xtask::cluster::{BUSYBOX_IMAGE, Cluster};
use xtask::scenario::check;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::trace::Trace;

use super::api_server::Away;

/// By when a verdict that does not wait for the index would have been given: time is looked at once a second.
const OVERDUE: Duration = Duration::from_secs(UNRESOLVED_AFTER.as_secs() + 2);

/// A container in a pod's cgroup that no kubelet made: of a pod that no API server has.
pub(crate) struct Stray {
    pub(crate) id: String,
    pub(crate) pod_uid: String,
    ctr: Child,
    kill: Command,
}

impl Stray {
    /// One without CRI's annotations.
    fn run(cluster: &Cluster, script: &str) -> Result<Self> {
        Self::annotated(cluster, script, |_| Vec::new())
    }

    /// One with annotations, by its pod's UID.
    pub(crate) fn annotated(
        cluster: &Cluster,
        script: &str,
        annotations: impl FnOnce(&str) -> Vec<String>,
    ) -> Result<Self> {
        let (pod_uid, id) = (uuid()?, id()?);
        // Not in the kubelet's own tree: it kills what is in a pod's cgroup that it does not know.
        let cgroup = format!("{}/apart/kubepods/besteffort/pod{pod_uid}/{id}", cluster.cgroup_root());
        let annotations = annotations(&pod_uid);
        Self::start(cluster, script, (id, pod_uid), &cgroup, annotations)
    }

    /// One in the cgroup that containerd gives by default, as the kubelet does with `cgroupsPerQOS: false`.
    fn in_default_cgroup(
        cluster: &Cluster,
        script: &str,
        pod_uid: &str,
        annotations: Vec<String>,
    ) -> Result<Self> {
        let id = id()?;
        let cgroup = format!("{}/k8s.io/{id}", cluster.cgroup_root());
        Self::start(cluster, script, (id, pod_uid.to_owned()), &cgroup, annotations)
    }

    fn start(
        cluster: &Cluster,
        script: &str,
        (id, pod_uid): (String, String),
        cgroup: &str,
        annotations: Vec<String>,
    ) -> Result<Self> {
        let ctr = || {
            let mut ctr = Command::new("ctr");
            ctr.arg("--address").arg(cluster.runtime_socket()).args(["--namespace", "k8s.io"]);
            ctr.stdin(Stdio::null()).stdout(Stdio::null());
            ctr
        };
        let mut kill = ctr();
        kill.args(["task", "kill", "--signal", "SIGKILL", &id]).stderr(Stdio::null());
        let options = ["run", "--rm", "--null-io", "--snapshotter", "native", "--cgroup", cgroup];
        // The kubelet's short name, as the runtime keeps it.
        let image = format!("docker.io/{BUSYBOX_IMAGE}");
        let command = [&image, &id, "sh", "-c", script];
        let annotations = annotations.into_iter().map(|annotation| format!("--annotation={annotation}"));
        let child =
            ctr().args(options).args(annotations).args(command).spawn().context("cannot start ctr")?;
        Ok(Self { id, pod_uid, ctr: child, kill })
    }

    /// The code that the runtime reports at its end, as a shell would show it.
    fn end(&mut self) -> Result<Option<i32>> {
        Ok(self.ctr.wait()?.code())
    }

    fn records<'a>(&self, records: &'a [Value]) -> Vec<&'a Value> {
        check::of_sessions(records).filter(|record| record["session_id"] == self.id.as_str()).collect()
    }

    fn wait_for(&self, kind: &str, trace: &Trace) -> Result<Value> {
        trace.wait_for(&format!("{kind} of the unresolved container"), PATIENCE, |records| {
            self.records(records).into_iter().find(|record| record["type"] == kind).cloned()
        })
    }

    /// Its start and its end were reported once each, and nothing that was not known.
    fn check(&self, exit_code: i32, records: &[Value]) -> Result<()> {
        let ours: Vec<&Value> =
            check::sessions(records).filter(|record| record["session_id"] == self.id.as_str()).collect();
        let kinds: Vec<&Value> = ours.iter().map(|record| &record["type"]).collect();
        ensure!(kinds == ["session_started", "session_ended"], "its records are {kinds:?}");
        let unnamed = json!({
            "namespace": null, "pod_name": null, "container_name": null, "container_id": null, "image": null,
            "image_id": null, "target_container": null, "session_kind": null, "pod_uid": self.pod_uid,
            "evidence": {"kernel": "full", "named_by": null, "kind_by": null, "runtime": null, "lost_events": 0},
        });
        for record in &ours {
            let wrong = [mismatches(&unnamed, record), check::contradictions(record)].concat();
            ensure!(wrong.is_empty(), "{}: {}", record["type"], wrong.join("; "));
        }
        let wrong =
            mismatches(&json!({"exit_code": exit_code, "signal": null, "exit_class": "ERROR"}), ours[1]);
        ensure!(wrong.is_empty(), "session_ended: {}", wrong.join("; "));
        Ok(())
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        // What is left of a test that failed.
        if matches!(self.ctr.try_wait(), Ok(None)) {
            let _gone = self.kill.status();
            let _ended = self.ctr.wait();
        }
    }
}

/// It runs on past the deadline, is reported then, and its end when it comes.
pub fn an_unknown_container_is_reported_once(tier: &Tier) -> Result<()> {
    let (cluster, access) = (tier.cluster()?, tier.access()?);
    let trace = Trace::start(&access, &[])?;
    let before = Instant::now();
    let mut stray = Stray::run(&cluster, "trap 'exit 5' TERM; while :; do sleep 0.1; done")?;
    let started = stray.wait_for("session_started", &trace)?;
    ensure!(before.elapsed() >= UNRESOLVED_AFTER, "reported after {:?}", before.elapsed());

    let pid = started["main"]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).context("no main pid")?;
    Session { container: "the container".into(), id: stray.id.clone(), pid }.signal(Signal::TERM)?;
    ensure!(stray.end()? == Some(5), "the runtime has another exit code");
    stray.wait_for("session_ended", &trace)?;
    stray.check(5, &trace.stop()?)
}

/// Without an API server its absence from the index says nothing, however long it takes; the deadline runs from the
/// list of pods on.
pub fn nothing_is_reported_while_the_api_server_is_away(tier: &Tier) -> Result<()> {
    let (cluster, access) = (tier.cluster()?, tier.access()?);
    let trace = Trace::start(&access, &[])?;
    let away = Away::begin(&cluster)?;
    // Its own life is the time that passes.
    let mut stray = Stray::run(&cluster, &format!("sleep {}; exit 6", OVERDUE.as_secs()))?;
    ensure!(stray.end()? == Some(6), "the runtime has another exit code");
    let early = trace.records();
    ensure!(stray.records(&early).is_empty(), "reported before anything could be known: {early:?}");

    let before = Instant::now();
    away.end()?;
    stray.wait_for("session_ended", &trace)?;
    ensure!(
        before.elapsed() >= UNRESOLVED_AFTER,
        "reported {:?} after the API server's return",
        before.elapsed()
    );
    stray.check(6, &trace.stop()?)
}

/// Where no cgroup names a pod (`cgroupsPerQOS: false`), the runtime does.
pub fn outside_of_all_pods_the_runtime_names_it(tier: &Tier) -> Result<()> {
    let cluster = tier.cluster()?;
    let patient = Patient::admit(tier.access()?)?;
    let trace = Trace::start(&patient.access, &["--all-containers"])?;
    let annotations = cri_annotations("app", &patient.pod.namespace, &patient.pod.name, &patient.pod.uid);
    let mut outside = Stray::in_default_cgroup(&cluster, "exit 4", &patient.pod.uid, annotations)?;
    ensure!(outside.end()? == Some(4), "the runtime has another exit code");
    let ended = outside.wait_for("session_ended", &trace)?;
    let expected = json!({
        "namespace": patient.pod.namespace, "pod_name": patient.pod.name, "pod_uid": patient.pod.uid,
        "container_name": "app", "exit_code": 4, "evidence": {"kernel": "full", "named_by": "runtime"},
    });
    let wrong = mismatches(&expected, &ended);
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    trace.stop().map(drop)
}

/// What CRI writes into a container's bundle.
pub(crate) fn cri_annotations(container: &str, namespace: &str, pod: &str, uid: &str) -> Vec<String> {
    let annotation = |(key, value): (&str, &str)| format!("io.kubernetes.cri.{key}={value}");
    [
        ("container-type", "container"),
        ("container-name", container),
        ("sandbox-name", pod),
        ("sandbox-namespace", namespace),
        ("sandbox-uid", uid),
    ]
    .map(annotation)
    .to_vec()
}

fn id() -> Result<String> {
    Ok(format!("{}{}", uuid()?, uuid()?).replace('-', ""))
}

fn uuid() -> Result<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("no random UUID")?;
    Ok(uuid.trim().to_owned())
}
