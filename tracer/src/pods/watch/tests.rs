use futures::stream;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;

fn pod(name: &str) -> Pod {
    let metadata = json!({ "uid": name, "namespace": "default", "name": name });
    serde_json::from_value(json!({ "metadata": metadata })).unwrap()
}

/// What comes out of the channel for what the watcher says, and how it ended.
async fn passed_on(events: Vec<watcher::Result<Event<Pod>>>) -> (Vec<String>, Ended, Reach) {
    let (sender, mut receiver) = mpsc::channel(16);
    let mut reach = Reach::Unknown;
    let mut backoff = ExponentialBackoff::from(pauses());
    let ended = pass_on(stream::iter(events), &sender, &mut reach, &mut backoff).await;
    drop(sender);
    let mut said = Vec::new();
    while let Some(event) = receiver.recv().await {
        said.push(match event {
            PodEvent::Listed(pod) => format!("listed {}", pod.name),
            PodEvent::Applied(pod) => format!("applied {}", pod.name),
            PodEvent::Deleted(pod) => format!("deleted {}", pod.name),
            other => format!("{other:?}"),
        });
    }
    (said, ended, reach)
}

#[tokio::test]
async fn a_list_and_what_follows() {
    let (said, ended, reach) = passed_on(vec![
        Ok(Event::Init),
        Ok(Event::InitApply(pod("a"))),
        Ok(Event::InitDone),
        Ok(Event::Apply(pod("b"))),
        Ok(Event::Delete(pod("a"))),
    ])
    .await;
    assert_eq!(said, ["RelistStarted", "listed a", "RelistDone", "applied b", "deleted a"]);
    assert!(matches!(ended, Ended::Failed(why) if why == "the watch ended"));
    assert_eq!(reach, Reach::Up);
}

#[tokio::test]
async fn an_error_ends_it() {
    let (said, ended, reach) =
        passed_on(vec![Ok(Event::Init), Err(watcher::Error::NoResourceVersion), Ok(Event::InitDone)]).await;
    assert_eq!(said, ["RelistStarted"]);
    assert!(matches!(ended, Ended::Failed(why) if why.starts_with("no metadata.resourceVersion")));
    assert_eq!(reach, Reach::Unknown);
}

/// In the stream, as Kubernetes tells it, or as the answer's own status.
#[tokio::test]
async fn a_watch_that_cannot_resume_is_gone_and_the_server_is_not() {
    let told = |code| {
        let status =
            json!({ "code": code, "reason": "Expired", "message": "too old resource version: 3 (9)" });
        serde_json::from_value::<Box<Status>>(status).unwrap()
    };
    let errors = |code| {
        [
            watcher::Error::WatchError(told(code)),
            watcher::Error::WatchStartFailed(kube::Error::Api(told(code))),
            watcher::Error::WatchFailed(kube::Error::Api(told(code))),
        ]
    };
    for error in errors(410) {
        let (said, ended, reach) = passed_on(vec![Ok(Event::InitDone), Err(error)]).await;
        assert_eq!(said, ["RelistDone"]);
        assert_eq!(ended, Ended::Gone("too old resource version: 3 (9)".into()));
        assert_eq!(reach, Reach::Up);
    }
    for error in errors(500) {
        let (_, ended, _) = passed_on(vec![Err(error)]).await;
        assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_it() {
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let mut backoff = ExponentialBackoff::from(pauses());
    let ended = pass_on(stream::pending(), &sender, &mut Reach::Unknown, &mut backoff).await;
    assert!(matches!(ended, Ended::ReceiverGone));
}

#[test]
fn pauses_grow_to_a_bound_and_never_end() {
    let pauses: Vec<Duration> = ExponentialBackoff::from(pauses()).take(50).collect();
    assert_eq!(pauses.len(), 50);
    assert!(pauses[0] < Duration::from_secs(1));
    assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE * 2));
}
