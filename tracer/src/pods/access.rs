//! What the API lets this node's witness see: asked for real, once, before it begins.

use std::path::Path;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ListParams, WatchParams};
use kube::{Api, Client};

use super::connect::{self, ConnectError, Right, answer};
use crate::ids::BootId;

/// To list pods.
pub const LIST_PODS: Right = Right { verb: "list", resource: "pods" };
/// To watch pods.
pub const WATCH_PODS: Right = Right { verb: "watch", resource: "pods" };

/// The way to the API server and this node's name there, both checked as far as the server answers. One that is away is
/// waited for once, a few seconds, where the node's name is told.
///
/// # Errors
/// Where there is no way, the server refuses what is needed, or this machine is not that node.
pub async fn reach(
    kubeconfig: Option<&Path>,
    node: Option<&str>,
    namespace: Option<&str>,
    boot_id: &BootId,
) -> Result<(Client, String), ConnectError> {
    let client = connect::client(kubeconfig).await?;
    let name = match connect::told_name(node) {
        Some(told) => {
            let name = connect::node_name(&client, Some(&told), boot_id);
            tokio::try_join!(name, check(&client, &told, namespace))?.0
        }
        None => {
            let name = connect::node_name(&client, None, boot_id).await?;
            check(&client, &name, namespace).await?;
            name
        }
    };
    Ok((client, name))
}

/// Checks that pods of the node may be listed and watched. A server that does not answer is no error: the watch waits
/// for it.
async fn check(client: &Client, node: &str, namespace: Option<&str>) -> Result<(), ConnectError> {
    let namespaced = async {
        if let Some(namespace) = namespace {
            warn_where_unknown(client, namespace).await;
        }
    };
    let (list, watch, ()) = tokio::join!(list_pods(client, node), watch_pods(client, node), namespaced);
    for asked in [list, watch] {
        match asked {
            Err(ConnectError::Unreachable(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lists one pod of the node.
///
/// # Errors
/// Why it may not, or that there is no answer.
pub async fn list_pods(client: &Client, node: &str) -> Result<(), ConnectError> {
    let one = ListParams::default().match_any().fields(&of_node(node)).limit(1);
    answer(LIST_PODS, Api::<Pod>::all(client.clone()).list(&one)).await.map(drop)
}

/// Begins to watch the pods of the node, which tells whether it may, and leaves it at that.
///
/// # Errors
/// Why it may not, or that there is no answer.
pub async fn watch_pods(client: &Client, node: &str) -> Result<(), ConnectError> {
    let brief = WatchParams::default().fields(&of_node(node)).timeout(1);
    answer(WATCH_PODS, Api::<Pod>::all(client.clone()).watch(&brief, "0")).await.map(drop)
}

/// Says so where the namespace does not exist: it may come later. Silent where the server does not say.
async fn warn_where_unknown(client: &Client, namespace: &str) {
    let right = Right { verb: "get", resource: "namespaces" };
    let found = answer(right, Api::<Namespace>::all(client.clone()).get_opt(namespace)).await;
    if matches!(found, Ok(None)) {
        tracing::warn!("the cluster has no namespace {namespace} (yet); check --namespace");
    }
}

fn of_node(node: &str) -> String {
    format!("spec.nodeName={node}")
}
