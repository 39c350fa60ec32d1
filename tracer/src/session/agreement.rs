//! Where the sources of a container's name contradict each other. Pure.

use super::container::Container;
use crate::ids::PodRef;
use crate::pods::PodIndex;
use crate::record::Disagreement;

/// What of the cgroup's path, the runtime's annotations and the API's status does not fit together, in a
/// fixed order. A silent source contradicts none.
pub(super) fn disagreements(container: &Container, index: &PodIndex) -> Vec<Disagreement> {
    let meta = container.runtime.as_ref().map(|facts| &facts.meta);
    let runtime_pod = meta.and_then(|meta| meta.pod_uid.as_ref()).map(PodRef::from);
    let both_pods = runtime_pod.as_ref().zip(container.path_pod.as_ref());
    let in_api = index.by_container_id(&container.id);
    let pod = container.pod();
    let other_pod = in_api.zip(pod.as_ref()).is_some_and(|((pod, _), named)| {
        // A static pod's cgroup has its config hash for a name.
        PodRef::from(&pod.uid) != *named && pod.config_hash.as_deref() != Some(named.as_str())
    });
    let name = meta.and_then(|meta| meta.container_name.as_deref());
    let other_name = in_api.zip(name).is_some_and(|((_, in_api), name)| in_api != name);
    [
        (Disagreement::PathPod, both_pods.is_some_and(|(runtime, path)| runtime != path)),
        (Disagreement::ApiPod, other_pod),
        (Disagreement::ApiName, other_name),
        (Disagreement::CgroupElsewhere, container.elsewhere),
        (Disagreement::SecondCgroup, container.has_double),
    ]
    .into_iter()
    .filter_map(|(what, is_so)| is_so.then_some(what))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{id, pod, pod_ref, runtime, seconds, synced, with_status};
    use super::*;
    use crate::pods::PodFacts;

    fn silent(path_pod: PodRef) -> Container {
        Container::new(id(), Some(path_pod), seconds(10))
    }

    fn container(path_pod: PodRef) -> Container {
        let mut container = silent(path_pod);
        container.runtime = runtime("dbg");
        container
    }

    #[test]
    fn equal_or_silent_sources_do_not_disagree() {
        for index in [synced([]), synced([pod()]), synced([with_status(pod(), "dbg")])] {
            assert_eq!(disagreements(&container(pod_ref()), &index), []);
        }
        assert_eq!(disagreements(&silent(pod_ref()), &synced([with_status(pod(), "dbg")])), []);
    }

    #[test]
    fn a_static_pod_goes_by_its_config_hash() {
        let facts = PodFacts { config_hash: Some("cd8ab5ec".into()), ..with_status(pod(), "dbg") };
        assert_eq!(disagreements(&silent(PodRef::new("cd8ab5ec")), &synced([facts])), []);
    }

    #[test]
    fn each_contradiction_is_named() {
        let other = PodRef::new("11111111-4f5d-4a7e-8b6e-6b2a3f1c0d9e");
        assert_eq!(disagreements(&container(other.clone()), &synced([pod()])), [Disagreement::PathPod]);
        let index = synced([with_status(pod(), "dbg")]);
        assert_eq!(disagreements(&silent(other), &index), [Disagreement::ApiPod]);
        let index = synced([with_status(pod(), "app")]);
        assert_eq!(disagreements(&container(pod_ref()), &index), [Disagreement::ApiName]);
        let mut forged = container(pod_ref());
        (forged.elsewhere, forged.has_double) = (true, true);
        let expected = [Disagreement::CgroupElsewhere, Disagreement::SecondCgroup];
        assert_eq!(disagreements(&forged, &synced([pod()])), expected);
    }
}
