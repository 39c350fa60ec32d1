//! The watch on this node's pods: the API's changes into a channel, whatever the API server does meanwhile.

mod reach;

use std::time::{Duration, Instant};

use backon::ExponentialBuilder;
use kube::Client;
use kube::api::{ListParams, VersionMatch, WatchParams};
use kube::core::Request;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::ExponentialBackoff;
use tokio::sync::mpsc::Sender;

use super::PodFacts;
use super::answer::Answer;
use super::connect::root_cause;
use super::read::{PodRead, Said, What};
use super::split::{LineSplitter, ListEnd, ListSplitter, Piece};
use crate::ids::PodUid;
use reach::Reach;

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
    /// A pod, listed or changed, could not be read, or not all of it. Comes after its facts where it has any; its UID where
    /// that can be read.
    Unread(Option<PodUid>),
    /// The API is out of reach or refuses; a relist follows once it is back.
    Lost,
}

/// Of one watch call. A connection that died silently is noticed after this and [`MARGIN`].
const TIMEOUT_SECONDS: u32 = 60;
const MARGIN: Duration = Duration::from_secs(5);

/// HTTP's code for a resource version that the API server cannot resume from.
const GONE: u16 = 410;

/// A watch that ends sooner than this is not resumed at once.
const SHORT: Duration = Duration::from_secs(1);

/// Between two tries to reach the API.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watches the pods of `node` in every namespace until the receiver is gone.
///
/// After any error it lists anew: then the index knows that it is synced again, which a resumed watch does
/// not show. The list is one node's and comes from the API server's cache, so it is cheap; it is read object
/// by object, so that it costs the memory of one.
pub async fn run(client: Client, node: &str, events: Sender<PodEvent>) {
    let mut watch = Watch {
        client,
        selector: format!("spec.nodeName={node}"),
        events,
        reach: Reach::default(),
        pauses: ExponentialBackoff::from(pauses()),
    };
    loop {
        match watch.list_and_follow().await {
            Ended::ReceiverGone => return,
            Ended::Gone(why) => {
                tracing::info!(
                    "the API server can't say what this watch has missed (410 Gone: {why}); listing the pods anew"
                );
            }
            Ended::Failed(error) => watch.reach.lost(&error),
        }
        if watch.send(PodEvent::Lost).await.is_err() || watch.pause().await.is_err() {
            return;
        }
    }
}

/// Twice as long after each failure, with jitter: all nodes lose an API server at the same moment.
fn pauses() -> ExponentialBuilder {
    let builder = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    builder.without_max_times().with_jitter()
}

/// Why a watch came to an end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    ReceiverGone,
    /// The watch was resumed, its connection having ended, and the API server no longer knows from where on:
    /// it answers, so it is not out of reach, but only a list has what happened in between.
    Gone(String),
    Failed(String),
}

impl From<kube::Error> for Ended {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == GONE => Self::Gone(status.message),
            other => Self::Failed(root_cause(&other)),
        }
    }
}

struct Watch {
    client: Client,
    selector: String,
    events: Sender<PodEvent>,
    reach: Reach,
    pauses: ExponentialBackoff,
}

impl Watch {
    async fn list_and_follow(&mut self) -> Ended {
        match self.try_to().await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn try_to(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.send(PodEvent::RelistStarted).await?;
        let mut version = self.list().await?;
        self.send(PodEvent::RelistDone).await?;
        self.reach.back();
        self.pauses.reset();
        loop {
            let begun = Instant::now();
            self.follow(&mut version).await?;
            if begun.elapsed() < SHORT {
                self.pause().await?;
            } else {
                self.pauses.reset();
            }
        }
    }

    /// Lists all pods. From where on to watch.
    async fn list(&mut self) -> Result<String, Ended> {
        // Without a limit: with one, the API server would read all pods of the cluster from etcd.
        let any = ListParams::default().matching(VersionMatch::NotOlderThan).at("0");
        let mut params = any.fields(&self.selector);
        loop {
            let end = self.page(&params).await?;
            match (end.rest, end.version) {
                (Some(rest), _) => params = params.continue_token(&rest),
                (None, Some(version)) => return Ok(version),
                (None, None) => return Err(Ended::Failed("its list of pods has no resourceVersion".into())),
            }
        }
    }

    async fn page(&mut self, params: &ListParams) -> Result<ListEnd, Ended> {
        let request = pods().list(params).map_err(kube::Error::BuildRequest)?;
        let mut answer = Answer::to(&self.client, request).await?;
        let mut splitter = ListSplitter::default();
        while let Some(bytes) = self.unless_closed(answer.next()).await? {
            let mut read = Vec::new();
            splitter.feed(&bytes?, &mut |piece| {
                read.push(match piece {
                    Piece::Whole(json) => PodRead::of(json),
                    Piece::TooLarge => PodRead::unreadable("it is larger than an object can be".into()),
                });
            });
            for pod in read {
                self.pass_on(pod, PodEvent::Listed).await?;
            }
        }
        splitter.end().map_err(Ended::Failed)
    }

    /// Watches from `version` on, which goes with what is said, until the call's time is over or its connection breaks.
    async fn follow(&mut self, version: &mut String) -> Result<(), Ended> {
        let params = WatchParams::default().fields(&self.selector).timeout(TIMEOUT_SECONDS);
        let request = pods().watch(&params, version).map_err(kube::Error::BuildRequest)?;
        let mut answer = Answer::to(&self.client, request).await?;
        let mut splitter = LineSplitter::default();
        let silence = Duration::from_secs(TIMEOUT_SECONDS.into()) + MARGIN;
        loop {
            let bytes = tokio::time::timeout(silence, answer.next());
            let Ok(Some(bytes)) = self.unless_closed(bytes).await? else { return Ok(()) };
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::debug!("the watch's connection broke ({}); resuming it", root_cause(&error));
                    return Ok(());
                }
            };
            let mut said = Vec::new();
            splitter.feed(&bytes, &mut |piece| {
                said.push(match piece {
                    Piece::Whole(line) => Said::of(line),
                    Piece::TooLarge => Said::unreadable("it is larger than an object can be".into()),
                });
            });
            for said in said {
                self.take_in(said.what).await?;
                *version = said.version.unwrap_or_else(|| std::mem::take(version));
            }
        }
    }

    async fn take_in(&mut self, what: What) -> Result<(), Ended> {
        match what {
            What::Applied(pod) => self.pass_on(pod, PodEvent::Applied).await,
            What::Deleted(pod) => self.pass_on(pod, PodEvent::Deleted).await,
            What::Bookmark => Ok(()),
            What::Error { code, message } if code == i64::from(GONE) => Err(Ended::Gone(message)),
            What::Error { message, .. } => Err(Ended::Failed(message)),
        }
    }

    async fn pass_on(&mut self, pod: PodRead, event: fn(Box<PodFacts>) -> PodEvent) -> Result<(), Ended> {
        if let Some(facts) = pod.facts {
            self.send(event(Box::new(facts))).await?;
        }
        if let Some(unread) = pod.unread {
            self.reach.unread(&unread);
            self.send(PodEvent::Unread(unread.uid)).await?;
        }
        Ok(())
    }

    async fn send(&self, event: PodEvent) -> Result<(), Ended> {
        self.events.send(event).await.map_err(|_| Ended::ReceiverGone)
    }

    async fn pause(&mut self) -> Result<(), Ended> {
        let pause = tokio::time::sleep(self.pauses.next().unwrap_or(LONGEST_PAUSE));
        self.unless_closed(pause).await
    }

    async fn unless_closed<T>(&self, what: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::select! {
            done = what => Ok(done),
            () = self.events.closed() => Err(Ended::ReceiverGone),
        }
    }
}

/// All pods of all namespaces.
fn pods() -> Request {
    Request::new("/api/v1/pods")
}

#[cfg(test)]
mod tests;
