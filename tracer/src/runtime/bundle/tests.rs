use proptest::prelude::*;

use super::*;

/// What containerd 1.6 writes for an ephemeral container, abridged.
const CONTAINERD_CONTAINER: &str = r#"{
  "ociVersion": "1.0.2-dev",
  "process": {
    "args": ["sh", "-c", "echo hunter2"],
    "env": ["DB_PASSWORD=hunter2", "io.kubernetes.cri.container-name=lie"],
    "capabilities": {"bounding": ["CAP_CHOWN"]}
  },
  "linux": {"cgroupsPath": "/kubepods/besteffort/pod78089609/a24e", "annotations": {"x": 1}},
  "annotations": {
    "io.kubernetes.cri.container-name": "dbg",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.image-name": "local/busybox:1",
    "io.kubernetes.cri.sandbox-id": "5f0e",
    "io.kubernetes.cri.sandbox-name": "web",
    "io.kubernetes.cri.sandbox-namespace": "default",
    "io.kubernetes.cri.sandbox-uid": "78089609-1111-4222-8333-444455556666"
  }
}"#;

fn container(scheme: &'static str) -> ContainerMeta {
    ContainerMeta {
        kind: ContainerKind::Container,
        container_name: Some("dbg".into()),
        pod_name: Some("web".into()),
        namespace: Some("default".into()),
        pod_uid: Some(PodUid::new("78089609-1111-4222-8333-444455556666")),
        image: Some("local/busybox:1".into()),
        scheme,
    }
}

#[test]
fn a_container_of_containerd() {
    assert_eq!(parse(CONTAINERD_CONTAINER.as_bytes()), Some(container("containerd")));
}

#[test]
fn a_sandbox_of_containerd() {
    let config = r#"{"annotations":{
        "io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-id":"5f0e",
        "io.kubernetes.cri.sandbox-name":"web","io.kubernetes.cri.sandbox-namespace":"default"}}"#;
    let meta = parse(config.as_bytes()).unwrap();
    assert_eq!((meta.kind, meta.container_name), (ContainerKind::Sandbox, None));
    assert_eq!((meta.pod_name.as_deref(), meta.pod_uid), (Some("web"), None));
}

#[test]
fn a_container_of_crio() {
    let config = r#"{"annotations":{
        "io.container.manager":"cri-o","io.kubernetes.cri-o.ContainerType":"container",
        "io.kubernetes.cri-o.ImageName":"local/busybox:1","io.kubernetes.container.name":"dbg",
        "io.kubernetes.pod.name":"web","io.kubernetes.pod.namespace":"default",
        "io.kubernetes.pod.uid":"78089609-1111-4222-8333-444455556666"}}"#;
    assert_eq!(parse(config.as_bytes()), Some(container("cri-o")));
}

#[test]
fn a_sandbox_of_crio_has_no_container_name() {
    let config = r#"{"annotations":{
        "io.kubernetes.cri-o.ContainerType":"sandbox","io.kubernetes.container.name":"POD",
        "io.kubernetes.pod.name":"web"}}"#;
    let meta = parse(config.as_bytes()).unwrap();
    assert_eq!((meta.kind, meta.container_name, meta.scheme), (ContainerKind::Sandbox, None, "cri-o"));
}

#[test]
fn a_config_not_of_kubernetes_or_not_whole_is_none() {
    for config in [
        "",
        "{}",
        "[]",
        r#"{"annotations":null}"#,
        r#"{"annotations":{"org.opencontainers.image.title":"x"}}"#,
        r#"{"annotations":{"io.kubernetes.cri.container-type":"other"}}"#,
        &CONTAINERD_CONTAINER[..CONTAINERD_CONTAINER.len() - 3],
    ] {
        assert_eq!(parse(config.as_bytes()), None, "{config}");
    }
}

#[test]
fn nothing_secret_is_kept() {
    let meta = parse(CONTAINERD_CONTAINER.as_bytes()).unwrap();
    assert!(!format!("{meta:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }
}
