//! Where the cluster keeps its files, and the names of what it has in the kernel, which all can see.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::repo;

/// The name of the only node.
pub(super) const NODE_NAME: &str = "debugtrail-node";
/// The cgroup, in every hierarchy, below which all of the cluster's processes live. The kubelet
/// makes its `kubepods` in it, so that a real node's `/kubepods` is never touched.
pub(super) fn cgroup() -> String {
    format!("debugtrail-{:08x}", tag(env!("CARGO_MANIFEST_DIR")))
}

/// The network link from the machine to the node. At most 15 bytes, as the kernel has it.
pub(super) fn link() -> String {
    format!("dtrail-{:08x}", tag(env!("CARGO_MANIFEST_DIR")))
}

/// Distinguishes this checkout's cgroup and link from another's (FNV-1a): both may have a cluster.
const fn tag(path: &str) -> u32 {
    let (bytes, mut hash, mut next) = (path.as_bytes(), 0x811c_9dc5_u32, 0);
    while next < bytes.len() {
        hash = (hash ^ bytes[next] as u32).wrapping_mul(0x0100_0193);
        next += 1;
    }
    hash
}

/// The longest path that `connect(2)` takes, less the longest suffix we add (`containerd.sock.ttrpc`).
const LONGEST_FOLDER: usize = 107 - "/containerd.sock.ttrpc".len();

/// Paths below `target/cluster`.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The paths of this checkout.
    pub(super) fn new() -> Self {
        Self { root: repo::target().join("cluster") }
    }

    /// Unix sockets have short names: says so before anything fails on it.
    pub(super) fn check(&self) -> Result<()> {
        let length = self.root.as_os_str().len();
        ensure!(
            length <= LONGEST_FOLDER,
            "{} is too long for a Unix socket in it ({length} bytes, at most {LONGEST_FOLDER}): \
             move the checkout to a shorter path",
            self.root.display()
        );
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What is written here outlives the cluster, for a look at what went wrong.
    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Everything else: gone after `down`.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Held by the process that owns the cluster.
    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.root.join("processes.json")
    }

    pub(super) fn init_socket(&self) -> PathBuf {
        self.root.join("init.sock")
    }

    pub(super) fn containerd_socket(&self) -> PathBuf {
        self.root.join("containerd.sock")
    }

    pub(super) fn cri_o_socket(&self) -> PathBuf {
        self.root.join("crio.sock")
    }

    /// Bound over `/run/containers`.
    pub(super) fn cri_o_run_storage(&self) -> PathBuf {
        self.data().join("run-containers")
    }

    /// Has a folder with a bundle for each container.
    pub(super) fn cri_o_bundles(&self) -> PathBuf {
        self.cri_o_run_storage().join("storage/overlay-containers")
    }

    /// Bound over `/run/containerd`: shims hard-code that path.
    pub(super) fn containerd_state(&self) -> PathBuf {
        self.data().join("run-containerd")
    }

    pub(super) fn containerd_root(&self) -> PathBuf {
        self.data().join("containerd")
    }

    /// A copy of xtask, so that rebuilding it does not pull the file from under a running cluster.
    pub(super) fn xtask(&self) -> PathBuf {
        self.data().join("bin").join("xtask")
    }

    /// runc with OCI hooks added.
    pub(super) fn hooked_runc(&self) -> PathBuf {
        self.data().join("bin").join("runc-hooked")
    }

    pub(super) fn config(&self, name: &str) -> PathBuf {
        self.data().join("config").join(name)
    }

    pub(super) fn cni_config(&self) -> PathBuf {
        self.data().join("config").join("cni")
    }

    /// Manifests of static pods.
    pub(super) fn static_pods(&self) -> PathBuf {
        self.data().join("static-pods")
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.config("admin.kubeconfig")
    }

    /// HOME of our kubectl, which caches there.
    pub(super) fn home(&self) -> PathBuf {
        self.data().join("home")
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.data().join("etcd")
    }

    pub(super) fn images(&self) -> PathBuf {
        self.data().join("images")
    }

    /// The DaemonSet's `/var/lib/debugtrail`.
    pub(super) fn ledger(&self) -> PathBuf {
        self.data().join("ledger")
    }

    /// What is bound over the machine's folders in the cluster's mount namespace whatever the container runtime: (ours,
    /// theirs).
    pub(super) fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        let bind = |ours: &str, theirs: &str| (self.data().join(ours), PathBuf::from(theirs));
        vec![
            bind("run-netns", "/run/netns"),
            bind("cni", "/var/lib/cni"),
            bind("kubelet", "/var/lib/kubelet"),
            bind("log-pods", "/var/log/pods"),
            bind("log-containers", "/var/log/containers"),
            (self.ledger(), PathBuf::from("/var/lib/debugtrail")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkouts_have_names_of_their_own() {
        assert_eq!(tag(""), 0x811c_9dc5, "the offset basis of FNV-1a");
        assert_eq!(tag("a"), 0xe40c_292c);
        assert!(link().len() <= 15);
    }
}
