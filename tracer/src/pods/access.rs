//! What the API lets debugtrail on this node see: asked for real, once, before it begins.

use std::path::Path;
use std::time::Duration;

use kube::Client;
use kube::api::{GetParams, ListParams, WatchParams};
use kube::core::Request;

use super::answer::Answer;
use super::connect::{self, ConnectError, Right, answer};
use crate::ids::BootId;

/// Between two tries where the API server refuses to say which node this is.
const PAUSE: Duration = Duration::from_secs(5);

/// To list pods.
pub const LIST_PODS: Right = Right { verb: "list", resource: "pods" };
/// To watch pods.
pub const WATCH_PODS: Right = Right { verb: "watch", resource: "pods" };

/// What to do where the API server refuses (401, 403).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// That is the end.
    Ends,
    /// Say so, and try again: credentials and rights come late, and what the kernel sees is recorded meanwhile.
    TriesAgain,
}

impl Refused {
    /// The error, unless it is said here and tried again.
    fn unless_tried_again<T>(self, answered: Result<T, ConnectError>) -> Result<Option<T>, ConnectError> {
        match answered {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if self == Self::TriesAgain && error.is_refusal() => {
                tracing::warn!("{error}; trying again");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The way to the API server and this node's name there, both checked as far as the server answers. One that
/// is away is waited for once, a few seconds, where the node's name is given; one that refuses is `refused`.
///
/// # Errors
/// Where there is no way, the server refuses what is needed, or this machine is not that node.
pub async fn reach(
    kubeconfig: Option<&Path>,
    node: Option<&str>,
    namespace: Option<&str>,
    boot_id: &BootId,
    refused: Refused,
) -> Result<(Client, String), ConnectError> {
    let client = connect::client(kubeconfig).await?;
    let name = match connect::given_name(node) {
        Some(given) => {
            let name = async {
                let name = connect::node_name(&client, Some(&given), boot_id).await;
                refused.unless_tried_again(name)
            };
            let (name, ()) = tokio::try_join!(name, check(&client, &given, namespace, refused))?;
            name.unwrap_or(given)
        }
        None => {
            let name = found_name(&client, boot_id, refused).await?;
            check(&client, &name, namespace, refused).await?;
            name
        }
    };
    Ok((client, name))
}

/// Without the node's name it is not known which pods to ask for, so this waits for it.
async fn found_name(client: &Client, boot_id: &BootId, refused: Refused) -> Result<String, ConnectError> {
    loop {
        let name = connect::node_name(client, None, boot_id).await;
        if let Some(name) = refused.unless_tried_again(name)? {
            return Ok(name);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Checks that pods of the node may be listed and watched. A server that does not answer is no error: the watch waits
/// for it.
async fn check(
    client: &Client,
    node: &str,
    namespace: Option<&str>,
    refused: Refused,
) -> Result<(), ConnectError> {
    let namespaced = async {
        if let Some(namespace) = namespace {
            warn_where_unknown(client, namespace).await;
        }
    };
    let (list, watch, ()) = tokio::join!(list_pods(client, node), watch_pods(client, node), namespaced);
    for asked in [list, watch] {
        match refused.unless_tried_again(asked) {
            Err(ConnectError::Unreachable(_)) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Asks for one pod of the node. Only whether it is answered counts: what is in the pod is not read.
///
/// # Errors
/// Why it may not, or that there is no answer.
pub async fn list_pods(client: &Client, node: &str) -> Result<(), ConnectError> {
    let one = ListParams::default().match_any().fields(&of_node(node)).limit(1);
    answer(LIST_PODS, ask(client, pods().list(&one))).await
}

/// Begins to watch the pods of the node, which shows whether it may, and leaves it at that.
///
/// # Errors
/// Why it may not, or that there is no answer.
pub async fn watch_pods(client: &Client, node: &str) -> Result<(), ConnectError> {
    let brief = WatchParams::default().fields(&of_node(node)).timeout(1);
    answer(WATCH_PODS, ask(client, pods().watch(&brief, "0"))).await
}

/// Says so where the namespace does not exist: it may come later. Silent where the server does not say.
async fn warn_where_unknown(client: &Client, namespace: &str) {
    let get = Request::new("/api/v1/namespaces").get(namespace, &GetParams::default());
    if let Err(kube::Error::Api(status)) = ask(client, get).await
        && status.code == 404
    {
        tracing::warn!("the cluster has no namespace {namespace} (yet); check --namespace");
    }
}

async fn ask(
    client: &Client,
    request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
) -> kube::Result<()> {
    Answer::to(client, request.map_err(kube::Error::BuildRequest)?).await.map(drop)
}

fn pods() -> Request {
    Request::new("/api/v1/pods")
}

fn of_node(node: &str) -> String {
    format!("spec.nodeName={node}")
}
