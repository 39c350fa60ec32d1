//! What was found, as values.

use std::path::PathBuf;

use crate::cli::exit_code::Failure;
use crate::clock::ClockState;
use crate::ids::Pid;
use crate::kernel::{Lack, Privileges};

/// All that is looked at. Nothing depends on anything else having been found.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What this process may do.
    pub privileges: Result<Privileges, String>,
    /// Whether pids mean the same here as in the kernel.
    pub initial_pid_namespace: bool,
    /// Whether the root of the pid namespace's init can be looked into: in a pod with the host's pids, the node's.
    pub init_root: Result<(), String>,
    /// `uname -r`.
    pub release: String,
    /// What the kernel lacks by its BTF.
    pub lacks: Result<Vec<Lack>, Problem>,
    /// Loading, attaching and detaching the programs.
    pub programs: Result<(), Problem>,
    /// The cgroup hierarchy.
    pub cgroups: Result<CgroupFacts, Problem>,
    /// Whether a BPF file system is mounted at `/sys/fs/bpf`.
    pub bpffs: bool,
    /// Where bundles of the runtimes are.
    pub bundles: Vec<PathBuf>,
    /// Debugtrails whose programs were in the kernel before.
    pub others: Result<Others, String>,
    /// The clock.
    pub clock: ClockState,
    /// The ledger's folder, where one is given.
    pub ledger: Option<LedgerFacts>,
    /// The cluster.
    pub cluster: ClusterFacts,
}

/// Something that failed, and of which kind that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub failure: Failure,
    /// `WHAT; HINT`, as every error says it.
    pub text: String,
}

/// A cgroup v2 mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupFacts {
    /// Where.
    pub mount: PathBuf,
    /// Which part of the hierarchy it shows; `/` or, out of a cgroup namespace, `/../..` for all of it.
    pub root: String,
    /// Whether v1 hierarchies are mounted beside it.
    pub hybrid: bool,
}

/// Other debugtrails on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// How many have their programs in the kernel.
    pub count: usize,
    /// The processes that hold them; a pinned program needs none.
    pub pids: Vec<Pid>,
}

/// The folder that the ledger is or will be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerFacts {
    /// The folder.
    pub folder: PathBuf,
    /// Whether a file could be written there and made durable; or above, where the folder is still to be made.
    pub written: Result<(), String>,
    /// Free bytes for this process.
    pub free_bytes: Option<u64>,
}

/// What the API server said. `None`: not asked, since there was no way to it or no node to ask of.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The configuration.
    pub client: Option<Result<(), Problem>>,
    /// The API server's version.
    pub version: Option<Result<String, Problem>>,
    /// This node.
    pub node: Option<Result<NodeFound, Problem>>,
    /// Listing this node's pods.
    pub list_pods: Option<Result<(), Problem>>,
    /// Watching them.
    pub watch_pods: Option<Result<(), Problem>>,
    /// Its `RuntimeClass`es.
    pub runtime_classes: Option<Result<Vec<RuntimeClassFound>, Problem>>,
}

/// The node object of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFound {
    /// Its name.
    pub name: String,
    /// Such as `containerd://1.6.20`; empty where the kubelet has not reported it.
    pub runtime: String,
    /// Why it could not be checked that this machine is that node: the name is believed.
    pub unchecked: Option<String>,
}

/// A `RuntimeClass`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeClassFound {
    /// What pods call it.
    pub name: String,
    /// What the runtime's configuration calls it.
    pub handler: String,
}
