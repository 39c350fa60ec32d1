//! A real single-node Kubernetes inside `target/cluster`: etcd, kube-apiserver, controller
//! manager, scheduler, kubelet, kube-proxy and a container runtime of its own, in a mount and a network
//! namespace of its own.
//!
//! The way of a cluster: `up` takes the lock, starts `guard` and `init`; init starts the
//! components and adopts what they leave behind; `teardown` kills and removes what carries the
//! cluster's names (`paths`), whoever calls it: the owner, Ctrl-C, the guard, or the next `up`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

mod access;
mod cgroups;
pub mod chores;
mod components;
mod control;
mod guard;
mod images;
mod init;
pub mod internal;
mod leftovers;
mod mount_space;
mod network;
mod oci;
mod oci_runtime;
mod ownership;
mod part;
mod paths;
mod process;
mod runtime;
mod state;
mod teardown;
mod up;
mod wait;

use network::Network;
use paths::Paths;
use process::ProcessId;
use state::State;

pub use images::BUSYBOX_IMAGE;
pub use part::make_whole;
use part::{Part, Step};
pub use runtime::Runtime;

/// How long the guard may take to clean up after an owner that died.
const GUARD_PATIENCE: Duration = Duration::from_secs(60);

/// How to start the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave it running when the owner drops it or ends.
    pub keep: bool,
    /// What its kubelet runs containers with.
    pub runtime: Runtime,
    /// Its kubelet makes no cgroups of pods (`cgroupsPerQOS: false`).
    pub without_pod_cgroups: bool,
}

/// A running cluster. Dropping it takes it down, unless it is kept or only attached to; a guard
/// process does so where the owner dies without dropping it.
#[derive(Debug)]
pub struct Cluster {
    paths: Paths,
    runtime: Runtime,
    kubeconfig: PathBuf,
    owner: Option<up::Owner>,
}

impl Cluster {
    /// Starts a cluster and returns when its node is Ready and pods can be made. Needs `setup::for_cluster`.
    /// Waits for another process that has a cluster to end it.
    ///
    /// # Errors
    /// When a kept one is up already, a part is missing, or something does not start.
    pub fn up(options: &Options) -> Result<Self> {
        let paths = Paths::new();
        let owner = up::run(&paths, *options)?;
        let owner = if options.keep { keep(&paths, owner)? } else { Some(owner) };
        Ok(Self { kubeconfig: paths.kubeconfig(), paths, runtime: options.runtime, owner })
    }

    /// The cluster that `cargo xtask cluster up` left running, if there is one.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn attach() -> Result<Option<Self>> {
        let paths = Paths::new();
        let up = |state: &State| state.kept && state.ready && state.init.is_some_and(ProcessId::alive);
        let Some(State { runtime, .. }) = State::load(&paths)?.filter(up) else { return Ok(None) };
        Ok(Some(Self { kubeconfig: paths.kubeconfig(), paths, runtime, owner: None }))
    }

    /// Admin access to the API.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Our own kubectl on this cluster, with nothing inherited from the user's environment.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        wait::kubectl(&self.paths)
    }

    /// The name of the only node.
    #[must_use]
    pub const fn node_name(&self) -> &'static str {
        paths::NODE_NAME
    }

    /// The cgroup above `kubepods`, in every hierarchy, with the leading slash.
    #[must_use]
    pub fn cgroup_root(&self) -> String {
        format!("/{}", paths::cgroup())
    }

    /// What its kubelet runs containers with.
    #[must_use]
    pub const fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// The runtime's socket, as a path (no `unix://`).
    #[must_use]
    pub fn runtime_socket(&self) -> PathBuf {
        self.runtime.socket(&self.paths)
    }

    /// The folder of the runtime's bundles as seen from the machine, where debugtrail has to be given it.
    #[must_use]
    pub fn bundles(&self) -> Option<PathBuf> {
        self.runtime.bundles(&self.paths)
    }

    /// The copy of xtask that the cluster runs with; it knows this cluster.
    #[must_use]
    pub fn xtask(&self) -> PathBuf {
        self.paths.xtask()
    }

    /// containerd's state directory as seen from the machine, which holds the bundles below
    /// `io.containerd.runtime.v2.task/k8s.io/ID`. containerd itself sees it at `/run/containerd`.
    #[must_use]
    pub fn containerd_state(&self) -> PathBuf {
        self.paths.containerd_state()
    }

    /// Where the kubelet looks for static pods: each manifest in here is a pod of the node. The kubelet
    /// learns of changes by inotify and passes over files whose name begins with a dot.
    #[must_use]
    pub fn static_pods(&self) -> PathBuf {
        self.paths.static_pods()
    }

    /// The node's `/var/lib/debugtrail` as seen from the machine.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.paths.ledger()
    }

    /// Makes an image known to the node, as a registry would: an OCI archive with this full name in it.
    ///
    /// # Errors
    /// When the runtime does not take it.
    pub fn import_image(&self, archive: &Path, name: &str) -> Result<()> {
        self.runtime.import(&self.paths, archive, name)
    }

    /// Makes an image of a folder and hands it to the runtime; pods take it with imagePullPolicy Never.
    ///
    /// # Errors
    /// When it cannot be packed, or the runtime does not take it.
    pub fn add_image(&self, name: &str, rootfs: &Path, command: &[&str]) -> Result<()> {
        let archive = images::pack(&self.paths, name, rootfs, command)?;
        self.import_image(&archive, name)
    }

    /// The pid of a component (`kubelet`, `containerd`, `kube-apiserver`, ...) while it runs.
    ///
    /// # Errors
    /// When the cluster is gone.
    pub fn component_pid(&self, name: &str) -> Result<Option<i32>> {
        let state = control::load(&self.paths)?;
        let process = state.components.get(name).and_then(|component| component.process);
        Ok(process.filter(|process| process.alive()).map(ProcessId::pid))
    }

    /// Kills kube-apiserver; etcd keeps its data.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_api_server(&self) -> Result<()> {
        // SIGKILL: asked politely it waits for its watches to end.
        control::stop(&self.paths, "kube-apiserver", Signal::KILL)
    }

    /// Starts kube-apiserver again on the same port and data, and waits until it is ready. Its
    /// watch cache is new: a watch that resumes from before the stop gets 410 Gone.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_api_server(&self) -> Result<()> {
        control::start(&self.paths, "kube-apiserver")?;
        wait::for_api_server(&self.paths)
    }

    /// Writes to etcd and compacts it to the revision of that write, which is newer than all that any watch has
    /// seen: a watch that resumes from before gets 410 Gone. A running API server's watch cache still serves what it
    /// remembers: compact while the API server is stopped to have the 410 for sure.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub fn compact(&self) -> Result<()> {
        let server = components::etcd_server(self.network()?);
        let post = |path: &str, body: &str| {
            let mut kubectl = self.kubectl();
            kubectl.args(["--server", &server, "create", "--raw", path, "-f", "-"]);
            wait::create(&mut kubectl, body).context("etcd does not answer")
        };
        // The key "compacted" (base64, as etcd's gateway wants it) is none of the API server's, which has /registry.
        let answer: serde_json::Value =
            serde_json::from_str(&post("/v3/kv/put", r#"{"key":"Y29tcGFjdGVk"}"#)?)?;
        let revision = answer["header"]["revision"].as_str().context("etcd gave no revision")?;
        post("/v3/kv/compaction", &format!(r#"{{"revision":"{revision}","physical":true}}"#))?;
        Ok(())
    }

    /// Stops the kubelet; containers run on.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_kubelet(&self) -> Result<()> {
        Part::Kubelet.take(Step::Stop, &self.paths)
    }

    /// Starts the kubelet again and waits until the node is Ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_kubelet(&self) -> Result<()> {
        Part::Kubelet.take(Step::Start, &self.paths)
    }

    /// Stops the container runtime; shims and containers run on.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_runtime(&self) -> Result<()> {
        Part::Runtime.take(Step::Stop, &self.paths)
    }

    /// Starts the container runtime again and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_runtime(&self) -> Result<()> {
        Part::Runtime.take(Step::Start, &self.paths)
    }

    fn network(&self) -> Result<Network> {
        control::load(&self.paths)?.network.context("the embedded cluster has no network yet")
    }

    /// Takes everything down and checks that nothing is left; also a kept one.
    ///
    /// # Errors
    /// When something of ours is still there; the error lists it.
    pub fn down(mut self) -> Result<()> {
        let Some(owner) = self.owner.take() else { return take_down() };
        teardown::run(&self.paths)?;
        owner.cleanup.disarm();
        Ok(())
    }
}

/// Takes down a cluster that no living process owns.
///
/// # Errors
/// When a living process owns it, or something is left.
pub fn take_down() -> Result<()> {
    let paths = Paths::new();
    let _lock = ownership::take_now(&paths)?;
    teardown::run(&paths)
}

/// What is still there of a cluster: processes, mounts, cgroups, links, files. Empty after `down`.
///
/// # Errors
/// When /proc or the cgroup tree cannot be read.
pub fn leftovers() -> Result<Vec<String>> {
    leftovers::list()
}

/// Waits, bounded, until the guard of an owner that has ended is done.
///
/// # Errors
/// When the state cannot be read.
pub fn settle() -> Result<()> {
    let paths = Paths::new();
    let Some(guard) = State::load(&paths)?.and_then(|state| state.guard) else { return Ok(()) };
    crate::poll::until(GUARD_PATIENCE, || !guard.alive());
    Ok(())
}

/// Lets the cluster outlive us: it is not taken down any more, and has no owner.
fn keep(paths: &Paths, owner: up::Owner) -> Result<Option<up::Owner>> {
    let _gate = control::start_gate()?;
    let mut state = control::load(paths)?;
    state.kept = true;
    let guard = state.guard.take();
    state.save(paths)?;
    owner.cleanup.disarm();
    drop(owner.guard);
    if let Some(guard) = guard {
        // It sees that the cluster is kept as soon as it gets the lock, and ends.
        guard.end(Signal::KILL, GUARD_PATIENCE)?;
    }
    Ok(None)
}
