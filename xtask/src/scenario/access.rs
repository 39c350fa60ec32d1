//! How a scenario reaches its cluster: the embedded one, or the one of the current kubeconfig.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cluster::{self, Cluster};
use crate::{command, repo};

/// Where the kernel gives out this boot's id; a node object's nodeInfo.bootID is the same.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// No proxy leads to the embedded cluster.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

const NO_KUBECTL: &str = "cannot start kubectl: put it on PATH";

/// Access to a cluster with this machine as one of its nodes.
#[derive(Debug, Clone)]
pub struct Access {
    /// Of the embedded cluster; the user's own otherwise.
    kubeconfig: Option<PathBuf>,
    /// containerd's socket, where it is known: the runtime is asked what it says of every exit.
    pub runtime_socket: Option<PathBuf>,
    /// The folder of the runtime's bundles, where debugtrail has to be given it.
    pub bundles: Option<PathBuf>,
    /// The runtime keeps a container's cgroup until the pod goes, so that a session is closed only then.
    pub keeps_cgroups: bool,
    /// xtask for scripts that do something to the node, which only the embedded cluster lets them.
    pub xtask: Option<PathBuf>,
    /// This machine's node.
    pub node_name: String,
}

impl Access {
    /// Access to an embedded cluster; nothing of the user's environment counts.
    #[must_use]
    pub fn embedded(cluster: &Cluster) -> Self {
        Self {
            kubeconfig: Some(cluster.kubeconfig().to_owned()),
            runtime_socket: cluster.runtime().is_containerd().then(|| cluster.runtime_socket()),
            bundles: cluster.bundles(),
            keeps_cgroups: cluster.runtime() == cluster::Runtime::CriO,
            xtask: Some(cluster.xtask()),
            node_name: cluster.node_name().to_owned(),
        }
    }

    /// Access to the current kubeconfig's cluster, as the user's own `kubectl` sees it.
    ///
    /// # Errors
    /// When there is none, or this machine is not one of its nodes: the kernel has to be the session's.
    pub fn current() -> Result<Self> {
        let mut access = Self {
            kubeconfig: None,
            runtime_socket: None,
            bundles: None,
            keeps_cgroups: false,
            xtask: None,
            node_name: String::new(),
        };
        let context = access.context()?;
        let nodes = access.kubectl().args(["get", "nodes", "-o", "json"]).output().context(NO_KUBECTL)?;
        let said = String::from_utf8_lossy(&nodes.stderr);
        let last_line = said.trim().lines().last().unwrap_or_default().trim_start_matches("error: ");
        ensure!(nodes.status.success(), "cannot list the nodes of context {context}: {last_line}");
        let nodes: Value = serde_json::from_slice(&nodes.stdout).context("kubectl get nodes gave no JSON")?;
        let boot_id = std::fs::read_to_string(BOOT_ID).with_context(|| format!("cannot read {BOOT_ID}"))?;
        access.node_name = node_with_boot_id(&nodes, boot_id.trim())?;
        Ok(access)
    }

    /// The same cluster by another way: `kubeconfig` names other addresses.
    #[must_use]
    pub fn with_kubeconfig(self, kubeconfig: PathBuf) -> Self {
        Self { kubeconfig: Some(kubeconfig), ..self }
    }

    /// Starts again what a scenario has left stopped.
    ///
    /// # Errors
    /// When a part of the embedded cluster does not come back.
    pub fn make_whole(&self) -> Result<()> {
        if self.xtask.is_some() { cluster::make_whole() } else { Ok(()) }
    }

    /// The name of the context in use, where it is the user's.
    ///
    /// # Errors
    /// When the kubeconfig has no current context.
    pub fn context(&self) -> Result<String> {
        let context = self.kubectl().args(["config", "current-context"]).output().context(NO_KUBECTL)?;
        let name = String::from_utf8_lossy(&context.stdout).trim().to_owned();
        ensure!(
            !name.is_empty(),
            "your kubeconfig has no current context: kubectl config use-context NAME sets it"
        );
        Ok(name)
    }

    /// `kubectl` on this cluster.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let program = match self.kubeconfig {
            Some(_) => repo::kubernetes_tools().join("kubectl"),
            None => PathBuf::from("kubectl"),
        };
        let mut command = Command::new(program);
        self.set_environment(&mut command);
        command
    }

    /// Runs `kubectl` to its end and gives what it printed.
    ///
    /// # Errors
    /// When it fails; the error carries its stderr.
    pub fn kubectl_output(&self, arguments: &[&str]) -> Result<String> {
        command::output(self.kubectl().args(arguments))
    }

    /// `debugtrail trace` of this node, without further options.
    #[must_use]
    pub fn trace(&self) -> Command {
        let mut command = self.debugtrail("trace");
        command.args(["--output", "json"]);
        command
    }

    /// A `debugtrail` that traces this node, without further options.
    #[must_use]
    pub fn debugtrail(&self, subcommand: &str) -> Command {
        let mut command = self.debugtrail_with(&[subcommand, "--node", &self.node_name]);
        if let Some(bundles) = &self.bundles {
            command.arg("--runtime-state").arg(bundles);
        }
        command
    }

    /// `debugtrail` with these arguments, on this cluster.
    #[must_use]
    pub fn debugtrail_with(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(repo::debugtrail_under_test());
        command.args(arguments);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        self.set_environment(&mut command);
        command
    }

    /// Its kubeconfig, where it is not the user's own.
    #[must_use]
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_deref()
    }

    /// The same cluster by another kubeconfig.
    #[must_use]
    pub fn by(&self, kubeconfig: &Path) -> Self {
        Self { kubeconfig: Some(kubeconfig.to_owned()), ..self.clone() }
    }

    /// The same with this machine taken for a node of this name.
    #[must_use]
    pub fn as_node(&self, name: &str) -> Self {
        Self { node_name: name.to_owned(), ..self.clone() }
    }

    /// Makes a program that calls `kubectl` reach this cluster.
    pub fn set_environment(&self, command: &mut Command) {
        let Some(kubeconfig) = &self.kubeconfig else { return };
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(repo::kubernetes_tools()).chain(std::env::split_paths(&inherited));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.env("KUBECONFIG", kubeconfig);
        for proxy in PROXIES {
            command.env_remove(proxy);
        }
    }
}

fn node_with_boot_id(nodes: &Value, boot_id: &str) -> Result<String> {
    let items = nodes["items"].as_array().map_or(&[][..], Vec::as_slice);
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    match items.iter().find(|node| node["status"]["nodeInfo"]["bootID"] == boot_id) {
        Some(node) => Ok(name(node)),
        None => bail!(
            "this machine is not a node of the current kubeconfig's cluster; run this on one of: {}",
            items.iter().map(name).collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::node_with_boot_id;
    use serde_json::json;

    #[test]
    fn the_node_is_the_one_that_booted_as_this_machine_did() {
        let nodes = json!({"items": [
            {"metadata": {"name": "a"}, "status": {"nodeInfo": {"bootID": "1"}}},
            {"metadata": {"name": "b"}, "status": {"nodeInfo": {"bootID": "2"}}},
        ]});
        assert_eq!(node_with_boot_id(&nodes, "2").unwrap(), "b");
        let error = node_with_boot_id(&nodes, "3").unwrap_err().to_string();
        assert!(error.ends_with("run this on one of: a, b"), "{error}");
    }
}
