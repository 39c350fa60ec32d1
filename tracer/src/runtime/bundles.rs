//! Where bundles are: the runtimes' well-known state directories, and those that running shims show.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bundle::{self, ContainerMeta};
use super::file::read_regular;
use super::shims::{Progress, Shim, Shims};
use crate::ids::{ContainerId, Pid};
use crate::pid_namespace;

/// containerd's state directories of the namespace `k8s.io`: plain, k3s and RKE2, k0s, MicroK8s.
const CONTAINERD: [&str; 4] = [
    "run/containerd/io.containerd.runtime.v2.task/k8s.io",
    "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
    "run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io",
    "var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/k8s.io",
];

/// CRI-O's, by container storage.
const CRIO: [&str; 2] =
    ["run/containers/storage/overlay-containers", "var/lib/containers/storage/overlay-containers"];

/// Where runc and crun keep what they know of a container: called by containerd's shim, and by CRI-O.
const OCI_STATE: [&str; 3] = ["run/containerd/runc/k8s.io", "run/runc", "run/crun"];

/// A `config.json` is some 10 to 100 KiB; what is larger than this is not read.
const LARGEST_CONFIG: u64 = 8 << 20;

/// A number and a line's end.
const LARGEST_PID: u64 = 32;

/// What the runtime says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// Who it is.
    pub meta: ContainerMeta,
    /// The runtime's init process of the container, once there is one; in the initial pid namespace.
    pub init_pid: Option<Pid>,
    /// The runtime is in another pid namespace than the initial one, so that its pids say nothing here.
    pub other_pids: bool,
    /// The OCI runtime has made the container and not started its program yet.
    pub to_start: bool,
}

/// A directory that has a bundle below it for every container.
#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    /// Between the container's id and the bundle's files.
    inside: &'static str,
    pid_file: &'static str,
}

/// Well-known places: only the node's root can make anything there.
#[derive(Debug, Clone)]
pub(super) struct Places {
    bundles: Vec<Place>,
    roots: Vec<PathBuf>,
    /// Whether pids in there are the kernel's. They are read in this process's pid namespace.
    our_pids: bool,
}

/// Looks up bundles, one after the other and for as long as it takes. The pipeline asks through
/// [`super::Lookups`].
#[derive(Debug)]
pub struct Bundles {
    pub(super) places: Places,
    pub(super) shims: Shims,
}

impl Default for Bundles {
    fn default() -> Self {
        Self::new()
    }
}

impl Bundles {
    /// Of this node: its root as seen from here and, from inside a container, as its init sees it.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same, and in the `given` folders of this node: each has a folder for every container.
    #[must_use]
    pub fn with(given: &[PathBuf]) -> Self {
        let mut roots = vec![PathBuf::from("/")];
        let mount_namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
        if mount_namespace("1") != mount_namespace("self") {
            roots.push("/proc/1/root".into());
        }
        Self::of(roots, "/proc".into(), given)
    }

    pub(super) fn of(roots: Vec<PathBuf>, proc: PathBuf, given: &[PathBuf]) -> Self {
        let given = || given.iter().map(PathBuf::as_path);
        let containerd = CONTAINERD.iter().map(Path::new).chain(given()).map(|path| (path, "", "init.pid"));
        let crio = CRIO.iter().map(Path::new).chain(given()).map(|path| (path, "userdata", "pidfile"));
        let patterns: Vec<FolderPattern<'_>> = containerd.chain(crio).collect();
        let places = |root: &PathBuf| -> Vec<Place> {
            patterns.iter().map(|pattern| Place::below(root, *pattern)).collect()
        };
        let bundles = roots.iter().flat_map(places).collect();
        let our_pids = pid_namespace::is_initial_of(&proc.join("self"));
        Self {
            places: Places { bundles, roots, our_pids },
            shims: Shims::new(proc, Arc::new(Progress::default())),
        }
    }

    /// Folders that hold bundles, or could: those of the well-known ones that exist, and those that shims show.
    #[must_use]
    pub fn folders(&mut self) -> Vec<PathBuf> {
        let well_known = self.places.bundles.iter().map(|place| place.directory.clone());
        let mut folders: Vec<PathBuf> = well_known.filter(|folder| folder.is_dir()).collect();
        folders.extend(self.shims.folders());
        folders.sort_unstable();
        folders.dedup();
        folders
    }

    /// What the runtime says of `id` now; `None` where it says nothing, or `id` is not Kubernetes'.
    ///
    /// Opens a few files where it finds something, and reads the names of all processes where not: ask again for an
    /// unknown id with pauses.
    pub fn lookup(&mut self, id: &ContainerId) -> Option<RuntimeFacts> {
        self.places.lookup(id).or_else(|| {
            self.shims.known(id).or_else(|| {
                self.shims.list();
                self.shims.known(id)
            })
        })
    }
}

impl Places {
    /// What a well-known place says of `id`.
    pub(super) fn lookup(&self, id: &ContainerId) -> Option<RuntimeFacts> {
        let place = self.bundles.iter().find(|place| place.has(id))?;
        let facts = facts(&place.bundle(id), self.our_pids.then_some(place.pid_file))?;
        Some(RuntimeFacts { to_start: self.roots.iter().any(|root| is_to_start(root, id)), ..facts })
    }
}

/// Directory below a root, `inside`, `pid_file`.
type FolderPattern<'a> = (&'a Path, &'static str, &'static str);

impl Place {
    fn below(root: &Path, (directory, inside, pid_file): FolderPattern<'_>) -> Self {
        // A given one begins at the node's root, which may be elsewhere here.
        let directory = root.join(directory.strip_prefix("/").unwrap_or(directory));
        Self { directory, inside, pid_file }
    }

    fn has(&self, id: &ContainerId) -> bool {
        self.bundle(id).join("config.json").exists()
    }

    fn bundle(&self, id: &ContainerId) -> PathBuf {
        self.directory.join(id.as_str()).join(self.inside)
    }
}

/// What the bundle beside a shim's own says.
pub(super) fn of_shim(shim: &Shim, id: &ContainerId) -> Option<RuntimeFacts> {
    let facts = facts(&shim.bundles().join(id.as_str()), shim.our_pids.then_some("init.pid"))?;
    Some(RuntimeFacts { to_start: is_to_start(&shim.process().join("root"), id), ..facts })
}

fn facts(bundle: &Path, pid_file: Option<&str>) -> Option<RuntimeFacts> {
    let config = read_regular(&bundle.join("config.json"), LARGEST_CONFIG).ok()?;
    let meta = bundle::parse(&config)?;
    let init_pid = pid_file.and_then(|name| read_regular(&bundle.join(name), LARGEST_PID).ok());
    let init_pid = init_pid.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok()).map(Pid);
    Some(RuntimeFacts { meta, init_pid, other_pids: pid_file.is_none(), to_start: false })
}

/// Whether `runc start` is still to come: until then there is a FIFO that the container's init process waits at.
fn is_to_start(root: &Path, id: &ContainerId) -> bool {
    let is_fifo = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    OCI_STATE.iter().any(|state| is_fifo(root.join(state).join(id.as_str()).join("exec.fifo")))
}

#[cfg(test)]
mod tests;
