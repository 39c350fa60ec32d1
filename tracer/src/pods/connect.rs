//! The way to the API server, and this node's name there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use thiserror::Error;

use crate::ids::BootId;

/// A server that does not take a connection within this is out of reach.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client or no node name.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// `--kubeconfig` names a file that is no kubeconfig.
    #[error("cannot use kubeconfig {path}: {why}; check --kubeconfig")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing says where the API server is.
    #[error(
        "no way to the API server ({0}); give --kubeconfig FILE, or run in the cluster with a service account"
    )]
    NoConfig(String),
    /// The configuration makes no client.
    #[error("cannot make a client of the API server: {0}; check the kubeconfig's certificates")]
    Client(String),
    /// The API server does not answer or refuses.
    #[error("cannot ask the API server for {what}: {why}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The answer.
        why: String,
    },
    /// No node of the cluster is this machine.
    #[error(
        "no node of the cluster has this machine's boot id {0}: the kubeconfig is of another cluster, or give --node NAME"
    )]
    NotANode(BootId),
    /// The node is another machine.
    #[error(
        "node {node} is another machine: its boot id is {theirs}, here it is {ours}; use this cluster's kubeconfig or another --node"
    )]
    OtherMachine {
        /// The name told.
        node: String,
        /// Its boot id.
        theirs: String,
        /// This machine's.
        ours: BootId,
    },
}

/// A client by `kubeconfig` if given, else `KUBECONFIG`, `~/.kube/config` or the pod's service account.
///
/// # Errors
/// Where none of them is there or usable; no request is made yet.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => Config::infer().await.map_err(|error| ConnectError::NoConfig(error.to_string()))?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Client::try_from(config).map_err(|error| ConnectError::Client(error.to_string()))
}

async fn from_file(path: &Path) -> Result<Config, ConnectError> {
    let wrong = |error: kube::config::KubeconfigError| ConnectError::Kubeconfig {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(wrong)
}

/// This node's name in the cluster: `told` (by `--node`), else the environment's `NODE_NAME`, else that of the node
/// with this machine's boot id. A name told is checked against the boot id.
///
/// # Errors
/// Where the API server does not answer, no node is this machine, or the node told is another.
pub async fn node_name(
    client: &Client,
    told: Option<&str>,
    boot_id: &BootId,
) -> Result<String, ConnectError> {
    let from_env = std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty());
    match told.map(str::to_owned).or(from_env) {
        Some(name) => check(client, name, boot_id).await,
        None => find(client, boot_id).await,
    }
}

async fn check(client: &Client, name: String, ours: &BootId) -> Result<String, ConnectError> {
    let node = Api::<Node>::all(client.clone()).get(&name).await;
    let node = node.map_err(|error| refused(format!("node {name}"), &error))?;
    match boot_id(&node) {
        Some(theirs) if theirs != ours.as_str() => {
            Err(ConnectError::OtherMachine { node: name, theirs: theirs.into(), ours: ours.clone() })
        }
        _ => Ok(name),
    }
}

async fn find(client: &Client, ours: &BootId) -> Result<String, ConnectError> {
    let cached = ListParams::default().match_any();
    let nodes = Api::<Node>::all(client.clone()).list(&cached).await;
    let nodes = nodes.map_err(|error| refused("its nodes (or give --node NAME)".into(), &error))?;
    let here = nodes.items.into_iter().find(|node| boot_id(node) == Some(ours.as_str()));
    here.and_then(|node| node.metadata.name).ok_or_else(|| ConnectError::NotANode(ours.clone()))
}

/// What the kubelet reported; `None` before its first report.
fn boot_id(node: &Node) -> Option<&str> {
    let info = node.status.as_ref()?.node_info.as_ref()?;
    Some(info.boot_id.as_str()).filter(|id| !id.is_empty())
}

fn refused(what: String, error: &kube::Error) -> ConnectError {
    let why = match error {
        kube::Error::Api(status) => status.message.clone(),
        other => super::watch::one_line(other),
    };
    ConnectError::Refused { what, why }
}
