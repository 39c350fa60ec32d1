//! Who killed a session, in a record's terms. Pure.

use super::cause::Stop;
use super::container::Container;
use crate::cgroup::Place;
use crate::kernel::{Killer, Sender};
use crate::record::{KernelKill, KilledBy, KillerPlace, OomLimit};

/// Daemons that run an OCI runtime themselves, and not by the containers' parents: CRI-O, whose containers are conmon's
/// children.
pub const DAEMONS: [&str; 1] = ["crio"];

/// Who sent the signal that ended it.
pub(super) fn killed_by(container: &Container) -> Option<KilledBy> {
    Some(match container.killer()? {
        Killer::Kernel(kernel) => by_kernel(*kernel, None),
        Killer::Oom(limit) => by_kernel(KernelKill::Oom, *limit),
        Killer::Process(sender) => KilledBy {
            pid: Some(sender.pid),
            comm: Some(sender.comm.clone()),
            place: place(sender, container),
            kernel: None,
            oom_limit: None,
        },
        Killer::Asked(_) => return None,
    })
}

fn by_kernel(kernel: KernelKill, oom_limit: Option<OomLimit>) -> KilledBy {
    KilledBy { pid: None, comm: None, place: None, kernel: Some(kernel), oom_limit }
}

/// Whether the runtime ended it.
pub(super) fn stop(container: &Container) -> Stop {
    match container.killer() {
        Some(Killer::Process(sender) | Killer::Asked(sender))
            if place(sender, container) == Some(KillerPlace::Runtime) =>
        {
            Stop::ByRuntime
        }
        Some(Killer::Kernel(kernel)) => Stop::of_kernel(*kernel),
        _ => Stop::No,
    }
}

/// Where the sender ran; `None` where its cgroup was gone before it was looked at.
fn place(sender: &Sender, container: &Container) -> Option<KillerPlace> {
    if container.cgroups().any(|own| own == sender.cgroup) {
        return Some(KillerPlace::Session);
    }
    Some(match Place::of(sender.cgroup_path.as_deref()?) {
        Place::Container { container_id, .. } if container_id == container.id => KillerPlace::Session,
        Place::Container { pod, .. } if Some(&pod) == container.pod().as_ref() => KillerPlace::Pod,
        Place::Bare { container_id, .. } if container_id == container.id => KillerPlace::Session,
        Place::Container { .. } | Place::Bare { .. } => KillerPlace::Host,
        // A shim may be in the pod's own cgroup.
        Place::Pod { .. } | Place::Other if is_runtime(sender) => KillerPlace::Runtime,
        Place::Pod { .. } | Place::Other => KillerPlace::Host,
    })
}

/// Whether it is the container's runtime: its parent (a shim or a monitor) and what that runs, or such a daemon. A name says
/// nothing: any process may choose it, and crun calls itself `3` before Linux 6.14. Another container's first process may
/// have the same parent, but lives in namespaces of its own.
fn is_runtime(sender: &Sender) -> bool {
    let daemon = sender.daemon.as_deref().is_some_and(|name| DAEMONS.contains(&name));
    !sender.kin.member && sender.kin.beside_parent && (sender.kin.of_parent || daemon)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{CGROUP, UID, ended, id, pod_ref, seconds};
    use super::*;
    use crate::ids::{CgroupId, Pid};
    use crate::kernel::{Kin, Observation};
    use crate::record::KernelKill;

    fn killed(killer: Option<Killer>) -> Option<KilledBy> {
        let mut container = Container::new(id(), Some(pod_ref()), seconds(10));
        container.observe(Observation { killer, ..ended() }, false, seconds(21));
        killed_by(&container)
    }

    /// `runc kill`, which the shim runs.
    const OF_SHIM: Kin = Kin { member: false, of_parent: true, beside_parent: true };

    fn sender(cgroup: u64, path: Option<&str>, comm: &str) -> Sender {
        Sender {
            pid: Pid(50),
            forked: seconds(9),
            comm: comm.into(),
            cgroup: CgroupId(cgroup),
            cgroup_path: path.map(Into::into),
            kin: Kin::default(),
            parent: None,
            daemon: None,
            at: seconds(21),
        }
    }

    fn place_of(cgroup: u64, path: Option<&str>, comm: &str) -> Option<KillerPlace> {
        place_of_kin(cgroup, path, comm, OF_SHIM)
    }

    fn place_of_kin(cgroup: u64, path: Option<&str>, comm: &str, kin: Kin) -> Option<KillerPlace> {
        let sender = Sender { kin, ..sender(cgroup, path, comm) };
        let killed = killed(Some(Killer::Process(sender))).expect("a sender");
        assert_eq!((killed.pid, killed.comm.as_deref(), killed.kernel), (Some(Pid(50)), Some(comm), None));
        killed.place
    }

    #[test]
    fn a_killer_in_the_sessions_cgroup_is_of_the_session() {
        assert_eq!(place_of(CGROUP.0, None, "sh"), Some(KillerPlace::Session));
        let below = format!("/kubepods/besteffort/pod{UID}/{}/inner", id());
        assert_eq!(place_of(1000, Some(&below), "runc"), Some(KillerPlace::Session));
    }

    #[test]
    fn a_killer_in_another_container_is_of_pod_or_host() {
        let other = "b".repeat(64);
        let pods = format!("/kubepods/besteffort/pod{UID}/{other}");
        assert_eq!(place_of(1000, Some(&pods), "sh"), Some(KillerPlace::Pod));
        let elsewhere = format!("/kubepods/pod11111111-4f5d-4a7e-8b6e-6b2a3f1c0d9e/{other}");
        assert_eq!(place_of(1000, Some(&elsewhere), "runc"), Some(KillerPlace::Host));
    }

    #[test]
    fn processes_of_the_main_processs_parent_are_the_runtime() {
        let pod = format!("/kubepods/besteffort/pod{UID}");
        for path in ["/system.slice/containerd.service", "/", &pod] {
            for comm in ["containerd-shim", "runc", "3"] {
                assert_eq!(place_of(1000, Some(path), comm), Some(KillerPlace::Runtime), "{comm} in {path}");
            }
        }
    }

    #[test]
    fn a_name_makes_no_runtime() {
        let beside = Kin { of_parent: false, ..OF_SHIM };
        // The first process of another container of the pod, which has the same shim, and came out of its cgroup.
        let sibling = Kin { beside_parent: false, ..OF_SHIM };
        let member = Kin { member: true, ..OF_SHIM };
        for kin in [beside, sibling, member, Kin::default()] {
            for comm in ["runc", "containerd-shim", "crio"] {
                assert_eq!(place_of_kin(1, Some("/"), comm, kin), Some(KillerPlace::Host), "{kin:?}");
            }
        }
    }

    #[test]
    fn a_runtimes_daemon_is_known_by_its_executable() {
        let stop_of = |daemon: Option<&str>, kin| {
            let runc = sender(1000, Some("/system.slice/crio.service"), "runc");
            let killer = Killer::Process(Sender { daemon: daemon.map(Into::into), kin, ..runc });
            killed(Some(killer)).and_then(|killed| killed.place)
        };
        let beside = Kin { of_parent: false, ..OF_SHIM };
        assert_eq!(stop_of(Some("crio"), beside), Some(KillerPlace::Runtime));
        assert_eq!(stop_of(None, beside), Some(KillerPlace::Host));
        assert_eq!(stop_of(Some("crio"), Kin::default()), Some(KillerPlace::Host));
        assert_eq!(stop_of(Some("crio"), Kin { member: true, ..beside }), Some(KillerPlace::Host));
    }

    #[test]
    fn an_unknown_place_is_none() {
        assert_eq!(place_of(1000, None, "runc"), None);
    }

    #[test]
    fn the_kernel_has_no_pid_and_no_place() {
        let oom_limit = Some(OomLimit::Pod);
        let oom = KilledBy { pid: None, comm: None, place: None, kernel: Some(KernelKill::Oom), oom_limit };
        assert_eq!(killed(Some(Killer::Oom(oom_limit))), Some(oom));
        assert_eq!(killed(None), None);
    }

    #[test]
    fn a_runtime_stop_is_a_kill_or_an_exit_on_request() {
        let stop_of = |killer: Option<Killer>| {
            let mut container = Container::new(id(), Some(pod_ref()), seconds(10));
            container.observe(Observation { killer, ..ended() }, false, seconds(21));
            (stop(&container), killed_by(&container).is_some())
        };
        let shim = sender(1000, Some("/system.slice/containerd.service"), "containerd-shim");
        let shim = Sender { kin: OF_SHIM, ..shim };
        assert_eq!(stop_of(Some(Killer::Process(shim.clone()))), (Stop::ByRuntime, true));
        assert_eq!(stop_of(Some(Killer::Asked(shim))), (Stop::ByRuntime, false));
        let host = sender(1000, Some("/user.slice"), "kill");
        assert_eq!(stop_of(Some(Killer::Asked(host))), (Stop::No, false));
        assert_eq!(stop_of(Some(Killer::Kernel(KernelKill::PidnsExit))), (Stop::Perhaps, true));
        assert_eq!(stop_of(None), (Stop::No, false));
    }
}
