//! The way to the API server, and this node's name there.

mod error;
pub mod kubeconfig;
mod node;
mod proxy;

use std::path::Path;
use std::time::Duration;

use kube::{Client, Config};

use crate::ids::BootId;

pub(crate) use error::root_cause;
pub use error::{ConnectError, Right};
pub use node::Node;
use proxy::Proxies;

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
    let mut config = config(kubeconfig).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    let plugin = error::plugin(&config);
    Client::try_from(config).map_err(|error| error::no_client(&error, plugin))
}

async fn config(kubeconfig: Option<&Path>) -> Result<Config, ConnectError> {
    let proxies = Proxies::of_env();
    let from_env = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty());
    let (path, found) = match (kubeconfig, from_env) {
        (Some(path), _) => (path.to_owned(), kubeconfig::of_file(path).await?),
        (None, Some(paths)) => {
            let found = kubeconfig::of_list(&paths).await?;
            (paths.into(), found)
        }
        (None, None) => match in_cluster(&proxies)? {
            Some(config) => return Ok(config),
            None => return of_home(&proxies).await,
        },
    };
    kubeconfig::config(found, &proxies).map_err(|why| ConnectError::Kubeconfig { path, why })
}

/// By the pod's service account, where there is one.
fn in_cluster(proxies: &Proxies) -> Result<Option<Config>, ConnectError> {
    let Ok(mut config) = Config::incluster() else { return Ok(None) };
    config.proxy_url = proxies.to(&config.cluster_url, None).map_err(ConnectError::Proxy)?;
    Ok(Some(config))
}

async fn of_home(proxies: &Proxies) -> Result<Config, ConnectError> {
    let Some(home) = std::env::home_dir() else {
        return Err(ConnectError::NoConfig("there is no home folder".into()));
    };
    let found = match kubeconfig::of_file(&home.join(".kube/config")).await {
        Ok(found) => kubeconfig::config(found, proxies),
        Err(ConnectError::Kubeconfig { path, why }) => Err(format!("{}: {why}", path.display())),
        Err(other) => return Err(other),
    };
    found.map_err(ConnectError::NoConfig)
}

/// This node's name in the cluster: `given` (by `--node`), else the environment's `NODE_NAME`, else that of
/// the node with this machine's boot id. A given name is checked against the boot id.
///
/// # Errors
/// Where the API server does not answer, no node is this machine, or the given node is another.
pub async fn node_name(
    client: &Client,
    given: Option<&str>,
    boot_id: &BootId,
) -> Result<String, ConnectError> {
    match given_name(given) {
        Some(name) => match verify(client, &name, boot_id).await {
            Ok(_) => Ok(name),
            Err(error) => unless_refuted(error, name),
        },
        None => find(client, boot_id).await,
    }
}

/// The name given by `--node` or by the environment's `NODE_NAME`.
#[must_use]
pub fn given_name(given: Option<&str>) -> Option<String> {
    let from_env = || std::env::var("NODE_NAME").ok();
    given.map(str::to_owned).or_else(from_env).filter(|name| !name.is_empty())
}

/// The node of this name, which is this machine.
///
/// # Errors
/// Where there is none, it is another machine, or the API server does not say.
pub async fn verify(client: &Client, name: &str, ours: &BootId) -> Result<Node, ConnectError> {
    let Some(node) = answer(GET_NODES, node::get(client, name)).await? else {
        return Err(ConnectError::NoSuchNode(name.to_owned()));
    };
    match &node.boot_id {
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
    let nodes = answer(LIST_NODES, node::list(client)).await.map_err(with_a_name_instead)?;
    let here = nodes.into_iter().filter(|node| node.boot_id.as_deref() == Some(ours.as_str()));
    only(here.filter_map(|node| node.name).collect(), ours)
}

/// Whoever names the node needs no right to list nodes.
fn with_a_name_instead(error: ConnectError) -> ConnectError {
    match error {
        ConnectError::Forbidden { right, why, .. } => {
            ConnectError::Forbidden { right, why, hint: "give --node NAME, or grant it" }
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

    #[tokio::test]
    async fn a_kubeconfig_that_is_none_says_so_in_one_line() {
        let error = client(Some(Path::new("/nonexistent/kubeconfig"))).await.err().unwrap().to_string();
        assert!(error.starts_with("cannot use kubeconfig /nonexistent/kubeconfig: "), "{error}");
        assert!(error.ends_with("; check --kubeconfig or $KUBECONFIG") && !error.contains('\n'), "{error}");
    }
}
