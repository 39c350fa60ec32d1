//! Literal values that the session tests share.

use crate::cgroup::Place;
use crate::ids::{BootNanos, CgroupId, ContainerId, Pid, PodRef, PodUid};
use crate::kernel::event::{Args, Executed, Left, MemberEnded, Origin, Process};
use crate::kernel::{EndSeen, MainSeen, Members, Observation, Used};
use crate::pods::{ContainerFacts, ContainerStatus, EphemeralFacts, PodEvent, PodFacts, PodIndex};
use crate::record::WaitStatus;
use crate::runtime::{ContainerKind, ContainerMeta, RuntimeFacts};

pub(super) const UID: &str = "78089609-4f5d-4a7e-8b6e-6b2a3f1c0d9e";
pub(super) const CGROUP: CgroupId = CgroupId(77);

pub(super) fn id() -> ContainerId {
    ContainerId::parse("a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff")
        .expect("64 hex digits")
}

pub(super) fn path() -> String {
    format!("/kubepods/besteffort/pod{UID}/{}", id())
}

pub(super) fn place() -> Place {
    Place::of(&path())
}

pub(super) fn pod_ref() -> PodRef {
    PodRef::new(UID)
}

pub(super) fn seconds(seconds: u64) -> BootNanos {
    BootNanos(seconds * 1_000_000_000)
}

/// Pod `web` with the container `app`, the init container `init` and the ephemeral container `dbg`.
pub(crate) fn pod() -> PodFacts {
    PodFacts {
        uid: PodUid::new(UID),
        config_hash: None,
        namespace: "default".into(),
        name: "web".into(),
        containers: vec![ContainerFacts { name: "app".into(), image: Some("app:1".into()) }],
        init_containers: vec![ContainerFacts { name: "init".into(), image: None }],
        ephemeral_containers: vec![EphemeralFacts {
            name: "dbg".into(),
            image: Some("busybox:1".into()),
            target: Some("app".into()),
        }],
        debug: None,
        ending: None,
        statuses: Vec::new(),
    }
}

/// The pod with a status of this container that has the sample's id.
pub(super) fn with_status(mut pod: PodFacts, name: &str) -> PodFacts {
    pod.statuses.push(ContainerStatus {
        name: name.into(),
        container_id: Some(id().url("containerd")),
        image_id: None,
        restart_count: 0,
        state: None,
        last_state: None,
    });
    pod
}

/// The pod before it was debugged.
pub(super) fn pod_before() -> PodFacts {
    PodFacts { ephemeral_containers: Vec::new(), ..pod() }
}

/// An index that is synced since second 1.
pub(super) fn synced(pods: impl IntoIterator<Item = PodFacts>) -> PodIndex {
    let mut index = PodIndex::new();
    index.observe(PodEvent::RelistStarted, seconds(1));
    for pod in pods {
        index.observe(PodEvent::Listed(Box::new(pod)), seconds(1));
    }
    index.observe(PodEvent::RelistDone, seconds(1));
    index
}

pub(super) fn container_meta(name: &str) -> ContainerMeta {
    ContainerMeta {
        kind: ContainerKind::Container,
        container_name: Some(name.into()),
        pod_name: Some("web".into()),
        namespace: Some("default".into()),
        pod_uid: Some(PodUid::new(UID)),
        image: None,
        scheme: "containerd",
    }
}

pub(super) fn runtime(name: &str) -> Option<RuntimeFacts> {
    Some(RuntimeFacts {
        meta: container_meta(name),
        init_pid: Some(Pid(4242)),
        other_pids: false,
        to_start: false,
    })
}

pub(super) fn sandbox() -> Option<RuntimeFacts> {
    let meta = ContainerMeta { kind: ContainerKind::Sandbox, container_name: None, ..container_meta("") };
    Some(RuntimeFacts { meta, init_pid: None, other_pids: false, to_start: false })
}

/// The container's cgroup, made at second 10.
pub(super) fn made() -> Observation {
    Observation {
        cgroup: CGROUP,
        path: path(),
        created: seconds(10),
        entered: true,
        found_running: false,
        main: None,
        end: None,
        killer: None,
        last: None,
        removed: None,
        members: Members::default(),
        main_used: None,
        members_used: Used::default(),
    }
}

/// Its main process runs since second 11.
pub(super) fn running() -> Observation {
    let main = MainSeen {
        pid: Pid(4242),
        pid_in_container: Some(Pid(31)),
        forked: BootNanos(seconds(11).0 - 1),
        execed: Some(seconds(11)),
        comm: "sh".into(),
        exe: Some("/bin/busybox".into()),
    };
    Observation { main: Some(main), ..made() }
}

/// Its main process ended at second 21 with code 42.
pub(super) fn ended() -> Observation {
    let end = EndSeen { at: seconds(21), late: false, status: WaitStatus(42 << 8), oom_victim: false };
    Observation { end: Some(end), ..running() }
}

pub(super) fn removed(seen: Observation) -> Observation {
    Observation { removed: Some(seconds(22)), ..seen }
}

/// A process that a member forked ended with code 0.
pub(crate) fn member_ended(pid: u32) -> MemberEnded {
    MemberEnded {
        cgroup: made().cgroup,
        process: Process { pid: Pid(pid), forked: seconds(12) },
        pid_in_container: Some(Pid(33)),
        parent: Pid(4242),
        since: seconds(12),
        origin: Origin::Forked,
        left: Left::default(),
        ended: seconds(13),
        late: false,
        status: WaitStatus(0),
        max_rss_pages: Some(250),
        comm: "ls".into(),
    }
}

/// The same process executed a program.
pub(crate) fn program_executed(pid: u32, exe: &str) -> Executed {
    Executed {
        cgroup: made().cgroup,
        process: Process { pid: Pid(pid), forked: seconds(12) },
        at: BootNanos(seconds(12).0 + 1),
        exe: Some(exe.into()),
        args: Args::new(b"ls\0--token=x\0", 13),
    }
}
