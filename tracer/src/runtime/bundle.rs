//! A bundle's `config.json`, of which only the annotations are taken. Pure.
//!
//! The same file holds the container's environment and arguments, secrets included: they are skipped while parsing
//! and never held.

use std::collections::HashMap;

use serde::Deserialize;

use crate::ids::PodUid;

/// What the runtime makes of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerKind {
    /// The pod's pause container.
    Sandbox,
    /// A container of the pod's spec.
    Container,
}

/// Who a container is, as the runtime says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerMeta {
    /// Pause container or not.
    pub kind: ContainerKind,
    /// The container's name; `None` for a sandbox.
    pub container_name: Option<String>,
    /// The pod's name.
    pub pod_name: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's UID; for a static pod the config hash.
    pub pod_uid: Option<PodUid>,
    /// The image's name as the runtime knows it.
    pub image: Option<String>,
    /// The scheme of the API's container ids: `containerd` or `cri-o`.
    pub scheme: &'static str,
}

/// The annotations of one runtime.
struct Dialect {
    scheme: &'static str,
    kind: &'static str,
    container_name: &'static str,
    pod_name: &'static str,
    namespace: &'static str,
    pod_uid: &'static str,
    image: &'static str,
}

/// containerd: `pkg/cri/annotations` (`internal/cri/annotations` from 2.0).
const CONTAINERD: Dialect = Dialect {
    scheme: "containerd",
    kind: "io.kubernetes.cri.container-type",
    container_name: "io.kubernetes.cri.container-name",
    pod_name: "io.kubernetes.cri.sandbox-name",
    namespace: "io.kubernetes.cri.sandbox-namespace",
    pod_uid: "io.kubernetes.cri.sandbox-uid",
    image: "io.kubernetes.cri.image-name",
};

/// CRI-O: its own `pkg/annotations` and the kubelet's labels, which it copies.
const CRIO: Dialect = Dialect {
    scheme: "cri-o",
    kind: "io.kubernetes.cri-o.ContainerType",
    container_name: "io.kubernetes.container.name",
    pod_name: "io.kubernetes.pod.name",
    namespace: "io.kubernetes.pod.namespace",
    pod_uid: "io.kubernetes.pod.uid",
    image: "io.kubernetes.cri-o.ImageName",
};

/// The one field that is read; serde skips the others without keeping them.
#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// Reads a `config.json`; `None` where it is not (yet) whole, or not of a Kubernetes container.
#[must_use]
pub fn parse(config: &[u8]) -> Option<ContainerMeta> {
    let Bundle { mut annotations } = serde_json::from_slice(config).ok()?;
    [CONTAINERD, CRIO].iter().find_map(|dialect| dialect.read(&mut annotations))
}

impl Dialect {
    fn read(&self, annotations: &mut HashMap<String, String>) -> Option<ContainerMeta> {
        let kind = match annotations.get(self.kind)?.as_str() {
            "sandbox" => ContainerKind::Sandbox,
            "container" => ContainerKind::Container,
            _ => return None,
        };
        let mut take = |key| annotations.remove(key).filter(|value: &String| !value.is_empty());
        Some(ContainerMeta {
            kind,
            // CRI-O calls a sandbox's container "POD".
            container_name: take(self.container_name).filter(|_| kind == ContainerKind::Container),
            pod_name: take(self.pod_name),
            namespace: take(self.namespace),
            pod_uid: take(self.pod_uid).map(PodUid::new),
            image: take(self.image),
            scheme: self.scheme,
        })
    }
}

#[cfg(test)]
mod tests;
