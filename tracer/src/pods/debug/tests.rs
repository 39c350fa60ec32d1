use serde_json::{Value, json};

use super::*;
use crate::pods::PodRead;

#[expect(clippy::needless_pass_by_value, reason = "each is made where it is passed")]
fn debug_of(mut metadata: Value, spec: Value) -> Option<DebugPod> {
    for (key, value) in [("uid", "u1"), ("namespace", "default")] {
        metadata[key] = value.into();
    }
    let pod = json!({ "metadata": metadata, "spec": spec });
    PodRead::of(pod.to_string().as_bytes()).facts.unwrap().debug
}

/// What `generateNodeDebugPod` of k8s.io/kubectl (pkg/cmd/debug/debug.go), v0.30.14 to v0.33.9, makes of every profile.
fn node_debugger_spec() -> Value {
    json!({
        "nodeName": "node1",
        "restartPolicy": "Never",
        "tolerations": [{ "operator": "Exists" }],
        "containers": [{
            "name": "debugger", "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "terminationMessagePolicy": "File",
        }],
    })
}

/// What the profile adds to it (pkg/cmd/debug/profiles.go); the same from v0.30.14 to v0.34.5.
fn profile(profile: &str) -> Value {
    let mut spec = node_debugger_spec();
    let host_namespaces = |spec: &mut Value| {
        for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
            spec[namespace] = true.into();
        }
    };
    let host_root = |spec: &mut Value| {
        spec["volumes"] = json!([{ "name": "host-root", "hostPath": { "path": "/", "type": "" } }]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "host-root", "mountPath": "/host" }]);
    };
    let security = match profile {
        "legacy" | "general" => {
            host_namespaces(&mut spec);
            host_root(&mut spec);
            return spec;
        }
        "baseline" => return spec,
        "restricted" => json!({
            "runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        }),
        "netadmin" => {
            host_namespaces(&mut spec);
            json!({ "capabilities": { "add": ["NET_ADMIN", "NET_RAW"] } })
        }
        "sysadmin" => {
            host_namespaces(&mut spec);
            host_root(&mut spec);
            json!({ "privileged": true })
        }
        other => panic!("no profile {other}"),
    };
    spec["containers"][0]["securityContext"] = security;
    spec
}

fn kubectl() -> Value {
    json!([{ "manager": "kubectl", "operation": "Update" }])
}

fn found(kind: SessionKind, by: KindBy) -> Option<DebugPod> {
    Some(DebugPod { kind, by })
}

#[test]
fn kubectl_1_34_labels_node_debug_pods() {
    let metadata = json!({
        "name": "anything", "labels": { "app.kubernetes.io/managed-by": "kubectl-debug" },
    });
    let spec = json!({ "containers": [{ "name": "debugger" }] });
    assert_eq!(debug_of(metadata, spec), found(SessionKind::NodeDebug, KindBy::Declared));
}

#[test]
fn every_profile_of_an_older_kubectl_is_inferred() {
    for name in ["legacy", "general", "baseline", "restricted", "netadmin", "sysadmin"] {
        let metadata = json!({ "name": "node-debugger-node1-x7k2p", "managedFields": kubectl() });
        let inferred = found(SessionKind::NodeDebug, KindBy::Inferred);
        assert_eq!(debug_of(metadata, profile(name)), inferred, "{name}");
    }
}

#[test]
fn a_pod_that_resembles_a_node_debugger_is_none() {
    let is = |name: &str, spec: Value| debug_of(json!({ "name": name }), spec);
    let inferred = found(SessionKind::NodeDebug, KindBy::Inferred);
    assert_eq!(is("node-debugger-node1-x7k2p", node_debugger_spec()), inferred);
    for name in
        ["node-debugger-node2-x7k2p", "node-debugger-node1-x7k2", "node-debugger-node1", "node-debugger-é"]
    {
        assert_eq!(is(name, node_debugger_spec()), None, "{name}");
    }
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("tolerations", json!([{ "operator": "Exists", "key": "x" }])),
        ("tolerations", json!([{ "operator": "Exists", "effect": "NoExecute" }])),
        ("tolerations", Value::Null),
        ("nodeName", json!("node2")),
    ] {
        let mut spec = node_debugger_spec();
        spec[field] = value;
        assert_eq!(is("node-debugger-node1-x7k2p", spec), None, "{field}");
    }
    let owner = json!([{ "kind": "DaemonSet", "name": "node-debugger-node1", "uid": "u" }]);
    let owned = json!({ "name": "node-debugger-node1-x7k2p", "ownerReferences": owner });
    assert_eq!(debug_of(owned, node_debugger_spec()), None);
}

/// As `approximatePodTemplateForObject` and `transformPodForDebug` of openshift/oc (pkg/cli/debug/debug.go) make it.
#[test]
fn oc_declares_what_it_debugs() {
    let spec = json!({
        "nodeName": "worker-0", "hostNetwork": true, "hostPID": true, "restartPolicy": "Never",
        "volumes": [{ "name": "host", "hostPath": { "path": "/", "type": "Directory" } }],
        "containers": [{ "name": "container-00", "image": "registry.redhat.io/rhel8/support-tools",
            "securityContext": { "privileged": true, "runAsUser": 0 },
            "volumeMounts": [{ "name": "host", "mountPath": "/host" }] }],
    });
    let of = |source: &str| {
        let annotations = json!({
            "debug.openshift.io/source-container": "container-00", "debug.openshift.io/source-resource": source,
        });
        let labels = json!({ "debug.openshift.io/managed-by": "oc-debug" });
        debug_of(
            json!({ "name": "worker-0-debug-x2b7q", "annotations": annotations, "labels": labels }),
            spec.clone(),
        )
    };
    let declared = found(SessionKind::NodeDebug, KindBy::Declared);
    assert_eq!(of("/v1, Resource=nodes/worker-0"), declared);
    assert_eq!(of("nodes/worker-0"), declared);
    for other in ["/v1, Resource=pods/web", "apps/v1, Resource=deployments/nodes", "pods/nodes/", ""] {
        assert_eq!(of(other), None, "{other}");
    }
}

#[test]
fn copies_are_inferred() {
    let spec = || json!({ "containers": [{ "name": "app" }, { "name": "debugger-8xzrl" }] });
    let made_by_kubectl = json!({ "name": "web-copy", "managedFields": kubectl() });
    assert_eq!(debug_of(made_by_kubectl.clone(), spec()), found(SessionKind::Copy, KindBy::Inferred));

    let owner = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u" }]);
    let owned = json!({ "name": "web-1", "managedFields": kubectl(), "ownerReferences": owner });
    assert_eq!(debug_of(owned, spec()), None);
    let of_another = json!({ "name": "x", "managedFields": [{ "manager": "helm" }] });
    assert_eq!(debug_of(of_another, spec()), None);
    let plain = json!({ "containers": [{ "name": "app" }] });
    assert_eq!(debug_of(made_by_kubectl, plain), None);
}

#[test]
fn a_label_declares_a_copy() {
    let metadata = json!({ "name": "x", "labels": { "debugtrail.dev/session": "" } });
    let spec = json!({ "containers": [{ "name": "app" }] });
    assert_eq!(debug_of(metadata, spec), found(SessionKind::Copy, KindBy::Declared));
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
