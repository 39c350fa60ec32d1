use serde_json::{Value, json};

use super::*;
use crate::pods::PodRead;

fn ending(mut pod: Value) -> Option<PodEnding> {
    for (key, value) in [("uid", "u1"), ("namespace", "default"), ("name", "web")] {
        pod["metadata"][key] = value.into();
    }
    PodRead::of(pod.to_string().as_bytes()).facts.unwrap().ending
}

fn at(time: &str) -> Option<Timestamp> {
    Some(time.parse().unwrap())
}

fn disruption(reason: &str, status: &str) -> Value {
    json!({"type": "DisruptionTarget", "status": status, "reason": reason, "message": "in words",
           "lastTransitionTime": "2026-11-24T10:00:05Z"})
}

#[test]
fn a_pod_that_goes_on_has_none() {
    assert_eq!(ending(json!({"metadata": {}, "status": {"phase": "Running"}})), None);
    let conditions = json!([{"type": "Ready", "status": "True"}, disruption("x", "False")]);
    assert_eq!(ending(json!({"status": {"conditions": conditions}})), None);
    // It ended by itself.
    assert_eq!(ending(json!({"status": {"phase": "Failed"}})), None);
}

#[test]
fn a_deletion_began_when_its_grace_did() {
    let pod =
        json!({"metadata": {"deletionTimestamp": "2026-11-24T10:00:30Z", "deletionGracePeriodSeconds": 30}});
    let ending = ending(pod).unwrap();
    assert_eq!(
        (ending.since, &ending.reason, ending.cause()),
        (at("2026-11-24T10:00:00Z"), &None, "deleted")
    );
}

/// The API takes times of which jiff has no instant.
#[test]
fn a_time_out_of_range_costs_itself_alone() {
    let mut transition = disruption("EvictionByEvictionAPI", "True");
    transition["lastTransitionTime"] = "9999-12-31T23:59:59Z".into();
    let pod = json!({"metadata": {"deletionTimestamp": "9999-12-31T23:59:59Z", "deletionGracePeriodSeconds": 30},
                     "status": {"conditions": [transition]}});
    let ending = ending(pod).unwrap();
    assert_eq!((ending.since, ending.cause()), (None, "evicted"));
}

#[test]
fn an_eviction_through_the_api_is_a_deletion_with_a_condition() {
    let pod = json!({
        "metadata": {"deletionTimestamp": "2026-11-24T10:00:35Z", "deletionGracePeriodSeconds": 30},
        "status": {"conditions": [disruption("EvictionByEvictionAPI", "True")]},
    });
    let ending = ending(pod).unwrap();
    assert_eq!((ending.since, ending.cause()), (at("2026-11-24T10:00:05Z"), "evicted"));
    assert_eq!(ending.message.as_deref(), Some("in words"));
}

#[test]
fn the_kubelets_reason_says_more_than_its_condition() {
    for (reason, cause) in
        [("Evicted", "evicted"), ("Terminated", "node_shutdown"), ("Preempting", "preempted")]
    {
        let conditions = [disruption("TerminationByKubelet", "True")];
        let status = json!({"phase": "Failed", "reason": reason, "message": "why", "conditions": conditions});
        let ending = ending(json!({"status": status})).unwrap();
        assert_eq!((ending.cause(), ending.message.as_deref()), (cause, Some("why")));
        assert_eq!((ending.reason.as_deref(), ending.since), (Some(reason), at("2026-11-24T10:00:05Z")));
        assert_eq!(ending.not_before, None, "the condition says when");
    }
}

#[test]
fn a_deadline_is_as_long_after_the_start_as_the_spec_says() {
    let pod = json!({
        "spec": {"activeDeadlineSeconds": 8, "containers": []},
        "status": {"phase": "Failed", "startTime": "2026-11-24T10:00:00Z", "reason": "DeadlineExceeded",
                   "message": "Pod was active on the node longer than the specified deadline"},
    });
    let ending = ending(pod).unwrap();
    assert_eq!((ending.since, ending.cause()), (at("2026-11-24T10:00:08Z"), "deadline_exceeded"));
}

#[test]
fn an_eviction_without_a_time_was_before_the_last_end() {
    let ended = |at: &str| {
        json!({"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 137, "finishedAt": at}}})
    };
    let statuses = [ended("2026-11-24T09:00:00Z"), ended("2026-11-24T10:00:09Z")];
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"scratch\" exceeds the \
        limit \"1Mi\". ", "containerStatuses": statuses});
    let ending = ending(json!({"status": status})).unwrap();
    assert_eq!((ending.since, ending.cause()), (at("2026-11-24T10:00:09Z"), "evicted"));
    assert_eq!(ending.not_before, at("2026-11-24T09:59:39Z"), "its grace is the default's 30 s");
}

#[test]
fn every_reason_has_a_cause() {
    for (reason, cause) in [
        ("DeletionByTaintManager", "evicted"),
        ("PreemptionByScheduler", "preempted"),
        ("DeletionByPodGC", "deleted"),
        ("DeadlineExceeded", "deadline_exceeded"),
    ] {
        assert_eq!(PodEnding { reason: Some(reason.into()), ..PodEnding::default() }.cause(), cause);
    }
}
