use serde_json::json;

use super::*;

/// As tests/hostile/odd_pod.sh makes one: the API takes it, and jiff has no such instant.
#[test]
fn managed_fields_of_the_year_9999_cost_nothing() {
    let pod = json!({
        "metadata": {
            "uid": "u1", "namespace": "default", "name": "web", "resourceVersion": "7",
            "managedFields": [{ "manager": "x", "time": "9999-12-31T23:59:59Z", "fieldsV1": { "f:a": {} } }],
            "creationTimestamp": "9999-12-31T23:59:59Z",
        },
        "spec": { "containers": [{ "name": "app", "imagePullPolicy": "Sometimes" }], "dnsPolicy": 7 },
    });
    let read = PodRead::of(pod.to_string().as_bytes());
    assert_eq!(read.unread, None);
    assert_eq!(read.facts.unwrap().containers[0].name, "app");
}

#[test]
fn faults_are_named_and_the_rest_is_read() {
    let pod = json!({
        "metadata": { "uid": "u1", "namespace": "default", "name": "web", "resourceVersion": "7" },
        "spec": {
            "containers": [{ "name": 5 }, { "name": "app", "image": ["x"] }],
            "ephemeralContainers": [{ "name": "dbg", "targetContainerName": "app" }, "x"],
        },
        "status": { "containerStatuses": { "app": 1 } },
    });
    let PodRead { facts, unread } = PodRead::of(pod.to_string().as_bytes());
    let (facts, unread) = (facts.unwrap(), unread.unwrap());
    assert_eq!(facts.containers.len(), 1);
    assert_eq!((facts.containers[0].name.as_str(), &facts.containers[0].image), ("app", &None));
    assert_eq!(facts.ephemeral_containers[0].target.as_deref(), Some("app"));
    assert_eq!((unread.uid, unread.version.as_deref()), (Some(PodUid::new("u1")), Some("7")));
    for fault in [
        "spec.containers[0].name is no text",
        "spec.containers[1].image is no text",
        "spec.ephemeralContainers[1] is no object",
        "status.containerStatuses is no list",
    ] {
        assert!(unread.faults.iter().any(|found| found == fault), "{fault}: {:?}", unread.faults);
    }
}

#[test]
fn a_pod_without_an_identity_says_what_it_has() {
    let read = PodRead::of(br#"{"metadata":{"uid":"u1","namespace":7}}"#);
    let unread = read.unread.unwrap();
    assert_eq!((read.facts, unread.uid), (None, Some(PodUid::new("u1"))));
    assert_eq!(unread.faults, ["metadata.namespace is no text", "metadata.name is no text"]);
    for bytes in [&b"null"[..], b"7", b"[]", b"{}", b"{\"metadata\":", b"\xff\xfe"] {
        let read = PodRead::of(bytes);
        assert!(
            read.facts.is_none() && read.unread.is_some_and(|unread| !unread.faults.is_empty()),
            "{bytes:?}"
        );
    }
}

#[test]
fn every_event_of_a_watch() {
    let meta = json!({ "uid": "u1", "namespace": "default", "name": "web", "resourceVersion": "8" });
    let said = |kind: &str, object: Value| {
        Said::of(json!({ "type": kind, "object": object }).to_string().as_bytes())
    };
    for kind in ["ADDED", "MODIFIED"] {
        let Said { version, what } = said(kind, json!({ "metadata": meta }));
        assert_eq!(version.as_deref(), Some("8"));
        assert!(matches!(what, What::Applied(PodRead { facts: Some(_), unread: None })), "{what:?}");
    }
    let deleted = said("DELETED", json!({ "metadata": meta }));
    assert!(matches!(deleted.what, What::Deleted(PodRead { facts: Some(_), .. })));
    let bookmark = said("BOOKMARK", json!({ "metadata": { "resourceVersion": "9" } }));
    assert_eq!(bookmark, Said { version: Some("9".into()), what: What::Bookmark });
    let error = json!({ "kind": "Status", "status": "Failure", "code": 410, "message": "too old" });
    let what = What::Error { code: 410, message: "too old".into() };
    assert_eq!(said("ERROR", error), Said { version: None, what });
}

#[test]
fn an_unreadable_event_costs_itself_alone() {
    for line in [&b"x"[..], b"{}", b"[]", br#"{"type":7,"object":{}}"#, br#"{"type":"ADDED","object":[1]}"#] {
        let Said { version, what } = Said::of(line);
        assert_eq!(version, None);
        assert!(matches!(what, What::Applied(PodRead { facts: None, unread: Some(_) })), "{what:?}");
    }
    // The watch goes on after it.
    let said = Said::of(br#"{"type":"MODIFIED","object":{"metadata":{"uid":"u1","resourceVersion":"8"}}}"#);
    assert_eq!(said.version.as_deref(), Some("8"));
}

/// The API has no limit of its own for an image's name.
#[test]
fn a_name_that_is_too_long_is_not_kept() {
    let (long, many) = ("x".repeat(1_300_000), vec![json!({ "name": "app", "image": "i" }); 9000]);
    let of = |containers: Value| {
        let meta = json!({ "uid": "u1", "namespace": "default", "name": "web", "resourceVersion": "7",
            "annotations": { "kubernetes.io/config.hash": long } });
        let pod = json!({ "metadata": meta, "spec": { "containers": containers } });
        let PodRead { facts, unread } = PodRead::of(pod.to_string().as_bytes());
        (facts.unwrap(), unread.unwrap().faults)
    };
    let (facts, faults) = of(json!([{ "name": "app", "image": long }]));
    assert_eq!((facts.config_hash, &facts.containers[0].image), (None, &None));
    assert!(faults.iter().any(|fault| fault.starts_with("spec.containers[0].image is no text of at most")));
    let (facts, faults) = of(json!(many));
    assert!(facts.containers.len() <= 1024);
    assert!(
        faults.iter().any(|fault| fault.starts_with("spec.containers is no list of at most")),
        "{faults:?}"
    );
}
