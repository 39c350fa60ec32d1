use serde_json::{Value, json};

use super::*;

fn pod(metadata: Value, spec: Value) -> Pod {
    let fields = [("metadata".to_owned(), metadata), ("spec".to_owned(), spec)];
    serde_json::from_value(Value::Object(fields.into_iter().collect())).unwrap()
}

fn node_debugger_spec() -> Value {
    json!({
        "nodeName": "node1",
        "hostPID": true,
        "containers": [{ "name": "debugger" }],
        "volumes": [{ "name": "host-root", "hostPath": { "path": "/" } }],
    })
}

fn kubectl() -> Value {
    json!([{ "manager": "kubectl", "operation": "Update" }])
}

fn found(kind: SessionKind, by: KindBy) -> Option<DebugPod> {
    Some(DebugPod { kind, by })
}

#[test]
fn kubectl_1_35_labels_node_debug_pods() {
    let metadata = json!({
        "name": "anything", "labels": { "app.kubernetes.io/managed-by": "kubectl-debug" },
    });
    let spec = json!({ "containers": [{ "name": "debugger" }] });
    assert_eq!(debug_pod(&pod(metadata, spec)), found(SessionKind::NodeDebug, KindBy::Declared));
}

#[test]
fn older_kubectls_node_debug_pods_go_by_name_and_shape() {
    let is = |name: &str, spec: Value| debug_pod(&pod(json!({ "name": name }), spec));
    let inferred = found(SessionKind::NodeDebug, KindBy::Inferred);
    assert_eq!(is("node-debugger-node1-x7k2p", node_debugger_spec()), inferred);
    assert_eq!(is("node-debugger-node2-x7k2p", node_debugger_spec()), None);
    assert_eq!(is("node-debugger-node1-x7k2", node_debugger_spec()), None);
    assert_eq!(is("node-debugger-node1", node_debugger_spec()), None);
    for (field, value) in [("hostPID", json!(false)), ("volumes", json!([]))] {
        let mut spec = node_debugger_spec();
        spec[field] = value;
        assert_eq!(is("node-debugger-node1-x7k2p", spec), None, "{field}");
    }
}

#[test]
fn copies_are_inferred() {
    let spec = || json!({ "containers": [{ "name": "app" }, { "name": "debugger-8xzrl" }] });
    let made_by_kubectl = json!({ "name": "web-copy", "managedFields": kubectl() });
    assert_eq!(debug_pod(&pod(made_by_kubectl.clone(), spec())), found(SessionKind::Copy, KindBy::Inferred));

    let owner = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u" }]);
    let owned = json!({ "name": "web-1", "managedFields": kubectl(), "ownerReferences": owner });
    assert_eq!(debug_pod(&pod(owned, spec())), None);
    let of_another = json!({ "name": "x", "managedFields": [{ "manager": "helm" }] });
    assert_eq!(debug_pod(&pod(of_another, spec())), None);
    let plain = json!({ "containers": [{ "name": "app" }] });
    assert_eq!(debug_pod(&pod(made_by_kubectl, plain)), None);
}

#[test]
fn a_label_declares_a_copy() {
    let metadata = json!({ "name": "x", "labels": { "debugtrail.dev/session": "" } });
    let spec = json!({ "containers": [{ "name": "app" }] });
    assert_eq!(debug_pod(&pod(metadata, spec)), found(SessionKind::Copy, KindBy::Declared));
}

#[test]
fn only_kubectls_container_of_a_copy_is_the_session() {
    let copy = DebugPod { kind: SessionKind::Copy, by: KindBy::Inferred };
    let siblings = ["app", "debugger-8xzrl"];
    assert!(is_session(copy, "debugger-8xzrl", &siblings));
    assert!(!is_session(copy, "app", &siblings));
    assert!(is_session(copy, "app", &["app"]));
    let node = DebugPod { kind: SessionKind::NodeDebug, by: KindBy::Declared };
    assert!(is_session(node, "debugger", &["debugger"]));
}
