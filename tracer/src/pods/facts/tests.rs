use serde_json::{Value, json};

use super::*;
use crate::pods::PodRead;

const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";

/// A pod with a session whose command was not found: the API hides its end in lastState.
fn web() -> Value {
    let url = format!("containerd://{ID}");
    json!({
        "metadata": {
            "uid": "78089609-1111-4222-8333-444455556666", "namespace": "default", "name": "web",
            "annotations": { "kubernetes.io/config.hash": "cd8ab5ec9b8a79685746352413021fff" },
            "managedFields": [{ "manager": "kubectl-create" }],
        },
        "spec": {
            "nodeName": "node1",
            "containers": [
                { "name": "app", "image": "local/app:1", "env": [{ "name": "P", "value": "hunter2" }] },
            ],
            "initContainers": [{ "name": "migrate", "image": "local/app:1" }],
            "ephemeralContainers": [
                { "name": "dbg", "image": "local/busybox:1", "targetContainerName": "app", "command": ["hunter2"] },
                { "name": "bare", "image": "local/busybox:1", "targetContainerName": "" },
            ],
        },
        "status": {
            "containerStatuses": [{
                "name": "app", "image": "x", "imageID": "sha256:1", "ready": true, "restartCount": 0,
                "containerID": url.replace('f', "e"),
                "state": { "running": { "startedAt": "2026-11-23T15:26:54Z" } },
            }],
            "ephemeralContainerStatuses": [{
                "name": "dbg", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": "RunContainerError", "message": "no such file" } },
                "lastState": { "terminated": {
                    "exitCode": 128, "reason": "StartError", "message": "no such file", "containerID": url,
                    "startedAt": "1970-01-01T00:00:00Z", "finishedAt": "2026-11-23T15:27:04Z",
                }},
            }],
        },
    })
}

fn read(pod: &Value) -> Option<PodFacts> {
    PodRead::of(pod.to_string().as_bytes()).facts
}

fn id() -> ContainerId {
    ContainerId::parse(ID).unwrap()
}

#[test]
fn names_roles_and_nothing_else() {
    let facts = read(&web()).unwrap();
    assert_eq!((facts.namespace.as_str(), facts.name.as_str()), ("default", "web"));
    assert_eq!(facts.config_hash.as_deref(), Some("cd8ab5ec9b8a79685746352413021fff"));
    assert_eq!(facts.containers[0].name, "app");
    assert_eq!(facts.init_containers[0].image.as_deref(), Some("local/app:1"));
    assert_eq!(facts.ephemeral_containers[0].target.as_deref(), Some("app"));
    assert_eq!(facts.ephemeral_containers[1].target, None);
    assert!(!format!("{facts:?}").contains("hunter2"));
}

#[test]
fn a_pod_without_identity_is_none() {
    for field in ["uid", "namespace", "name"] {
        let mut pod = web();
        pod["metadata"].as_object_mut().unwrap().remove(field);
        assert_eq!(read(&pod), None, "{field}");
    }
}

#[test]
fn a_start_error_is_found_in_the_last_state() {
    let facts = read(&web()).unwrap();
    let status = facts.status("dbg").unwrap();
    assert_eq!(status.container_ids().collect::<Vec<_>>(), [id()]);
    assert_eq!(status.image_id, None);
    let end = status.end_of(&id()).unwrap();
    assert_eq!(status.start_error(), Some(end));
    let evidence = end.evidence(None);
    assert_eq!((evidence.exit_code, evidence.started_at, evidence.agrees), (Some(128), None, None));
    assert_eq!(evidence.finished_at.unwrap().to_string(), "2026-11-23T15:27:04.000000000Z");
    assert_eq!(facts.status("app").unwrap().start_error(), None);
    assert_eq!(facts.status("app").unwrap().end_of(&id()), None);
}

#[test]
fn the_restart_count_numbers_the_current_run_and_the_one_before() {
    let other = ContainerId::parse(&ID.replace('f', "e")).unwrap();
    let mut pod = web();
    let status = &mut pod["status"]["containerStatuses"][0];
    status["restartCount"] = 3.into();
    status["lastState"] = json!({"terminated": {"exitCode": 1, "containerID": format!("containerd://{ID}")}});
    let facts = read(&pod).unwrap();
    let app = facts.status("app").unwrap();
    assert_eq!((app.attempt_of(&other), app.attempt_of(&id())), (Some(3), Some(2)));
    assert!(!app.never_ran());
    // A start error of the first run, in a status that does not name the run as the current one.
    let dbg = facts.status("dbg").unwrap();
    assert_eq!((dbg.attempt_of(&id()), dbg.attempt_of(&other), dbg.never_ran()), (None, None, false));
}

#[test]
fn a_container_that_waits_for_its_first_run_never_ran() {
    let mut pod = web();
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    pod["status"]["containerStatuses"] = json!([{
        "name": "app", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": waiting,
    }]);
    let facts = read(&pod).unwrap();
    assert!(facts.status("app").unwrap().never_ran());
}

#[test]
fn the_api_agrees_or_not() {
    let end = |exit_code| Terminated {
        exit_code,
        signal: None,
        reason: None,
        message: None,
        started_at: None,
        finished_at: None,
        container_id: None,
    };
    assert_eq!(end(42).evidence(Some(42)).agrees, Some(true));
    assert_eq!(end(255).evidence(Some(49)).agrees, Some(false));
    assert_eq!(end(255).evidence(None).agrees, None);
}
