use proptest::prelude::*;

use super::*;

const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";
const UID: &str = "78089609-1111-4222-8333-444455556666";
const UID_: &str = "78089609_1111_4222_8333_444455556666";
const HASH: &str = "cd8ab5ec9b8a79685746352413021fff";

fn container_of(pod: &str, inner: bool) -> Place {
    let container_id = ContainerId::parse(ID).unwrap();
    Place::Container { pod: PodRef::new(pod), container_id, inner }
}

fn bare(inner: bool) -> Place {
    Place::Bare { container_id: ContainerId::parse(ID).unwrap(), inner }
}

#[test]
fn cgroupfs_driver() {
    for parent in ["/kubepods", "/kubepods/burstable", "/kubepods/besteffort", "kubepods"] {
        assert_eq!(Place::of(&format!("{parent}/pod{UID}/{ID}")), container_of(UID, false));
        assert_eq!(Place::of(&format!("{parent}/pod{UID}")), Place::Pod { pod: PodRef::new(UID) });
        assert_eq!(Place::of(parent), Place::Other);
    }
}

#[test]
fn systemd_driver_with_each_runtime() {
    for runtime in ["cri-containerd", "crio", "docker", "containerd"] {
        let path = format!(
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/{runtime}-{ID}.scope"
        );
        assert_eq!(Place::of(&path), container_of(UID, false));
    }
    let guaranteed = format!("/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope");
    assert_eq!(Place::of(&guaranteed), container_of(UID, false));
    let pod = format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice");
    assert_eq!(Place::of(&pod), Place::Pod { pod: PodRef::new(UID) });
    assert_eq!(Place::of("/kubepods.slice/kubepods-burstable.slice"), Place::Other);
}

#[test]
fn kind_nests_in_docker_and_prefixes_every_component() {
    let outer = format!("/system.slice/docker-{}.scope", ID.replace('a', "b"));
    let systemd = format!(
        "{outer}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
         kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{ID}.scope"
    );
    assert_eq!(Place::of(&systemd), container_of(UID, false));
    let cgroupfs = format!("/docker/{}/kubelet/kubepods/besteffort/pod{UID}/{ID}", ID.replace('a', "b"));
    assert_eq!(Place::of(&cgroupfs), container_of(UID, false));
    // Docker's own, of which no kubelet's runtime knows.
    assert!(matches!(Place::of(&outer), Place::Bare { inner: false, .. }));
}

/// Whoever may make cgroups in a container chooses their names.
#[test]
fn cgroups_below_a_container_belong_to_it() {
    let forged = format!("kubelet/kubepods/pod00000000-1111-4222-8333-444455556666/{}", ID.replace('a', "b"));
    for outer in ["/kubepods/besteffort", "/docker/kind/kubelet/kubepods"] {
        let outer = format!("{outer}/pod{UID}/{ID}");
        let path = format!("{outer}/{forged}");
        assert_eq!(Place::of(&path), container_of(UID, true));
        assert_eq!(Own::of(&path).map(|own| own.cgroup), Some(outer.as_str()));
    }
    assert_eq!(Place::of(&format!("/kubepods/pod{UID}/not-an-id/{forged}")), Place::Other);
}

#[test]
fn a_container_outside_of_any_pod_is_bare() {
    let container_id = ContainerId::parse(ID).unwrap();
    for parent in ["/k8s.io", "", "/custom/parent"] {
        let path = format!("{parent}/{ID}");
        let own = Some(Own { cgroup: &path, root: parent });
        assert_eq!((Place::of(&path), Own::of(&path)), (bare(false), own));
        assert_eq!(Place::of(&format!("{path}/init.scope")), bare(true));
    }
    assert_eq!(Place::of(&format!("/system.slice/crio-{ID}.scope")), bare(false));
    assert_eq!(Place::of(&format!("/system.slice/crio-conmon-{ID}.scope")), Place::Other);
    assert_eq!(bare(true).container_id(), Some(&container_id));
}

#[test]
fn the_root_is_the_same_for_all_containers_of_a_kubelet() {
    let slices = "kubelet.slice/kubelet-kubepods.slice";
    let pod = format!("pod{UID_}.slice/cri-containerd-{ID}.scope");
    for (path, root) in [
        (format!("/kubepods/pod{UID}/{ID}"), ""),
        (format!("/kubepods/burstable/pod{UID}/{ID}/inside"), ""),
        (format!("/a/b/kubepods/besteffort/pod{UID}/{ID}"), "/a/b"),
        (format!("/kubepods.slice/kubepods-{pod}"), ""),
        (format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-{pod}"), ""),
        (format!("/n/{slices}/kubelet-kubepods-{pod}"), "/n"),
        (format!("/n/{slices}/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-{pod}"), "/n"),
        (format!("/n/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}"), "/n"),
    ] {
        assert_eq!(Own::of(&path).map(|own| own.root), Some(root), "{path}");
    }
    assert_eq!(Own::of(&format!("/kubepods/pod{UID}")), None);
}

#[test]
fn static_pods_go_by_their_config_hash() {
    assert_eq!(Place::of(&format!("/kubepods/burstable/pod{HASH}/{ID}")), container_of(HASH, false));
    let systemd = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{HASH}.slice/crio-{ID}.scope"
    );
    assert_eq!(Place::of(&systemd), container_of(HASH, false));
}

#[test]
fn a_cgroup_below_a_container_is_inner() {
    let systemd = format!("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope/container");
    assert_eq!(Place::of(&systemd), container_of(UID, true));
    let cgroupfs = format!("/kubepods/pod{UID}/{ID}/system.slice/sshd.service");
    assert_eq!(Place::of(&cgroupfs), container_of(UID, true));
}

#[test]
fn monitors_are_no_containers() {
    let parent = format!("/kubepods.slice/kubepods-pod{UID_}.slice");
    assert_eq!(Place::of(&format!("{parent}/crio-conmon-{ID}.scope")), Place::Other);
    assert_eq!(Place::of(&format!("/kubepods/pod{UID}/crio-conmon-{ID}")), Place::Other);
    assert_eq!(Place::of(&format!("/kubepods/pod{UID}/crio-{ID}")), container_of(UID, false));
}

#[test]
fn a_runtime_without_systemd_joins_both_components() {
    let whole = format!("kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}");
    assert_eq!(Place::of(&format!("/system.slice/containerd.service/{whole}")), container_of(UID, false));
    assert_eq!(Place::of(&format!("/{whole}/inside")), container_of(UID, true));
    let plain = format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/{ID}");
    assert_eq!(Place::of(&plain), container_of(UID, false));
}

#[test]
fn a_path_that_only_looks_like_a_pods_is_none() {
    for path in [
        "",
        "/",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/podman-1234.scope",
        "/kubepods/pod",
        "/kubepods/guaranteed/pod78089609-1111-4222-8333-444455556666",
        "/kubepods.slice/kubepods-pod.slice",
        "/mykubepods-pod78089609.slice",
        "/kubepods/besteffort/pod78089609 1111",
    ] {
        assert_eq!(Place::of(path), Place::Other, "{path}");
    }
    let unknown = format!("/kubepods/pod{UID}/not-an-id");
    assert_eq!(Place::of(&unknown), Place::Other);
}

/// A path of either grammar, with what it means.
fn generated() -> impl Strategy<Value = (String, Place)> {
    let pod = prop_oneof!["[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[0-9a-f]{32}"];
    let qos = prop_oneof![Just(""), Just("burstable"), Just("besteffort")];
    let prefix = prop_oneof![Just(""), Just("kubelet"), Just("k3s")];
    let runtime = prop_oneof![Just("cri-containerd"), Just("crio"), Just("docker")];
    let inside = prop_oneof![Just(""), Just("/container"), Just("/init.scope")];
    (pod, qos, prefix, runtime, inside, "[0-9a-f]{64}", any::<bool>()).prop_map(
        |(pod, qos, prefix, runtime, inside, id, systemd)| {
            let path = if systemd {
                systemd_path(prefix, qos, &pod, runtime, &id)
            } else {
                let parents = [prefix, "kubepods", qos].into_iter().filter(|part| !part.is_empty());
                format!("/{}/pod{pod}/{id}", parents.collect::<Vec<_>>().join("/"))
            };
            let container_id = ContainerId::parse(&id).unwrap();
            let place = Place::Container { pod: PodRef::new(pod), container_id, inner: !inside.is_empty() };
            (path + inside, place)
        },
    )
}

fn systemd_path(prefix: &str, qos: &str, pod: &str, runtime: &str, id: &str) -> String {
    let pod = format!("pod{}", pod.replace('-', "_"));
    let steps = [prefix, "kubepods", qos, pod.as_str()].into_iter().filter(|step| !step.is_empty());
    let mut slice = String::new();
    let mut path = String::new();
    for step in steps {
        slice = if slice.is_empty() { step.to_owned() } else { format!("{slice}-{step}") };
        path += &format!("/{slice}.slice");
    }
    format!("{path}/{runtime}-{id}.scope")
}

proptest! {
    #[test]
    fn generated_paths_are_read_back((path, place) in generated()) {
        prop_assert_eq!(Place::of(&path), place);
    }

    #[test]
    fn no_string_panics(path in "\\PC*") {
        let _ = Place::of(&path);
    }

    #[test]
    fn no_string_of_the_grammars_pieces_panics(
        pieces in prop::collection::vec(
            prop_oneof![
                Just("kubepods".to_owned()), Just("-pod".to_owned()), Just(".slice".to_owned()), Just("/".to_owned()),
                Just(":".to_owned()), Just(".scope".to_owned()), Just("é".to_owned()), "[0-9a-f]{64}",
            ],
            0..12,
        ),
    ) {
        let _ = Place::of(&pieces.concat());
    }
}
