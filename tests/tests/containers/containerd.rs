//! A containerd of the test's own: its state in a temporary folder, its containers in cgroups of their own, and
//! nothing of it left at the end.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use debugtrail::{cgroup::Hierarchy, ids::ContainerId};
use tempfile::TempDir;

use crate::pod::Pod;

/// What a kubelet calls a pod's cgroup.
pub const POD_UID: &str = "0f9e8d7c-6b5a-4948-8372-615049382716";
const APPLETS: [&str; 5] = ["dd", "kill", "sh", "sleep", "true"];

/// In which mount namespace containerd runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    Shared,
    /// Its own, with its state on a file system that no other process sees.
    Private,
    /// Its own, where crun can run: it refuses a hybrid setup whose v2 side has a controller, used or not.
    ForCrun,
}

pub struct Containerd {
    process: Child,
    folder: TempDir,
    /// Of containers, whose processes must be gone before the folder is.
    pod: Pod,
}

impl Containerd {
    pub fn start(mounts: Mounts) -> Self {
        let folder = tempfile::Builder::new().prefix("dt-").tempdir_in("/tmp").expect("a temporary folder");
        rootfs(&folder.path().join("rootfs"));
        for name in ["state", "root"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        fs::write(folder.path().join("config.toml"), config_of(folder.path())).expect("the configuration");
        let process = spawn(folder.path(), mounts);
        let containerd = Self { process, folder, pod: Pod::of_environment() };
        containerd.await_ready();
        containerd
    }

    /// Stops it as its unit's `systemctl restart` does, leaving shims and containers alone, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.process = spawn(self.folder.path(), Mounts::Shared);
        self.await_ready();
    }

    /// Removes a container that has ended, where the `ctr` that ran it lost its containerd.
    pub fn remove(&self, id: &ContainerId) {
        for arguments in [["task", "delete", "--force"].as_slice(), &["container", "delete"]] {
            let mut ctr = self.ctr();
            let removed = ctr.args(arguments).arg(id.as_str()).output().expect("ctr");
            assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
        }
    }

    fn stop(&mut self) {
        // SAFETY: a plain system call, on a child that has not been waited for.
        unsafe { libc::kill(self.process.id() as i32, libc::SIGTERM) };
        let _ = self.process.wait();
    }

    /// Runs a container to its end; gives its id and the code that containerd reports.
    pub fn run(&self, name: &str, options: &[&str], command: &[&str]) -> (ContainerId, Option<i32>) {
        let id = new_id();
        let output = self.ctr_run(&id, name, options, command).output().expect("ctr");
        (id, output.status.code())
    }

    /// Starts a container; its end is awaited with [`Started::end`].
    pub fn start_container(&self, name: &str, command: &[&str]) -> Started {
        let id = new_id();
        let ctr = self.ctr_run(&id, name, &[], command).spawn().expect("ctr");
        Started { id, ctr }
    }

    /// Runs a command in a running container.
    pub fn exec(&self, id: &ContainerId, command: &[&str]) -> Output {
        let mut ctr = self.ctr();
        ctr.args(["task", "exec", "--exec-id", "e", id.as_str()]).args(command);
        ctr.stdin(Stdio::null()).output().expect("ctr")
    }

    fn ctr_run(&self, id: &ContainerId, name: &str, options: &[&str], command: &[&str]) -> Command {
        let mut ctr = self.ctr();
        ctr.args(["run", "--rm", "--rootfs", "--env", "PATH=/bin"]);
        ctr.args(self.pod.options(id));
        for (key, value) in [
            ("container-type", "container"),
            ("container-name", name),
            ("sandbox-name", "web"),
            ("sandbox-namespace", "default"),
            ("sandbox-uid", POD_UID),
        ] {
            ctr.args(["--annotation", &format!("io.kubernetes.cri.{key}={value}")]);
        }
        ctr.args(options).arg(self.folder.path().join("rootfs")).arg(id.as_str()).args(command);
        ctr.stdin(Stdio::null()).stdout(Stdio::null());
        ctr
    }

    /// The processes in the containers' cgroups.
    pub fn pids(&self) -> Vec<i32> {
        self.pod.pids()
    }

    fn ctr(&self) -> Command {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(self.folder.path().join("sock")).args(["--namespace", "k8s.io"]);
        ctr
    }

    fn await_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let ready = || self.ctr().arg("version").output().is_ok_and(|output| output.status.success());
        while !ready() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "containerd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A container that was started.
pub struct Started {
    pub id: ContainerId,
    ctr: Child,
}

impl Started {
    /// The code that containerd reports at its end.
    pub fn end(mut self) -> Option<i32> {
        self.ctr.wait().expect("ctr can be waited for").code()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // A test that failed may have left a container; its shim goes with its process.
        for pid in self.pod.pids() {
            // SAFETY: a plain system call, on a process of a container that this test made.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        self.stop();
        self.pod.remove();
        remove_empty_runtime_folders();
    }
}

/// containerd's shims and `ctr` have fixed places outside the state folder; what another containerd of this machine
/// keeps there stays.
fn remove_empty_runtime_folders() {
    for folder in ["fifo", "runc/k8s.io", "runc", "s", ""] {
        let _ = fs::remove_dir(Path::new("/run/containerd").join(folder));
    }
}

fn spawn(folder: &Path, mounts: Mounts) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("the log");
    let mut command = match mounts {
        Mounts::Shared => Command::new("containerd"),
        Mounts::Private => in_private_namespace("mount -t tmpfs state \"$0\"", &folder.join("state")),
        Mounts::ForCrun => {
            let controllers = Hierarchy::find().expect("a cgroup2 mount").file("/", "cgroup.controllers");
            in_private_namespace("case $0 in */unified/*) mount --bind /dev/null \"$0\";; esac", &controllers)
        }
    };
    command.arg("--config").arg(folder.join("config.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("the containers tier needs containerd")
}

fn config_of(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
        at("root"),
        at("state"),
        at("sock")
    )
}

/// `unshare --mount` and a line of shell about a path, then containerd in the same process.
fn in_private_namespace(script: &str, path: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg(format!("{script} && exec containerd \"$@\"")).arg(path);
    command
}

fn rootfs(root: &Path) {
    fs::create_dir_all(root.join("bin")).expect("a folder");
    fs::create_dir_all(root.join("proc")).expect("a folder");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("the containers tier needs busybox-static");
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).expect("a link");
    }
}

fn new_id() -> ContainerId {
    let mut bytes = [0u8; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).expect("random bytes");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    ContainerId::parse(&hex).expect("64 hex digits")
}
