//! The way to the API server, and this node's name there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};
use thiserror::Error;

use crate::ids::BootId;

/// A server that does not take a connection within this is out of reach.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that sends nothing for this long is out of reach: longer than a quiet watch lasts.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// Why there is no client or no node name.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// `--kubeconfig` or `KUBECONFIG` names a file that is no kubeconfig.
    #[error("cannot use kubeconfig {path}: {why}; check --kubeconfig or $KUBECONFIG")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing says where the API server is.
    #[error("no kubeconfig and no service account ({0}); give --kubeconfig FILE, or run in the cluster")]
    NoConfig(String),
    /// The configuration makes no client.
    #[error("cannot make a client of the API server: {0}; check the kubeconfig's certificates")]
    Client(String),
    /// The API server does not answer.
    #[error("cannot reach the API server: {0}; check that it runs and that the kubeconfig is current")]
    Unreachable(String),
    /// The API server refuses.
    #[error(
        "the API server refuses to show {what}: {why}; the role needs get and list on nodes, and list and watch on pods"
    )]
    Refused {
        /// What was asked for.
        what: String,
        /// The answer.
        why: String,
    },
    /// The node told is not one of the cluster's.
    #[error("the cluster has no node {0}; check --node (or NODE_NAME) against `kubectl get nodes`")]
    NoSuchNode(String),
    /// More than one node is this machine.
    #[error("nodes {0} all run on this machine; say which one with --node NAME")]
    Several(String),
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

/// A client by `kubeconfig` if given, else by `KUBECONFIG`, the pod's service account, or `~/.kube/config`.
///
/// # Errors
/// Where none of them is there or usable; no request is made yet.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let from_env = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()).map(PathBuf::from);
    let mut config = match (kubeconfig, from_env) {
        (Some(path), _) => from_file(path, Kubeconfig::read_from(path)).await?,
        (None, Some(paths)) => from_file(&paths, Kubeconfig::read()).await?,
        (None, None) => from_surroundings().await?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    Client::try_from(config).map_err(|error| ConnectError::Client(root_cause(&error)))
}

async fn from_file(
    path: &Path,
    kubeconfig: Result<Kubeconfig, KubeconfigError>,
) -> Result<Config, ConnectError> {
    let wrong =
        |error: KubeconfigError| ConnectError::Kubeconfig { path: path.to_owned(), why: root_cause(&error) };
    Config::from_custom_kubeconfig(kubeconfig.map_err(wrong)?, &KubeConfigOptions::default())
        .await
        .map_err(wrong)
}

async fn from_surroundings() -> Result<Config, ConnectError> {
    if let Ok(config) = Config::incluster() {
        return Ok(config);
    }
    let from_home = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    from_home.map_err(|error| ConnectError::NoConfig(root_cause(&error)))
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

/// With the API server away the name is believed: an agent must start then, too.
async fn check(client: &Client, name: String, ours: &BootId) -> Result<String, ConnectError> {
    let node = match Api::<Node>::all(client.clone()).get(&name).await {
        Ok(node) => node,
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(ConnectError::NoSuchNode(name)),
        Err(error) => {
            return match refused(&format!("node {name}"), &error) {
                ConnectError::Unreachable(why) => {
                    tracing::warn!(
                        "cannot check that this is node {name}: no answer from the API server ({why})"
                    );
                    Ok(name)
                }
                other => Err(other),
            };
        }
    };
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
    let nodes = nodes.map_err(|error| refused("its nodes", &error))?;
    let here: Vec<String> = nodes
        .items
        .into_iter()
        .filter(|node| boot_id(node) == Some(ours.as_str()))
        .filter_map(|node| node.metadata.name)
        .collect();
    only(here, ours)
}

/// The nodes of a kind cluster are containers on one machine and share its boot id.
fn only(mut here: Vec<String>, ours: &BootId) -> Result<String, ConnectError> {
    match here.len() {
        0 => Err(ConnectError::NotANode(ours.clone())),
        1 => Ok(here.remove(0)),
        _ => Err(ConnectError::Several(here.join(", "))),
    }
}

/// What the kubelet reported; `None` before its first report.
fn boot_id(node: &Node) -> Option<&str> {
    let info = node.status.as_ref()?.node_info.as_ref()?;
    Some(info.boot_id.as_str()).filter(|id| !id.is_empty())
}

fn refused(what: &str, error: &kube::Error) -> ConnectError {
    match error {
        kube::Error::Api(status) => ConnectError::Refused { what: what.into(), why: status.message.clone() },
        other => ConnectError::Unreachable(root_cause(other)),
    }
}

/// The first line of the innermost cause: that says what happened; what is around it says where in the client.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string().lines().next().unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ours() -> BootId {
        BootId::new("2ea0954e")
    }

    #[test]
    fn exactly_one_node_can_be_this_machine() {
        assert_eq!(only(vec!["node1".into()], &ours()).unwrap(), "node1");
        let none = only(Vec::new(), &ours()).unwrap_err().to_string();
        assert!(none.contains("2ea0954e") && none.contains("--node NAME"), "{none}");
        let several = only(vec!["a".into(), "b".into()], &ours()).unwrap_err().to_string();
        assert_eq!(several, "nodes a, b all run on this machine; say which one with --node NAME");
    }

    #[test]
    fn a_node_without_a_report_has_no_boot_id() {
        let node =
            |status| serde_json::from_value::<Node>(json!({ "metadata": {}, "status": status })).unwrap();
        assert_eq!(boot_id(&node(json!({}))), None);
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let refused = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let error = kube::Error::Service(Box::new(kube::Error::ReadEvents(refused)));
        assert_eq!(root_cause(&error), "Connection refused (os error 111)");
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_none_says_so_in_one_line() {
        let error = client(Some(Path::new("/nonexistent/kubeconfig"))).await.err().unwrap().to_string();
        assert!(error.starts_with("cannot use kubeconfig /nonexistent/kubeconfig: "), "{error}");
        assert!(error.ends_with("; check --kubeconfig or $KUBECONFIG") && !error.contains('\n'), "{error}");
    }
}
