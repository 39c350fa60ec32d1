//! A static pod: its cgroup and the runtime's metadata carry the hash of its manifest, and the API has a mirror of it
//! with a UID of its own.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use debugtrail_tests::debug::PATIENCE;
use debugtrail_tests::tier::Tier;
use serde_json::{Value, json};
use xtask::cluster::{BUSYBOX_IMAGE, Cluster};
use xtask::interrupt::{self, Cleanup};
use xtask::scenario::access::Access;
use xtask::scenario::check;
use xtask::scenario::matcher::mismatches;
use xtask::scenario::pod::Namespace;
use xtask::scenario::trace::Trace;

const POD: &str = "static";
/// A name that no other test's container has.
const CONTAINER: &str = "from-manifest";
const MIRROR: &str = "kubernetes.io/config.mirror";
const HASH: &str = "kubernetes.io/config.hash";

/// A manifest in the kubelet's folder. Its pod ends when this is dropped.
struct Manifest(Cleanup);

impl Manifest {
    fn put(cluster: &Cluster, pod: &Value) -> Result<Self> {
        let file = |name: &str| -> PathBuf { cluster.static_pods().join(name) };
        // Not to be seen before it is whole.
        let (written, seen) = (file(".static.json"), file("static.json"));
        let files = [written.clone(), seen.clone()];
        let cleanup = interrupt::on_exit(move || {
            for file in files {
                match fs::remove_file(&file) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        eprintln!("{} is left behind: {error}", file.display());
                    }
                    _ => {}
                }
            }
        });
        fs::write(&written, pod.to_string())?;
        fs::rename(&written, &seen)?;
        Ok(Self(cleanup))
    }

    /// The kubelet ends the pod: SIGTERM first.
    fn remove(self) {
        drop(self.0);
    }
}

/// The record has the mirror's names and UID, though kernel and runtime know the pod by its hash alone.
pub fn named_as_the_api_names_its_mirror(tier: &Tier) -> Result<()> {
    let (cluster, access) = (tier.cluster()?, tier.access()?);
    let trace = Trace::start(&access, &["--all-containers"])?;
    let namespace = Namespace::create(&access, "test")?;
    let manifest = Manifest::put(&cluster, &pod(&namespace.name))?;
    let started = trace.wait_for_session("session_started", CONTAINER, PATIENCE)?;
    let mirror = mirror(&access, &namespace.name)?;
    let (uid, annotations) = (&mirror["metadata"]["uid"], &mirror["metadata"]["annotations"]);
    let is_mirror = annotations[MIRROR].is_string() && *uid != annotations[HASH];
    ensure!(is_mirror, "no mirror of a static pod: {}", mirror["metadata"]);
    let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", started["main"]["pid"]))?;
    let hash = annotations[HASH].as_str().context("the mirror pod has no config hash")?;
    ensure!(
        cgroup.contains(&format!("/pod{hash}/")),
        "its cgroup is not called by its hash {hash}: {cgroup}"
    );

    manifest.remove();
    trace.wait_for_session("session_ended", CONTAINER, PATIENCE)?;
    let records = trace.stop()?;
    let ours: Vec<&Value> =
        check::sessions(&records).filter(|record| record["namespace"] == *namespace.name).collect();
    let kinds: Vec<&Value> = ours.iter().map(|record| &record["type"]).collect();
    ensure!(kinds == ["session_started", "session_ended"], "its records are {kinds:?}");
    for record in &ours {
        let expected = json!({
            "namespace": namespace.name, "pod_name": mirror["metadata"]["name"], "pod_uid": uid,
            "container_name": CONTAINER, "container_id": mirror["status"]["containerStatuses"][0]["containerID"],
            "image": BUSYBOX_IMAGE, "session_kind": "container", "main": {"pid": started["main"]["pid"]},
            "evidence": {"kernel": "full", "named_by": "runtime", "kind_by": "declared"},
        });
        let wrong = [mismatches(&expected, record), check::contradictions(record)].concat();
        ensure!(wrong.is_empty(), "{}: {}", record["type"], wrong.join("; "));
    }
    let wrong = mismatches(&json!({"exit_code": 7, "signal": null, "exit_class": "ERROR"}), ours[1]);
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// The mirror pod, once it is Ready: from then on its shell has long set its trap.
fn mirror(access: &Access, namespace: &str) -> Result<Value> {
    let name = format!("{POD}-{}", access.node_name);
    let ready = ["wait", "pod", &name, "-n", namespace, "--for=condition=Ready", "--timeout=60s"];
    access.kubectl_output(&ready)?;
    let pod = access.kubectl_output(&["get", "pod", &name, "-n", namespace, "-o", "json"])?;
    serde_json::from_str(&pod).context("kubectl get gave no JSON")
}

fn pod(namespace: &str) -> Value {
    let script = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": namespace},
        "spec": {"containers": [{
            "name": CONTAINER, "image": BUSYBOX_IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script],
        }]},
    })
}
