use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hyper::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;

/// What the API server answers to the next requests, one after the other; then it is silent.
type Answers = Arc<Mutex<VecDeque<(u16, String)>>>;

/// What was asked for: path and query.
type Asked = Arc<Mutex<Vec<String>>>;

fn client(answers: Vec<(u16, String)>) -> (Client, Asked) {
    let (answers, asked): (Answers, Asked) = (Arc::new(Mutex::new(answers.into())), Arc::default());
    let log = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answers.lock().unwrap().pop_front();
        log.lock().unwrap().push(request.uri().to_string());
        async move {
            let Some((code, text)) = answer else { return std::future::pending().await };
            let body = Body::from(text.into_bytes());
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), asked)
}

fn pod(name: &str, version: u64) -> Value {
    json!({ "metadata": {
        "uid": name, "namespace": "default", "name": name, "resourceVersion": version.to_string(),
    }})
}

fn list(pods: &[Value]) -> (u16, String) {
    (200, json!({ "kind": "PodList", "metadata": { "resourceVersion": "5" }, "items": pods }).to_string())
}

fn events(events: &[(&str, Value)]) -> (u16, String) {
    let line = |(kind, object): &(&str, Value)| json!({ "type": kind, "object": object }).to_string() + "\n";
    (200, events.iter().map(line).collect())
}

/// What comes out of the channel for what the API server answers, how it ended, and what was asked.
async fn followed(answers: Vec<(u16, String)>) -> (Vec<String>, Ended, Vec<String>) {
    let (client, asked) = client(answers);
    let (sender, mut receiver) = mpsc::channel(64);
    let mut watch = Watch {
        client,
        selector: "spec.nodeName=n".into(),
        events: sender,
        reach: Reach::default(),
        pauses: ExponentialBackoff::from(pauses()),
    };
    let ended = watch.list_and_follow().await;
    drop(watch);
    let mut said = Vec::new();
    while let Some(event) = receiver.recv().await {
        said.push(match event {
            PodEvent::Listed(pod) => format!("listed {}", pod.name),
            PodEvent::Applied(pod) => format!("applied {}", pod.name),
            PodEvent::Deleted(pod) => format!("deleted {}", pod.name),
            PodEvent::Unread(uid) => format!("unread {}", uid.map(|uid| uid.to_string()).unwrap_or_default()),
            other => format!("{other:?}"),
        });
    }
    let asked = asked.lock().unwrap().clone();
    (said, ended, asked)
}

const GONE_STATUS: &str =
    r#"{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version: 3 (9)"}"#;

fn gone() -> Value {
    serde_json::from_str(GONE_STATUS).unwrap()
}

#[tokio::test]
async fn a_list_and_what_follows() {
    let first = events(&[("ADDED", pod("b", 6)), ("DELETED", pod("a", 7)), ("BOOKMARK", pod("", 9))]);
    let (said, ended, asked) =
        followed(vec![list(&[pod("a", 3)]), first, events(&[("ERROR", gone())])]).await;
    assert_eq!(said, ["RelistStarted", "listed a", "RelistDone", "applied b", "deleted a"]);
    assert_eq!(ended, Ended::Gone("too old resource version: 3 (9)".into()));
    assert!(
        asked[0].contains("resourceVersion=0&") && asked[0].contains("resourceVersionMatch=NotOlderThan")
    );
    assert!(asked[1].contains("watch=true") && asked[1].contains("resourceVersion=5"), "{asked:?}");
    assert!(asked[1].contains("allowWatchBookmarks=true") && asked[1].contains("timeoutSeconds=60"));
    assert!(asked.iter().all(|uri| uri.contains("fieldSelector=spec.nodeName%3Dn")), "{asked:?}");
    // It resumes after the last that was said.
    assert!(asked[2].contains("resourceVersion=9"), "{asked:?}");
}

#[tokio::test]
async fn a_list_in_pages() {
    let page = json!({ "metadata": { "continue": "more", "resourceVersion": "5" }, "items": [pod("a", 1)] });
    let (said, _, asked) =
        followed(vec![(200, page.to_string()), list(&[pod("b", 2)]), (410, GONE_STATUS.into())]).await;
    assert_eq!(said, ["RelistStarted", "listed a", "listed b", "RelistDone"]);
    assert!(asked[1].contains("continue=more") && !asked[1].contains("resourceVersion"), "{asked:?}");
}

/// The pod of tests/hostile/odd_pod.sh, and worse: the others are listed, and the one that could not be read is named.
#[tokio::test]
async fn an_unreadable_pod_costs_itself_alone() {
    let mut odd = pod("odd", 3);
    odd["spec"] = json!("x");
    let nameless = json!({ "metadata": 7 });
    let broken = (200, format!("{{\"type\":\"MODIFIED\",\"obj\n{}", events(&[("MODIFIED", pod("a", 8))]).1));
    let (said, _, asked) =
        followed(vec![list(&[nameless, odd, pod("a", 4)]), broken, events(&[("ERROR", gone())])]).await;
    assert_eq!(
        said,
        [
            "RelistStarted",
            "unread ",
            "listed odd",
            "unread odd",
            "listed a",
            "RelistDone",
            "unread ",
            "applied a"
        ]
    );
    assert!(asked[2].contains("resourceVersion=8"), "{asked:?}");
}

/// As the answer's own status, and in the stream.
#[tokio::test]
async fn a_watch_that_cannot_resume_is_gone_not_lost() {
    for refused in [(410, GONE_STATUS.to_owned()), events(&[("ERROR", gone())])] {
        let (said, ended, _) = followed(vec![list(&[]), refused]).await;
        assert_eq!(said, ["RelistStarted", "RelistDone"]);
        assert_eq!(ended, Ended::Gone("too old resource version: 3 (9)".into()));
    }
    let failed = json!({ "code": 500, "message": "etcd is away" });
    for refused in [(500, failed.to_string()), events(&[("ERROR", failed)])] {
        let (_, ended, _) = followed(vec![list(&[]), refused]).await;
        assert!(matches!(&ended, Ended::Failed(why) if why.contains("etcd is away")), "{ended:?}");
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_is_none() {
    let whole = list(&[pod("a", 1)]).1;
    for (code, text) in [(200, whole[..whole.len() - 2].to_owned()), (200, String::new()), (403, "no".into())]
    {
        let (said, ended, _) = followed(vec![(code, text)]).await;
        assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
        assert!(!said.iter().any(|said| said == "RelistDone"), "{said:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_it() {
    let (client, _) = client(Vec::new());
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    // It would wait for an answer for ever.
    run(client, "n", sender).await;
}

#[test]
fn pauses_grow_to_a_bound_and_never_end() {
    let pauses: Vec<Duration> = ExponentialBackoff::from(pauses()).take(50).collect();
    assert_eq!(pauses.len(), 50);
    assert!(pauses[0] < Duration::from_secs(1));
    assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE * 2));
}
