use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const ALL_CAPABILITIES: &str = "000001ffffffffff";
/// What Docker and Kubernetes give a container by default.
const A_CONTAINERS: &str = "00000000a80425fb";

/// Entries of a `/proc` that stands in a directory of its own.
struct Proc(TempDir);

impl Proc {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A process like this one, but for name, capabilities and working directory.
    fn process(&self, pid: u32, comm: &str, capabilities: &str, cwd: &Path) {
        let entry = self.0.path().join(pid.to_string());
        fs::create_dir_all(entry.join("ns")).unwrap();
        fs::write(entry.join("comm"), format!("{comm}\n")).unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let with_capabilities = |line: &str| match line.split_once('\t') {
            Some(("CapEff:", _)) => format!("CapEff:\t{capabilities}\n"),
            _ => format!("{line}\n"),
        };
        let status: String = status.lines().map(with_capabilities).collect();
        fs::write(entry.join("status"), status).unwrap();
        fs::copy("/proc/self/stat", entry.join("stat")).unwrap();
        fs::write(entry.join("cgroup"), "0::/system.slice/containerd.service\n").unwrap();
        symlink(fs::read_link("/proc/self/ns/user").unwrap(), entry.join("ns/user")).unwrap();
        symlink("pid:[4026531836]", entry.join("ns/pid")).unwrap();
        symlink(cwd, entry.join("cwd")).unwrap();
    }

    fn namespace(&self, pid: u32, namespace: &str) {
        let link = self.0.path().join(pid.to_string()).join("ns").join(namespace);
        fs::remove_file(&link).unwrap();
        symlink(format!("{namespace}:[1]"), link).unwrap();
    }

    fn running(&self) -> Vec<Shim> {
        running(self.0.path(), &Progress::default())
    }

    fn shim(&self, pid: u32, our_pids: bool) -> Shim {
        let process = self.0.path().join(pid.to_string());
        Shim { since: since(&process).unwrap(), process, our_pids }
    }
}

/// A state directory with the bundles `a` and `b`.
fn state() -> TempDir {
    let state = tempfile::tempdir().unwrap();
    fs::create_dir(state.path().join("a")).unwrap();
    fs::create_dir(state.path().join("b")).unwrap();
    state
}

#[test]
fn one_shim_stands_for_all_of_a_state_directory() {
    let (proc, state, other) = (Proc::new(), state(), state());
    proc.process(10, "containerd-shim", ALL_CAPABILITIES, &state.path().join("a"));
    proc.process(11, "containerd-shim", ALL_CAPABILITIES, &state.path().join("b"));
    proc.process(12, "containerd-shim", ALL_CAPABILITIES, &other.path().join("b"));
    proc.process(13, "containerd", ALL_CAPABILITIES, &other.path().join("a"));
    assert_eq!(proc.running().len(), 2);
}

#[test]
fn the_way_leads_beside_the_shims_own_bundle() {
    let (proc, state) = (Proc::new(), state());
    proc.process(10, "containerd-shim", ALL_CAPABILITIES, &state.path().join("a"));
    let found = proc.running();
    assert_eq!(found, [proc.shim(10, true)]);
    assert!(found[0].bundles().join("b").is_dir());
}

#[test]
fn pids_of_another_namespace_are_not_ours() {
    let (proc, state) = (Proc::new(), state());
    proc.process(10, "containerd-shim", ALL_CAPABILITIES, &state.path().join("a"));
    proc.namespace(10, "pid");
    assert_eq!(proc.running(), [proc.shim(10, false)]);
}

#[test]
fn a_container_process_named_like_a_shim_is_not_trusted() {
    let (proc, state) = (Proc::new(), state());
    proc.process(10, "containerd-shim", A_CONTAINERS, &state.path().join("a"));
    assert_eq!(proc.running(), []);
}

#[test]
fn a_shim_in_a_pods_container_is_not_trusted() {
    let (proc, state) = (Proc::new(), state());
    proc.process(10, "containerd-shim", ALL_CAPABILITIES, &state.path().join("a"));
    let cgroup = format!("0::/kubepods/pod78089609/{}\n", "a".repeat(64));
    fs::write(proc.0.path().join("10/cgroup"), cgroup).unwrap();
    assert_eq!(proc.running(), []);
}

#[test]
fn a_pid_of_another_process_is_no_longer_trusted() {
    let (proc, state) = (Proc::new(), state());
    proc.process(10, "containerd-shim", ALL_CAPABILITIES, &state.path().join("a"));
    let found = proc.running();
    assert!(found[0].lives());
    fs::write(proc.0.path().join("10/comm"), "sh\n").unwrap();
    assert!(!found[0].lives());
}

#[test]
fn a_root_of_another_user_namespace_is_not_trusted() {
    let (proc, state) = (Proc::new(), state());
    proc.process(10, "containerd-shim", ALL_CAPABILITIES, &state.path().join("a"));
    proc.namespace(10, "user");
    assert_eq!(proc.running(), []);
}

#[test]
fn processes_without_readable_files_are_passed_over() {
    let proc = Proc::new();
    fs::create_dir(proc.0.path().join("10")).unwrap();
    fs::write(proc.0.path().join("uptime"), "1 1").unwrap();
    assert_eq!(proc.running(), []);
    assert_eq!(running(&proc.0.path().join("missing"), &Progress::default()), []);
}
