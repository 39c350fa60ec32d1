//! A scenario's namespace and pod, and what the API says of them as it changes.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::access::Access;
use super::watch::Watch;
use crate::interrupt::{self, Cleanup};

/// A namespace of its own, gone with everything in it when dropped.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    _cleanup: Cleanup,
}

impl Namespace {
    /// Makes a new one whose name begins with `prefix`, and returns when pods can be made in it.
    ///
    /// # Errors
    /// When the API refuses.
    pub fn create(access: &Access, prefix: &str) -> Result<Self> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": format!("{prefix}-")}});
        let name = create(access, &["-o", "jsonpath={.metadata.name}"], &namespace)?;
        let cleanup = interrupt::on_exit({
            let (access, name) = (access.clone(), name.clone());
            move || {
                let delete = ["delete", "namespace", &name, "--wait=false"];
                if let Err(error) = access.kubectl_output(&delete) {
                    eprintln!("namespace {name} is left behind: {error:#}");
                }
            }
        });
        // Pods are refused until the controller manager has made it.
        let account = ["wait", "serviceaccount/default", "-n", &name, "--for=create", "--timeout=120s"];
        access.kubectl_output(&account)?;
        Ok(Self { name, _cleanup: cleanup })
    }
}

/// A running pod, and what the API has said of it and of the other pods of its namespace.
#[derive(Debug)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// What the API says.
    pub watch: Watch,
}

impl Pod {
    /// Makes the pod of a manifest on this machine's node and returns when it runs.
    ///
    /// # Errors
    /// When it does not get Ready.
    pub fn run(access: &Access, namespace: &str, manifest: &Path) -> Result<Self> {
        let dry_run = access
            .kubectl()
            .args(["create", "--dry-run=client", "-o", "json", "-n", namespace, "-f"])
            .arg(manifest)
            .output()
            .context("cannot start kubectl")?;
        ensure!(
            dry_run.status.success(),
            "{}: {}",
            manifest.display(),
            String::from_utf8_lossy(&dry_run.stderr)
        );
        let mut pod: Value = serde_json::from_slice(&dry_run.stdout)?;
        // It must run on this machine's kernel.
        pod["spec"]["nodeName"] = access.node_name.clone().into();
        let made = create(access, &["-n", namespace, "-o", "json"], &pod)?;
        let made: Value = serde_json::from_str(&made).context("kubectl create gave no JSON")?;
        let word = |key: &str| made["metadata"][key].as_str().unwrap_or_default().to_owned();
        let (name, uid) = (word("name"), word("uid"));
        let watch = Watch::start(access, namespace)?;
        let pod = Self { namespace: namespace.to_owned(), name, uid, watch };
        pod.wait_for("a Ready pod", Duration::from_secs(120), |pod, _| is_ready(pod).then_some(()))?;
        Ok(pod)
    }

    /// Waits until `found` finds what it looks for in the newest pod object; its second argument says that the object
    /// is gone and the first is how it was last seen.
    ///
    /// # Errors
    /// When `timeout` passes before; the error shows the pod's status.
    pub fn wait_for<R>(
        &self,
        what: &str,
        timeout: Duration,
        mut found: impl FnMut(&Value, bool) -> Option<R>,
    ) -> Result<R> {
        let of_this = |events: &[Value]| {
            events.iter().rfind(|event| event["object"]["metadata"]["uid"] == self.uid.as_str()).cloned()
        };
        let waited = self.watch.wait_for(what, timeout, |events| {
            let event = of_this(events)?;
            found(&event["object"], event["type"] == "DELETED")
        });
        waited.with_context(|| {
            let status = self.watch.look(of_this).map(|event| event["object"]["status"].to_string());
            format!("pod {}/{}, status {}", self.namespace, self.name, status.unwrap_or_default())
        })
    }
}

/// Whether a pod object says that the pod is Ready.
#[must_use]
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// `kubectl create` of an object; what kubectl printed.
///
/// # Errors
/// When the API refuses.
pub fn create(access: &Access, arguments: &[&str], object: &Value) -> Result<String> {
    let mut child = access
        .kubectl()
        .args(["create", "-f", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(object.to_string().as_bytes()).context("kubectl create did not read its input")?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl create {}: {}", object["kind"], said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
