//! The way to the API server, and this node's name there.

mod error;

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};

use crate::ids::BootId;

pub(crate) use error::root_cause;
pub use error::{ConnectError, Right};

/// A server that does not take a connection within this is out of reach.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that sends nothing for this long is out of reach: longer than a quiet watch lasts.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// A server that has not answered one question within this is out of reach for now.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const GET_NODES: Right = Right { verb: "get", resource: "nodes" };
const LIST_NODES: Right = Right { verb: "list", resource: "nodes" };

/// A client by `kubeconfig` if given, else by `KUBECONFIG`, the pod's service account, or `~/.kube/config`.
///
/// # Errors
/// Where none of them is there or usable; no request is made yet.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let from_env = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()).map(PathBuf::from);
    let mut config = match (kubeconfig, from_env) {
        (Some(path), _) => {
            check_text(path)?;
            from_file(path, Kubeconfig::read_from(path)).await?
        }
        (None, Some(paths)) => {
            std::env::split_paths(&paths).try_for_each(|path| check_text(&path))?;
            from_file(&paths, Kubeconfig::read()).await?
        }
        (None, None) => from_surroundings().await?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    let plugin = error::plugin(&config);
    Client::try_from(config).map_err(|error| error::no_client(&error, plugin))
}

async fn from_file(
    path: &Path,
    kubeconfig: Result<Kubeconfig, KubeconfigError>,
) -> Result<Config, ConnectError> {
    let wrong = |error: KubeconfigError| ConnectError::Kubeconfig {
        path: path.to_owned(),
        why: error::wrong(&error),
    };
    Config::from_custom_kubeconfig(kubeconfig.map_err(wrong)?, &KubeConfigOptions::default())
        .await
        .map_err(wrong)
}

/// The client library takes UTF-16 as well, and panics (kube 5.0) where that is cut short. What can't be read is its to
/// say.
fn check_text(path: &Path) -> Result<(), ConnectError> {
    match std::fs::read(path) {
        Ok(bytes) if std::str::from_utf8(&bytes).is_err() => {
            let why = "it is no kubeconfig: not UTF-8 text".to_owned();
            Err(ConnectError::Kubeconfig { path: path.to_owned(), why })
        }
        _ => Ok(()),
    }
}

async fn from_surroundings() -> Result<Config, ConnectError> {
    if let Ok(config) = Config::incluster() {
        return Ok(config);
    }
    if let Some(home) = std::env::home_dir() {
        check_text(&home.join(".kube/config"))?;
    }
    let from_home = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    from_home.map_err(|error| ConnectError::NoConfig(error::wrong(&error)))
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
    match told_name(told) {
        Some(name) => match verify(client, &name, boot_id).await {
            Ok(_) => Ok(name),
            Err(error) => unless_refuted(error, name),
        },
        None => find(client, boot_id).await,
    }
}

/// The name told by `--node` or by the environment's `NODE_NAME`.
#[must_use]
pub fn told_name(told: Option<&str>) -> Option<String> {
    let from_env = || std::env::var("NODE_NAME").ok();
    told.map(str::to_owned).or_else(from_env).filter(|name| !name.is_empty())
}

/// The node of this name, which is this machine.
///
/// # Errors
/// Where there is none, it is another machine, or the API server does not say.
pub async fn verify(client: &Client, name: &str, ours: &BootId) -> Result<Node, ConnectError> {
    let node = answer(GET_NODES, Api::<Node>::all(client.clone()).get_opt(name)).await?;
    let node = node.ok_or_else(|| ConnectError::NoSuchNode(name.to_owned()))?;
    match boot_id(&node) {
        Some(theirs) if theirs != ours.as_str() => {
            let (node, theirs) = (name.to_owned(), theirs.to_owned());
            Err(ConnectError::OtherMachine { node, theirs, ours: ours.clone() })
        }
        _ => Ok(node),
    }
}

/// With the API server away, or silent on nodes, the name is believed: an agent must start then, too.
fn unless_refuted(error: ConnectError, name: String) -> Result<String, ConnectError> {
    match error {
        ConnectError::Unreachable(why) => {
            tracing::warn!("cannot check that this is node {name}: no answer from the API server ({why})");
            Ok(name)
        }
        ConnectError::Forbidden { right, .. } => {
            tracing::warn!("cannot check that this is node {name}: the API server forbids {right}");
            Ok(name)
        }
        other => Err(other),
    }
}

async fn find(client: &Client, ours: &BootId) -> Result<String, ConnectError> {
    let cached = ListParams::default().match_any();
    let nodes = answer(LIST_NODES, Api::<Node>::all(client.clone()).list(&cached)).await;
    let nodes = nodes.map_err(with_a_name_instead)?;
    let here: Vec<String> = nodes
        .items
        .into_iter()
        .filter(|node| boot_id(node) == Some(ours.as_str()))
        .filter_map(|node| node.metadata.name)
        .collect();
    only(here, ours)
}

/// Nobody needs to list nodes who says which one it is.
fn with_a_name_instead(error: ConnectError) -> ConnectError {
    match error {
        ConnectError::Forbidden { right, why, .. } => {
            ConnectError::Forbidden { right, why, mend: "give --node NAME, or grant it" }
        }
        other => other,
    }
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

/// The answer to a question that needs this right, if it comes in time.
pub(crate) async fn answer<T>(
    right: Right,
    question: impl Future<Output = kube::Result<T>>,
) -> Result<T, ConnectError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        Ok(answered) => answered.map_err(|error| ConnectError::unanswered(right, &error)),
        Err(_) => Err(ConnectError::Unreachable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
    }
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

    #[tokio::test]
    async fn a_kubeconfig_that_is_none_says_so_in_one_line() {
        let error = client(Some(Path::new("/nonexistent/kubeconfig"))).await.err().unwrap().to_string();
        assert!(error.starts_with("cannot use kubeconfig /nonexistent/kubeconfig: "), "{error}");
        assert!(error.ends_with("; check --kubeconfig or $KUBECONFIG") && !error.contains('\n'), "{error}");
    }
}
