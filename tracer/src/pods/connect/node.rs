//! A node, of which only what identifies it is read: what else is wrong with the object does no harm.

use kube::Client;
use kube::api::{GetParams, ListParams, VersionMatch};
use kube::core::Request;

use crate::pods::answer::Answer;
use crate::pods::object::{Faults, Fields, Keep};
use crate::pods::split::{ListSplitter, Piece};

/// More than a node has: one with its images is some hundred KiB.
const LARGEST: usize = 16 << 20;

const NODE: Keep = Keep::Fields(&[
    ("metadata", Keep::Fields(&[("name", Keep::All)])),
    (
        "status",
        Keep::Fields(&[(
            "nodeInfo",
            Keep::Fields(&[("bootID", Keep::All), ("containerRuntimeVersion", Keep::All)]),
        )]),
    ),
]);

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// `metadata.name`.
    pub name: Option<String>,
    /// The machine's boot id as the kubelet reported it; `None` before its first report.
    pub boot_id: Option<String>,
    /// The container runtime and its version, such as `containerd://2.3.7`.
    pub runtime: Option<String>,
}

impl Node {
    /// As far as `json` is one.
    #[must_use]
    pub fn of(json: &[u8]) -> Option<Self> {
        let (value, faults) = (NODE.parse(json).ok()?, Faults::default());
        let node = Fields::of(&value, &faults);
        let info = node.object("status").object("nodeInfo");
        Some(Self {
            name: node.object("metadata").filled("name"),
            boot_id: info.filled("bootID"),
            runtime: info.filled("containerRuntimeVersion"),
        })
    }
}

/// The node of this name; `None` where there is none.
pub(super) async fn get(client: &Client, name: &str) -> kube::Result<Option<Node>> {
    let request = nodes().get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    match Answer::to(client, request).await {
        Ok(answer) => Ok(Some(Node::of(&answer.whole(LARGEST).await?).unwrap_or_default())),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// All nodes, from the API server's cache.
pub(super) async fn list(client: &Client) -> kube::Result<Vec<Node>> {
    let any = ListParams::default().matching(VersionMatch::NotOlderThan).at("0");
    let mut answer = Answer::to(client, nodes().list(&any).map_err(kube::Error::BuildRequest)?).await?;
    let (mut splitter, mut found) = (ListSplitter::default(), Vec::new());
    while let Some(bytes) = answer.next().await {
        splitter.feed(&bytes?, &mut |piece| {
            if let Piece::Whole(json) = piece {
                found.extend(Node::of(json));
            }
        });
    }
    Ok(found)
}

fn nodes() -> Request {
    Request::new("/api/v1/nodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_whatever_else_it_holds() {
        let node = Node::of(
            br#"{"metadata":{"name":"n","managedFields":[{"time":"9999-12-31T23:59:59Z"}]},
                "status":{"nodeInfo":{"bootID":"b","containerRuntimeVersion":7},"images":"x"}}"#,
        );
        let expected = Node { name: Some("n".into()), boot_id: Some("b".into()), runtime: None };
        assert_eq!(node, Some(expected));
    }

    #[test]
    fn a_node_without_a_report_has_no_boot_id() {
        assert_eq!(
            Node::of(br#"{"metadata":{},"status":{"nodeInfo":{"bootID":""}}}"#),
            Some(Node::default())
        );
        assert_eq!(Node::of(b"{}"), Some(Node::default()));
        assert_eq!(Node::of(b"<html>"), None);
    }
}
