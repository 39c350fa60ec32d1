//! A real single-node Kubernetes inside `target/cluster`: etcd, kube-apiserver, controller
//! manager, scheduler, kubelet and containerd of its own, and nothing of the machine's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

pub mod chores;
pub mod internal;

/// How to start the cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Leave it running when the owner drops it or dies.
    pub keep: bool,
}

/// A running cluster. Dropping it takes it down, unless it is kept or only attached to.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// Starts a cluster and returns when its node is Ready and pods can be made. Needs `setup`.
    ///
    /// # Errors
    /// When one is up already, a part is missing, or something does not start.
    pub fn up(_options: &Options) -> Result<Self> {
        anyhow::bail!("being written")
    }

    /// The cluster that `cargo xtask cluster up` left running, if there is one.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn attach() -> Result<Option<Self>> {
        Ok(None)
    }

    /// Admin access to the API.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Our own kubectl on this cluster, with nothing inherited from the user's environment.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        Command::new("kubectl")
    }

    /// The name of the only node.
    #[must_use]
    pub fn node_name(&self) -> &str {
        "debugtrail"
    }

    /// containerd's socket, as a path (no `unix://`).
    #[must_use]
    pub fn runtime_socket(&self) -> PathBuf {
        PathBuf::new()
    }

    /// containerd's state directory, which holds the bundles below
    /// `io.containerd.runtime.v2.task/k8s.io/ID`.
    #[must_use]
    pub fn containerd_state(&self) -> PathBuf {
        PathBuf::new()
    }

    /// Stops kube-apiserver; etcd keeps its data.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_api_server(&self) -> Result<()> {
        Ok(())
    }

    /// Starts kube-apiserver again on the same port and data, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_api_server(&self) -> Result<()> {
        Ok(())
    }

    /// Compacts etcd to its newest revision, so that a watch that resumes from an older one gets
    /// 410 Gone. The API server's watch cache still serves what it remembers: stop and start the
    /// API server after this to have the 410 for sure.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub fn compact(&self) -> Result<()> {
        Ok(())
    }

    /// Stops the kubelet; containers run on.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_kubelet(&self) -> Result<()> {
        Ok(())
    }

    /// Starts the kubelet again and waits until the node is Ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_kubelet(&self) -> Result<()> {
        Ok(())
    }

    /// Stops containerd; shims and containers run on.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_containerd(&self) -> Result<()> {
        Ok(())
    }

    /// Starts containerd again and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_containerd(&self) -> Result<()> {
        Ok(())
    }

    /// Takes everything down and checks that nothing is left.
    ///
    /// # Errors
    /// When something of ours is still there; the error lists it.
    pub fn down(self) -> Result<()> {
        Ok(())
    }
}

/// What is still there of a cluster: processes, mounts, cgroups, links, folders. Empty after `down`.
///
/// # Errors
/// When /proc or the cgroup tree cannot be read.
pub fn leftovers() -> Result<Vec<String>> {
    Ok(Vec::new())
}
