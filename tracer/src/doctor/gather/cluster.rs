//! Asks the API server what `trace` and `agent` ask it, on a thread of its own: a kubeconfig's plugin may take for ever.

use std::fmt::Display;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::ListParams;
use kube::{Api, Client};

use super::Asked;
use crate::cli::exit_code::Failure;
use crate::doctor::facts::{ClusterFacts, NodeFound, Problem, RuntimeClassFound};
use crate::ids::BootId;
use crate::pods::access;
use crate::pods::connect::{self, ConnectError, Right, answer};

/// For all answers together.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers that are still to come.
pub(super) struct Questions {
    answers: Receiver<ClusterFacts>,
    deadline: Instant,
}

/// Begins to ask.
pub(super) fn begin(asked: &Asked, boot_id: &BootId) -> Questions {
    let (sender, answers) = channel();
    let (asked, boot_id) = (asked.clone(), boot_id.clone());
    let asking = std::thread::Builder::new().name("cluster".into()).spawn(move || {
        // The receiver is gone where it took too long.
        let _ = sender.send(ask(&asked, &boot_id));
    });
    // Without the thread the channel is closed, which reads as no answer.
    drop(asking);
    Questions { answers, deadline: Instant::now() + PATIENCE }
}

impl Questions {
    /// The answers, or that there are none.
    pub(super) fn end(self) -> ClusterFacts {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.answers.recv_timeout(left).unwrap_or_else(|error| {
            let why = match error {
                RecvTimeoutError::Timeout => format!("no answer within {} s", PATIENCE.as_secs()),
                RecvTimeoutError::Disconnected => "asking it failed".to_owned(),
            };
            let error = ConnectError::Unreachable(why);
            ClusterFacts { client: Some(Err(problem(&error))), ..ClusterFacts::default() }
        })
    }
}

fn ask(asked: &Asked, boot_id: &BootId) -> ClusterFacts {
    let mut facts = ClusterFacts::default();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(ask_all(asked, boot_id, &mut facts)),
        Err(error) => {
            let text = format!("can't start the asynchronous runtime: {error}");
            facts.client = Some(Err(Problem { failure: Failure::Other, text }));
        }
    }
    facts
}

async fn ask_all(asked: &Asked, boot_id: &BootId, facts: &mut ClusterFacts) {
    let client = match connect::client(asked.kubeconfig.as_deref()).await {
        Ok(client) => client,
        Err(error) => {
            facts.client = Some(Err(problem(&error)));
            return;
        }
    };
    facts.client = Some(Ok(()));
    let version = answer(Right { verb: "get", resource: "/version" }, client.apiserver_version()).await;
    facts.version = Some(version.map(|info| info.git_version).map_err(|error| problem(&error)));
    if facts.version.as_ref().is_some_and(Result::is_err) {
        return;
    }
    facts.runtime_classes = Some(runtime_classes(&client).await.map_err(|error| problem(&error)));
    let node = node(&client, asked, boot_id).await;
    if let Ok(node) = &node {
        facts.list_pods = Some(access::list_pods(&client, &node.name).await.map_err(|error| problem(&error)));
        facts.watch_pods =
            Some(access::watch_pods(&client, &node.name).await.map_err(|error| problem(&error)));
    }
    facts.node = Some(node.map_err(|error| problem(&error)));
}

async fn node(client: &Client, asked: &Asked, boot_id: &BootId) -> Result<NodeFound, ConnectError> {
    let name = match connect::given_name(asked.node.as_deref()) {
        Some(name) => name,
        None => connect::node_name(client, None, boot_id).await?,
    };
    match connect::verify(client, &name, boot_id).await {
        Ok(node) => Ok(NodeFound { name, runtime: node.runtime.unwrap_or_default(), unchecked: None }),
        // As `trace` and `agent` do.
        Err(error @ (ConnectError::Forbidden { .. } | ConnectError::Unreachable(_))) => {
            Ok(NodeFound { name, runtime: String::new(), unchecked: Some(error.to_string()) })
        }
        Err(error) => Err(error),
    }
}

async fn runtime_classes(client: &Client) -> Result<Vec<RuntimeClassFound>, ConnectError> {
    let right = Right { verb: "list", resource: "runtimeclasses.node.k8s.io" };
    let cached = ListParams::default().match_any();
    let classes = answer(right, Api::<RuntimeClass>::all(client.clone()).list(&cached)).await?;
    let found = |class: RuntimeClass| RuntimeClassFound {
        name: class.metadata.name.unwrap_or_default(),
        handler: class.handler,
    };
    Ok(classes.items.into_iter().map(found).collect())
}

fn problem(error: &impl Display) -> Problem {
    Problem::of(Failure::Cluster, error)
}
