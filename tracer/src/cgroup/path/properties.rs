//! Every way in which kubelets and runtimes write a path, put together at random and read back.

use proptest::prelude::*;

use super::*;

/// What is outside of the cluster's own cgroups: nothing, or the container that a whole node runs in.
#[derive(Debug, Clone, Copy)]
enum Outside {
    Nothing,
    /// kind on Docker with systemd, and without.
    DockerScope,
    Docker,
    /// A cluster in a pod of another cluster.
    Pod,
    /// k3s in a unit of its own.
    Unit,
}

/// What names the container below the pod.
#[derive(Debug, Clone, Copy)]
enum Runtime {
    Containerd,
    CriO,
    Docker,
    /// No prefix: a runtime with the cgroupfs driver.
    Bare,
}

#[derive(Debug, Clone)]
struct Made {
    outside: Outside,
    /// `--cgroup-root`, one step each; systemd repeats them in every component.
    prefix: Vec<&'static str>,
    qos: Option<&'static str>,
    pod: String,
    systemd: bool,
    runtime: Runtime,
    scope: bool,
    id: String,
    inside: &'static str,
}

const OTHER_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const OTHER_POD: &str = "11111111-2222-4333-8444-555566667777";

impl Made {
    fn outside(&self) -> String {
        match self.outside {
            Outside::Nothing => String::new(),
            Outside::DockerScope => format!("/system.slice/docker-{OTHER_ID}.scope"),
            Outside::Docker => format!("/docker/{OTHER_ID}"),
            Outside::Pod => {
                format!("/kubepods/besteffort/pod{OTHER_POD}/{OTHER_ID}")
            }
            Outside::Unit => "/system.slice/k3s.service".into(),
        }
    }

    fn pod(&self) -> String {
        let steps = self.prefix.iter().copied().chain(["kubepods"]).chain(self.qos);
        if !self.systemd {
            return format!("{}/{}/pod{}", self.outside(), steps.collect::<Vec<_>>().join("/"), self.pod);
        }
        let pod = format!("pod{}", self.pod.replace('-', "_"));
        let (mut path, mut slice) = (self.outside(), String::new());
        for step in steps.chain([pod.as_str()]) {
            slice = if slice.is_empty() { step.to_owned() } else { format!("{slice}-{step}") };
            path += &format!("/{slice}.slice");
        }
        path
    }

    fn own(&self) -> String {
        let name = match self.runtime {
            Runtime::Containerd => format!("cri-containerd-{}", self.id),
            Runtime::CriO => format!("crio-{}", self.id),
            Runtime::Docker => format!("docker-{}", self.id),
            Runtime::Bare => self.id.clone(),
        };
        if self.scope { name + ".scope" } else { name }
    }

    /// What a kubelet of systemd and a runtime without it make of the same: one component.
    fn joined(&self) -> String {
        let pod = self.pod();
        let slice = pod.rsplit('/').next().unwrap_or_default();
        format!("{}/{slice}:cri-containerd:{}{}", self.outside(), self.id, self.inside)
    }

    fn place(&self) -> Place {
        if matches!(self.outside, Outside::Pod) {
            return outer();
        }
        let container_id = ContainerId::parse(&self.id).unwrap();
        Place::Container { pod: PodRef::new(&self.pod), container_id, inner: !self.inside.is_empty() }
    }
}

/// Inside of the outer cluster's container.
fn outer() -> Place {
    let container_id = ContainerId::parse(OTHER_ID).unwrap();
    Place::Container { pod: PodRef::new(OTHER_POD), container_id, inner: true }
}

fn made() -> impl Strategy<Value = Made> {
    let outside = prop::sample::select(vec![
        Outside::Nothing,
        Outside::DockerScope,
        Outside::Docker,
        Outside::Pod,
        Outside::Unit,
    ]);
    let prefix = prop::collection::vec(prop::sample::select(vec!["kubelet", "k3s", "custom"]), 0..3);
    let qos = prop::sample::select(vec![None, Some("burstable"), Some("besteffort")]);
    let pod = prop_oneof!["[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[0-9a-f]{32}"];
    let runtime =
        prop::sample::select(vec![Runtime::Containerd, Runtime::CriO, Runtime::Docker, Runtime::Bare]);
    let inside = prop::sample::select(vec!["", "/container", "/init.scope", "/system.slice/sshd.service"]);
    (outside, prefix, qos, pod, any::<bool>(), runtime, any::<bool>(), "[0-9a-f]{64}", inside).prop_map(
        |(outside, prefix, qos, pod, systemd, runtime, scope, id, inside)| Made {
            outside,
            prefix,
            qos,
            pod,
            systemd,
            runtime,
            scope,
            id,
            inside,
        },
    )
}

proptest! {
    #[test]
    fn containers_are_read_back(made in made()) {
        prop_assert_eq!(Place::of(&format!("{}/{}{}", made.pod(), made.own(), made.inside)), made.place());
    }

    #[test]
    fn pods_are_read_back(made in made()) {
        let expected = match made.outside {
            Outside::Pod => outer(),
            _ => Place::Pod { pod: PodRef::new(&made.pod) },
        };
        prop_assert_eq!(Place::of(&made.pod()), expected);
    }

    #[test]
    fn its_own_cgroup_is_the_one_that_all_others_are_below(made in made()) {
        let own = format!("{}/{}", made.pod(), made.own());
        let path = format!("{own}{}", made.inside);
        let found = Own::of(&path).map(|own| (own.cgroup, own.root));
        let outside = made.outside();
        let root = format!("{outside}/{}", made.prefix.join("/"));
        // Of slices, those that lead to the pod's are part of what the kubelet makes.
        let root = if made.systemd { outside.as_str() } else { root.trim_end_matches('/') };
        match made.outside {
            Outside::Pod => prop_assert_eq!(found, Some((outside.as_str(), ""))),
            _ => prop_assert_eq!(found, Some((own.as_str(), root))),
        }
    }

    #[test]
    fn both_in_one_component_are_read_back(made in made().prop_map(|made| Made { systemd: true, ..made })) {
        prop_assert_eq!(Place::of(&made.joined()), made.place());
    }

    #[test]
    fn a_monitor_is_never_a_container(made in made()) {
        for scope in ["", ".scope"] {
            let path = format!("{}/crio-conmon-{}{scope}{}", made.pod(), made.id, made.inside);
            let expected = match made.outside {
                Outside::Pod => outer(),
                _ => Place::Other,
            };
            prop_assert_eq!(Place::of(&path), expected);
        }
    }

    #[test]
    fn a_cgroup_above_a_pod_is_not_that_pod(made in made()) {
        let pod = made.pod();
        let above = Place::of(&pod[..pod.rfind('/').unwrap_or_default()]);
        match made.outside {
            // To the outer cluster it is inside of a container.
            Outside::Pod => {
                let is_outer =
                    matches!(above, Place::Container { container_id, .. } if container_id.as_str() == OTHER_ID);
                prop_assert!(is_outer);
            }
            Outside::Docker | Outside::DockerScope => {
                let is_dockers =
                    matches!(above, Place::Bare { container_id, .. } if container_id.as_str() == OTHER_ID);
                prop_assert!(is_dockers);
            }
            Outside::Nothing | Outside::Unit => prop_assert_eq!(above, Place::Other),
        }
    }

    #[test]
    fn slashes_change_nothing(made in made()) {
        let path = format!("{}/{}{}", made.pod(), made.own(), made.inside);
        prop_assert_eq!(Place::of(path.trim_start_matches('/')), made.place());
        prop_assert_eq!(Place::of(&format!("{}/", path.replace('/', "//"))), made.place());
    }
}
