//! debugtrail's DaemonSet on the embedded cluster, by the files of deploy/ as they are.

mod logs;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::scenario::access::Access;
use crate::scenario::pod::is_ready;
use crate::scenario::record_source::RecordSource;
use crate::scenario::runtime;
use crate::{image, poll, repo};

pub use logs::Logs;
use logs::record;

const NAMESPACE: &str = "debugtrail";
/// Below deploy/. What holds with the least holds with more, and not the other way round.
const OVERLAY: &str = "overlays/least-privilege";
/// Below deploy/.
const UNPIN: &str = "unpin";
const ACCOUNT: &str = "system:serviceaccount:debugtrail:debugtrail";
const PORT: u16 = 9757;
const SELECTOR: &str = "app.kubernetes.io/name=debugtrail";

/// For a pod to come or to go, also after the kubelet has backed off, and on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The DaemonSet on the embedded cluster's only node.
#[derive(Debug, Clone)]
pub struct DaemonSet {
    access: Access,
    ledger: PathBuf,
}

/// The DaemonSet's pod at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonPod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The runtime's id of its container.
    pub container_id: String,
    /// How often the kubelet has restarted it.
    pub restarts: u64,
}

/// Which container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that runs.
    Current,
    /// The one before it.
    Previous,
}

impl DaemonSet {
    /// Gives the node the image of the binary under test, applies the overlay and waits for the pod.
    ///
    /// # Errors
    /// When the image cannot be made, the API refuses an object, or the pod does not get Ready.
    pub fn deploy(cluster: &Cluster) -> Result<Self> {
        let agent = Self { access: Access::embedded(cluster), ledger: cluster.ledger() };
        cluster.import_image(&image::build(&repo::debugtrail_under_test())?, image::NAME)?;
        agent.apply(OVERLAY)?;
        agent.wait_until_ready(None)?;
        Ok(agent)
    }

    /// Applies a folder of deploy/.
    ///
    /// # Errors
    /// When the API refuses an object.
    pub fn apply(&self, folder: &str) -> Result<()> {
        self.access.kubectl_output(&["apply", "-k", &path(folder)]).map(drop)
    }

    /// The pod, once it is Ready, and another than `old` where that is given.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_until_ready(&self, old: Option<&DaemonPod>) -> Result<DaemonPod> {
        let mut seen = Ok(Value::Null);
        let mut ready = None;
        poll::until(PATIENCE, || {
            seen = self.pods();
            let pods =
                seen.as_ref().map_or(&[][..], |pods| pods["items"].as_array().map_or(&[][..], Vec::as_slice));
            ready = pods.iter().filter(|pod| is_ready(pod)).find_map(daemon_pod);
            ready = ready.take().filter(|pod| old.is_none_or(|old| old.container_id != pod.container_id));
            ready.is_some()
        });
        ready.with_context(|| match seen {
            Ok(pods) => format!("the agent's pod does not get Ready: {}", pods["items"][0]["status"]),
            Err(error) => format!("the agent's pod does not get Ready: {error:#}"),
        })
    }

    /// Deletes the pod, as an update of the DaemonSet does, and returns before it is gone.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn delete_pod(&self, pod: &DaemonPod) -> Result<()> {
        self.access.kubectl_output(&["delete", "pod", &pod.name, "-n", NAMESPACE, "--wait=false"]).map(drop)
    }

    /// The agent's pid on this machine.
    ///
    /// # Errors
    /// When its container does not run.
    pub fn pid(&self, pod: &DaemonPod) -> Result<u32> {
        let socket =
            self.access.runtime_socket.as_deref().context("only the embedded cluster's runtime is known")?;
        runtime::pid(socket, &pod.container_id)
    }

    /// `kubectl logs --follow` of the pod's container, from its beginning to its end.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn follow(&self, pod: &DaemonPod) -> Result<Logs> {
        let mut kubectl = self.access.kubectl();
        kubectl.args(["logs", "--follow", "-n", NAMESPACE, &pod.name]);
        Logs::follow(kubectl)
    }

    /// The records of `kubectl logs` now: of the pod's container, or of the one before it that was restarted.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn logs(&self, pod: &DaemonPod, which: Which) -> Result<Vec<Value>> {
        let mut arguments = vec!["logs", "-n", NAMESPACE, &pod.name];
        arguments.extend((which == Which::Previous).then_some("--previous"));
        Ok(self.access.kubectl_output(&arguments)?.lines().filter_map(record).collect())
    }

    /// What the pod serves at this path of its port, such as `metrics`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, pod: &DaemonPod, path: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{}:{PORT}/proxy/{path}", pod.name);
        self.access.kubectl_output(&["get", "--raw", &path])
    }

    /// What a command says in the pod's container, whatever its exit code.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn exec(&self, pod: &DaemonPod, command: &[&str]) -> Result<Output> {
        let mut kubectl = self.access.kubectl();
        kubectl.args(["exec", "-n", NAMESPACE, &pod.name, "--"]).args(command);
        kubectl.output().context("cannot start kubectl")
    }

    /// Whether the agent's service account may do this, as `kubectl auth can-i` has it.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn may(&self, verb: &str, resource: &str) -> Result<bool> {
        let mut can_i = self.access.kubectl();
        can_i.args(["auth", "can-i", verb, resource, "--all-namespaces", "--as", ACCOUNT]);
        let answer = can_i.output().context("cannot start kubectl")?;
        match String::from_utf8_lossy(&answer.stdout).trim() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => bail!("kubectl auth can-i: {}", String::from_utf8_lossy(&answer.stderr).trim()),
        }
    }

    /// What the ledger on the node holds, oldest first; needs no API server.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ledger(&self) -> Result<Vec<Value>> {
        let folder = self.ledger.join("records");
        let list = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        // By name: segments are numbered.
        let segments: BTreeSet<PathBuf> = list.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        let mut records = Vec::new();
        for segment in segments {
            // A last line that is still being written has no end yet.
            let text = fs::read_to_string(&segment)?;
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            records.extend(whole.lines().map(|line| record(line).unwrap_or_else(|| line.into())));
        }
        Ok(records)
    }

    /// Waits until the ledger has what `found` looks for.
    ///
    /// # Errors
    /// When `timeout` passes before.
    pub fn wait_for<R>(
        &self,
        what: &str,
        timeout: Duration,
        mut found: impl FnMut(&[Value]) -> Option<R>,
    ) -> Result<R> {
        let mut result = None;
        let mut last = Ok(Vec::new());
        poll::until(timeout, || {
            last = self.ledger();
            result = last.as_ref().ok().and_then(|records| found(records));
            result.is_some()
        });
        match (result, last) {
            (Some(result), _) => Ok(result),
            (None, Ok(records)) => {
                bail!("waited for {what}, but the ledger of {} records has none", records.len())
            }
            (None, Err(error)) => Err(error.context(format!("waited for {what}"))),
        }
    }

    /// Deletes all that the overlay made, and waits until it is gone.
    ///
    /// # Errors
    /// When something does not go.
    pub fn delete(&self) -> Result<()> {
        self.access.kubectl_output(&["delete", "-k", &path(OVERLAY), "--timeout=120s"])?;
        let left = self.pods()?;
        ensure!(
            left["items"].as_array().is_some_and(Vec::is_empty),
            "the agent's pod is still there: {left}"
        );
        Ok(())
    }

    /// Takes out of the node's kernel what the agent has pinned there, as deploy/unpin says.
    ///
    /// # Errors
    /// When the API refuses an object, the pods do not get Ready, or something does not go.
    pub fn unpin(&self) -> Result<()> {
        self.apply(UNPIN)?;
        let rollout = ["rollout", "status", "daemonset/debugtrail-unpin", "-n", "debugtrail-unpin"];
        let done = self.access.kubectl_output(&[&rollout[..], &["--timeout=120s"]].concat()).map(drop);
        let deleted = self.access.kubectl_output(&["delete", "-k", &path(UNPIN), "--timeout=120s"]).map(drop);
        done.and(deleted)
    }

    fn pods(&self) -> Result<Value> {
        let pods = ["get", "pods", "-n", NAMESPACE, "-l", SELECTOR, "-o", "json"];
        serde_json::from_str(&self.access.kubectl_output(&pods)?).context("kubectl get gave no JSON")
    }
}

/// By its ledger, which is there also while the kubelet, and `kubectl logs` with it, is not.
impl RecordSource for DaemonSet {
    fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        found: &mut dyn FnMut(&[Value]) -> bool,
    ) -> Result<()> {
        self.wait_for(what, timeout, |records| found(records).then_some(()))
    }

    fn finish(self) -> Result<Vec<Value>> {
        self.ledger()
    }
}

/// One that is going away is none any more.
fn daemon_pod(pod: &Value) -> Option<DaemonPod> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let status = &pod["status"]["containerStatuses"][0];
    pod["metadata"]["deletionTimestamp"].is_null().then_some(())?;
    Some(DaemonPod {
        name: word(&pod["metadata"]["name"])?,
        uid: word(&pod["metadata"]["uid"])?,
        container_id: word(&status["containerID"])?.split("://").nth(1)?.to_owned(),
        restarts: status["restartCount"].as_u64()?,
    })
}

fn path(folder: &str) -> String {
    repo::root().join("deploy").join(folder).display().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_is_going_away_is_none() {
        let mut pod = json!({
            "metadata": {"name": "debugtrail-x", "uid": "1"},
            "status": {"containerStatuses": [{"containerID": "containerd://c", "restartCount": 2}]},
        });
        let expected =
            DaemonPod { name: "debugtrail-x".into(), uid: "1".into(), container_id: "c".into(), restarts: 2 };
        assert_eq!(daemon_pod(&pod), Some(expected));
        pod["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z".into();
        assert_eq!(daemon_pod(&pod), None);
    }
}
