//! The watch on this node's pods: the API's changes into a channel, whatever the API server does meanwhile.

use std::pin::pin;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::core::Status;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Config, Event, ExponentialBackoff};
use kube::{Api, Client};
use tokio::sync::mpsc::Sender;

use super::PodFacts;
use super::connect::root_cause;

/// What the watch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodEvent {
    /// A list of all pods begins.
    RelistStarted,
    /// A pod of the list.
    Listed(Box<PodFacts>),
    /// The list is complete.
    RelistDone,
    /// A pod is new or changed.
    Applied(Box<PodFacts>),
    /// A pod is gone; its last state.
    Deleted(Box<PodFacts>),
    /// The API is out of reach or refuses; a relist follows once it is back.
    Lost,
}

/// Of one watch call. A connection that died silently is noticed after this and 5 s.
const TIMEOUT_SECONDS: u32 = 60;

/// HTTP's code for a resource version that the API server cannot resume from.
const GONE: u16 = 410;

/// Between two tries to reach the API.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watches the pods of `node` in every namespace until the receiver is gone.
///
/// After any error it lists anew: then the index knows that it is synced again, which a resumed watch does not tell.
/// The list is one node's and comes from the API server's cache, so it is cheap.
pub async fn run(client: Client, node: &str, events: Sender<PodEvent>) {
    let api: Api<Pod> = Api::all(client);
    let config =
        Config::default().any_semantic().timeout(TIMEOUT_SECONDS).fields(&format!("spec.nodeName={node}"));
    let mut pauses = ExponentialBackoff::from(pauses());
    let mut reach = Reach::Unknown;
    loop {
        let stream = watcher::watcher(api.clone(), config.clone());
        match pass_on(stream, &events, &mut reach, &mut pauses).await {
            Ended::ReceiverGone => return,
            Ended::Gone(why) => {
                tracing::info!(
                    "the API server can't say what this watch has missed (410 Gone: {why}); listing the pods anew"
                );
            }
            Ended::Failed(error) => reach.lost(&error),
        }
        if events.send(PodEvent::Lost).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)) => {}
            () = events.closed() => return,
        }
    }
}

/// Twice as long after each failure, with jitter: all nodes lose an API server at the same moment.
fn pauses() -> ExponentialBuilder {
    let builder = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    builder.without_max_times().with_jitter()
}

/// Why passing on came to an end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    ReceiverGone,
    /// The watch was resumed, its connection having ended, and the API server no longer knows from where on: it
    /// answers, so it is not out of reach, but what happened in between only a list can tell.
    Gone(String),
    Failed(String),
}

async fn pass_on(
    stream: impl Stream<Item = watcher::Result<Event<Pod>>>,
    events: &Sender<PodEvent>,
    reach: &mut Reach,
    pauses: &mut ExponentialBackoff,
) -> Ended {
    let mut stream = pin!(stream);
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            () = events.closed() => return Ended::ReceiverGone,
        };
        let event = match next {
            Some(Ok(event)) => event,
            Some(Err(error)) => return ended_by(&error),
            None => return Ended::Failed("the watch ended".into()),
        };
        let listed = matches!(event, Event::InitDone);
        if let Some(event) = translate(event)
            && events.send(event).await.is_err()
        {
            return Ended::ReceiverGone;
        }
        if listed {
            reach.back();
            pauses.reset();
        }
    }
}

fn ended_by(error: &watcher::Error) -> Ended {
    match status(error) {
        Some(status) if status.code == GONE => Ended::Gone(status.message.clone()),
        _ => Ended::Failed(root_cause(error)),
    }
}

/// What the API server said, in the stream or instead of one.
fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

fn translate(event: Event<Pod>) -> Option<PodEvent> {
    let facts = |pod: Pod| PodFacts::of(&pod).map(Box::new);
    match event {
        Event::Init => Some(PodEvent::RelistStarted),
        Event::InitApply(pod) => facts(pod).map(PodEvent::Listed),
        Event::InitDone => Some(PodEvent::RelistDone),
        Event::Apply(pod) => facts(pod).map(PodEvent::Applied),
        Event::Delete(pod) => facts(pod).map(PodEvent::Deleted),
    }
}

/// Whether the API answers; each change is logged once.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    Unknown,
    Up,
    Down,
}

impl Reach {
    fn lost(&mut self, error: &str) {
        if *self != Self::Down {
            tracing::warn!("lost the API server ({error}); witnessing goes on, names come from the runtime");
        }
        *self = Self::Down;
    }

    fn back(&mut self) {
        match self {
            Self::Down => tracing::info!("the API server is back; pods listed anew"),
            Self::Unknown => tracing::info!("pods of this node listed"),
            Self::Up => {}
        }
        *self = Self::Up;
    }
}

#[cfg(test)]
mod tests;
