//! Waiting for the parts to be ready, and the first objects.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::components::{ETCD_PORT, KUBELET_PORT};
use super::control;
use super::network::Network;
use super::paths::{NODE_NAME, Paths};
use super::runtime::Runtime;
use crate::{command, poll, repo};

/// A slow machine under load takes some 30 s from nothing to Ready.
const PATIENCE: Duration = Duration::from_secs(120);
/// RuntimeClasses besides the default runtime; each a handler in the runtime's configuration.
const RUNTIME_CLASSES: [&str; 2] = ["crun", "hooked"];

/// Our kubectl, with an environment of our own.
pub(super) fn kubectl(paths: &Paths) -> Command {
    let mut kubectl = Command::new(repo::kubernetes_tools().join("kubectl"));
    kubectl
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", paths.home())
        .env("KUBECONFIG", paths.kubeconfig());
    kubectl
}

/// Until etcd listens.
pub(super) fn for_etcd(paths: &Paths, network: Network) -> Result<()> {
    until(paths, "etcd", || network.answers(ETCD_PORT))
}

/// Until the container runtime serves.
pub(super) fn for_runtime(paths: &Paths, runtime: Runtime) -> Result<()> {
    until(paths, runtime.name(), || runtime.answers(paths))
}

/// Until the API server says that it is ready.
pub(super) fn for_api_server(paths: &Paths) -> Result<()> {
    until(paths, "kube-apiserver", || command::succeeds(kubectl(paths).args(["get", "--raw", "/readyz"])))
}

/// Until the kubelet is up and its node Ready and taking pods.
pub(super) fn for_node(paths: &Paths) -> Result<()> {
    // The node stays Ready for a while without its kubelet, so that alone says nothing.
    let network = control::load(paths)?.network.context("the cluster has no network yet")?;
    until(paths, "the kubelet", || network.answers(KUBELET_PORT))?;
    let fields = "jsonpath={.status.conditions[?(@.type=='Ready')].status} taints:{.spec.taints}";
    until(paths, "the node", || {
        let answer = kubectl(paths).args(["get", "node", NODE_NAME, "--output", fields]).output();
        answer.is_ok_and(|output| output.stdout == b"True taints:")
    })
}

/// Until pods can be made in the default namespace.
pub(super) fn for_default_service_account(paths: &Paths) -> Result<()> {
    until(paths, "the default service account", || {
        command::succeeds(kubectl(paths).args(["get", "serviceaccount", "default"]))
    })
}

/// Creates the RuntimeClasses.
pub(super) fn create_runtime_classes(paths: &Paths) -> Result<()> {
    let items = RUNTIME_CLASSES.map(|name| {
        json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
            "metadata": {"name": name}, "handler": name})
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    create(kubectl(paths).args(["create", "-f", "-"]), &list.to_string()).map(drop)
}

/// Runs a kubectl command with this input; its output.
pub(super) fn create(kubectl: &mut Command, input: &str) -> Result<String> {
    let mut child = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("kubectl has no stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("kubectl failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn until(paths: &Paths, what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
    let mut broken = Ok(());
    let done = poll::until(PATIENCE, || {
        broken = control::check_alive(paths);
        broken.is_err() || ready()
    });
    broken?;
    if !done {
        bail!("{what} is not ready after {} s: see {}", PATIENCE.as_secs(), paths.logs().display());
    }
    Ok(())
}
