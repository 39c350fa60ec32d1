use super::*;
use crate::runtime::ContainerKind;

const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";
const CONFIG: &str = r#"{"annotations":{"io.kubernetes.cri.container-type":"container",
    "io.kubernetes.cri.container-name":"dbg","io.kubernetes.cri.sandbox-name":"web"}}"#;

fn id() -> ContainerId {
    ContainerId::parse(ID).unwrap()
}

/// A node's root with one bundle in it, and no processes.
fn node(bundle: &str, config: &str, pid: Option<(&str, &str)>) -> (tempfile::TempDir, Bundles) {
    let root = tempfile::tempdir().unwrap();
    let bundle = root.path().join(bundle);
    fs::create_dir_all(&bundle).unwrap();
    fs::write(bundle.join("config.json"), config).unwrap();
    if let Some((name, text)) = pid {
        fs::write(bundle.join(name), text).unwrap();
    }
    let proc = root.path().join("proc");
    fs::create_dir_all(proc.join("self/ns")).unwrap();
    std::os::unix::fs::symlink("pid:[4026531836]", proc.join("self/ns/pid")).unwrap();
    let bundles = Bundles::of(vec![root.path().to_owned()], proc, &["/srv/runtime".into()]);
    (root, bundles)
}

/// The node is a container (kind, k3d): the pids in its files are not the kernel's.
#[test]
fn pids_of_a_node_that_is_a_container_are_not_taken() {
    let place = CONTAINERD[0];
    let (root, mut bundles) = node(&format!("{place}/{ID}"), CONFIG, Some(("init.pid", "26623")));
    let facts = bundles.lookup(&id()).unwrap();
    assert_eq!((facts.init_pid, facts.other_pids), (Some(Pid(26623)), false));
    let (link, proc) = (root.path().join("proc/self/ns/pid"), root.path().join("proc"));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("pid:[4026532177]", link).unwrap();
    let mut bundles = Bundles::of(vec![root.path().to_owned()], proc, &[]);
    let facts = bundles.lookup(&id()).unwrap();
    assert_eq!((facts.init_pid, facts.other_pids), (None, true));
    assert_eq!(facts.meta.container_name.as_deref(), Some("dbg"));
}

#[test]
fn containerd_in_each_of_its_places() {
    for place in CONTAINERD {
        let (_root, mut bundles) = node(&format!("{place}/{ID}"), CONFIG, Some(("init.pid", "26623")));
        let facts = bundles.lookup(&id()).unwrap();
        assert_eq!(facts.init_pid, Some(Pid(26623)));
        assert_eq!(facts.meta.kind, ContainerKind::Container);
        assert_eq!(facts.meta.container_name.as_deref(), Some("dbg"));
    }
}

#[test]
fn crio_in_each_of_its_places() {
    for place in CRIO {
        let config = r#"{"annotations":{"io.kubernetes.cri-o.ContainerType":"sandbox"}}"#;
        let (_root, mut bundles) = node(&format!("{place}/{ID}/userdata"), config, Some(("pidfile", "31\n")));
        let facts = bundles.lookup(&id()).unwrap();
        assert_eq!((facts.init_pid, facts.meta.scheme), (Some(Pid(31)), "cri-o"));
    }
}

#[test]
fn before_the_runtime_wrote_its_pid() {
    let bundle = format!("{}/{ID}", CONTAINERD[0]);
    let (_root, mut bundles) = node(&bundle, CONFIG, None);
    assert_eq!(bundles.lookup(&id()).unwrap().init_pid, None);
    let (_root, mut bundles) = node(&bundle, CONFIG, Some(("init.pid", "")));
    assert_eq!(bundles.lookup(&id()).unwrap().init_pid, None);
}

#[test]
fn a_bundle_missing_or_not_of_kubernetes_is_none() {
    let (_root, mut bundles) = node("elsewhere", CONFIG, None);
    assert_eq!(bundles.lookup(&id()), None);
    let (_root, mut bundles) = node(&format!("{}/{ID}", CONTAINERD[0]), "{}", None);
    assert_eq!(bundles.lookup(&id()), None);
}

#[test]
fn a_given_folder_is_looked_into() {
    let (_root, mut bundles) = node(&format!("srv/runtime/{ID}"), CONFIG, Some(("init.pid", "7")));
    assert_eq!(bundles.lookup(&id()).and_then(|facts| facts.init_pid), Some(Pid(7)));
    let bundle = format!("srv/runtime/{ID}/userdata");
    let (_root, mut bundles) = node(&bundle, CONFIG, Some(("pidfile", "8")));
    assert_eq!(bundles.lookup(&id()).and_then(|facts| facts.init_pid), Some(Pid(8)));
}
