//! Who a container is, as the runtime says.

use std::time::{Duration, Instant};

use debugtrail::{
    ids::{ContainerId, PodUid},
    runtime::{Bundles, ContainerKind},
};

use crate::{
    containerd::{Containerd, Mounts, POD_UID},
    watcher::{Known, PATIENCE, Watcher},
};

#[track_caller]
fn assert_named(known: &Known, name: &str) {
    let meta = &known.runtime.as_ref().unwrap_or_else(|| panic!("the bundle was not read: {known:#?}")).meta;
    assert_eq!((meta.kind, meta.scheme), (ContainerKind::Container, "containerd"));
    assert_eq!(meta.container_name.as_deref(), Some(name));
    assert_eq!((meta.pod_name.as_deref(), meta.namespace.as_deref()), (Some("web"), Some("default")));
    assert_eq!(meta.pod_uid.as_ref().map(PodUid::as_str), Some(POD_UID));
}

fn names_a_session(mounts: Mounts, options: &[&str]) {
    let containerd = Containerd::start(mounts);
    let mut watcher = Watcher::new();
    let (id, code) = watcher.during(|| containerd.run("dbg", options, &["sh", "-c", "sleep 0.2; exit 42"]));
    assert_eq!(code, Some(42));
    let known = watcher.ended(&id);
    assert_named(&known, "dbg");
    let init = known.runtime.as_ref().and_then(|facts| facts.init_pid);
    let seen = known.seen.expect("seen");
    assert_eq!(init, seen.main.map(|main| main.pid), "the runtime's init process is the main process");
    assert_eq!(seen.end.map(|end| end.status.0), Some(42 << 8));
}

#[test]
fn containerd_with_a_state_folder_of_its_own() {
    names_a_session(Mounts::Shared, &[]);
}

#[test]
fn containerd_in_a_private_mount_namespace() {
    names_a_session(Mounts::Private, &[]);
}

#[test]
fn crun_in_place_of_runc() {
    names_a_session(Mounts::ForCrun, &["--runc-binary", "crun"]);
}

#[test]
fn a_container_that_lives_a_moment_is_named() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    for n in 0..10 {
        let name = format!("moment-{n}");
        let (id, code) = watcher.during(|| containerd.run(&name, &[], &["true"]));
        assert_eq!(code, Some(0));
        let known = watcher.ended(&id);
        assert_named(&known, &name);
        let seen = known.seen.expect("seen");
        let (main, end) = (seen.main.expect("its main process"), seen.end.expect("its end"));
        assert!(end.at > main.execed.expect("its exec"));
    }
}

#[test]
fn several_at_once_each_have_their_own_name() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let ran: Vec<(ContainerId, i32)> = watcher.during(|| {
        let started: Vec<_> = (1..=4)
            .map(|code| {
                let command = format!("sleep 0.3; exit {code}");
                (containerd.start_container(&format!("dbg-{code}"), &["sh", "-c", &command]), code)
            })
            .collect();
        started
            .into_iter()
            .map(|(started, code)| {
                let id = started.id.clone();
                assert_eq!(started.end(), Some(code));
                (id, code)
            })
            .collect()
    });
    for (id, code) in ran {
        let known = watcher.ended(&id);
        assert_named(&known, &format!("dbg-{code}"));
        assert_eq!(known.seen.and_then(|seen| seen.end).map(|end| end.status.0), Some(code << 8));
    }
}

/// The environment says by which driver.
#[test]
fn a_container_is_in_the_cgroup_of_its_pod() {
    let containerd = Containerd::start(Mounts::Shared);
    let mut watcher = Watcher::new();
    let id = watcher.during(|| {
        let started = containerd.start_container("dbg", &["sleep", "300"]);
        let is_inside = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sleep")
        };
        let deadline = Instant::now() + PATIENCE;
        let main = loop {
            if let Some(main) = containerd.pids().into_iter().find(is_inside) {
                break main;
            }
            assert!(Instant::now() < deadline, "no main process in the pod's cgroup");
            std::thread::sleep(Duration::from_millis(20));
        };
        // SAFETY: a plain system call, on a process of a container that this test made.
        unsafe { libc::kill(main, libc::SIGKILL) };
        let id = started.id.clone();
        assert_eq!(started.end(), Some(137));
        id
    });
    assert_named(&watcher.ended(&id), "dbg");
}

#[test]
fn a_container_that_no_runtime_knows_has_no_name() {
    let id = ContainerId::parse(&"0".repeat(64)).expect("64 hex digits");
    assert_eq!(Bundles::new().lookup(&id), None);
}
