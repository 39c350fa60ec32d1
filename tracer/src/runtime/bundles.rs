//! Where bundles are: the runtimes' well-known state directories, and those that running shims show.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::bundle::{self, ContainerMeta};
use super::shims::{self, Shim};
use crate::ids::{ContainerId, Pid};

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

/// A `config.json` is some 10 to 100 KiB; what is larger than this is not read.
const LARGEST_CONFIG: u64 = 8 << 20;

/// What the runtime says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// Who it is.
    pub meta: ContainerMeta,
    /// The runtime's init process of the container, once there is one; in the initial pid namespace.
    pub init_pid: Option<Pid>,
}

/// A directory that has a bundle below it for every container.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    /// Between the container's id and the bundle's files.
    inside: &'static str,
    pid_file: &'static str,
}

/// Looks up bundles. Remembers the shims that led to one.
#[derive(Debug)]
pub struct Bundles {
    well_known: Vec<Place>,
    proc: PathBuf,
    shims: Vec<Shim>,
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

    /// The same, and in folders of this node that the caller was told of: each has a folder for every container.
    #[must_use]
    pub fn with(told: &[PathBuf]) -> Self {
        let mut roots = vec![PathBuf::from("/")];
        let mount_namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
        if mount_namespace("1") != mount_namespace("self") {
            roots.push("/proc/1/root".into());
        }
        Self::of(&roots, "/proc".into(), told)
    }

    fn of(roots: &[PathBuf], proc: PathBuf, told: &[PathBuf]) -> Self {
        let told = || told.iter().map(PathBuf::as_path);
        let containerd = CONTAINERD.iter().map(Path::new).chain(told()).map(|path| (path, "", "init.pid"));
        let crio = CRIO.iter().map(Path::new).chain(told()).map(|path| (path, "userdata", "pidfile"));
        let layouts: Vec<Layout<'_>> = containerd.chain(crio).collect();
        let places = |root: &PathBuf| -> Vec<Place> {
            layouts.iter().map(|layout| Place::below(root, *layout)).collect()
        };
        let well_known = roots.iter().flat_map(places).collect();
        Self { well_known, proc, shims: Vec::new() }
    }

    /// Folders that hold bundles, or could: those of the well-known ones that exist, and those that shims show.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        let well_known = self.well_known.iter().map(|place| place.directory.clone());
        let of_shims = shims::running(&self.proc);
        let of_shims = of_shims
            .iter()
            .filter_map(|shim| fs::read_link(shim.process().join("cwd")).ok()?.parent().map(Path::to_owned));
        let mut folders: Vec<PathBuf> = well_known.filter(|folder| folder.is_dir()).chain(of_shims).collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }

    /// What the runtime says of `id` now; `None` where it says nothing, or `id` is not Kubernetes'.
    ///
    /// Opens a few files where it finds something, and reads the names of all processes where not: ask again for an
    /// unknown id with pauses.
    pub fn lookup(&mut self, id: &ContainerId) -> Option<RuntimeFacts> {
        if let Some(place) = self.well_known.iter().find(|place| place.has(id)) {
            return place.read(id);
        }
        if let Some(shim) = self.shims.iter().find(|shim| has(shim, id) && shim.lives()) {
            return read(shim, id);
        }
        self.shims = shims::running(&self.proc);
        read(self.shims.iter().find(|shim| has(shim, id))?, id)
    }
}

/// Directory below a root, `inside`, `pid_file`.
type Layout<'a> = (&'a Path, &'static str, &'static str);

impl Place {
    fn below(root: &Path, (directory, inside, pid_file): Layout<'_>) -> Self {
        // One that was told begins at the node's root, which may be elsewhere here.
        let directory = root.join(directory.strip_prefix("/").unwrap_or(directory));
        Self { directory, inside, pid_file }
    }

    fn has(&self, id: &ContainerId) -> bool {
        self.bundle(id).join("config.json").exists()
    }

    fn read(&self, id: &ContainerId) -> Option<RuntimeFacts> {
        facts(&self.bundle(id), Some(self.pid_file))
    }

    fn bundle(&self, id: &ContainerId) -> PathBuf {
        self.directory.join(id.as_str()).join(self.inside)
    }
}

fn has(shim: &Shim, id: &ContainerId) -> bool {
    shim.bundles().join(id.as_str()).join("config.json").exists()
}

fn read(shim: &Shim, id: &ContainerId) -> Option<RuntimeFacts> {
    facts(&shim.bundles().join(id.as_str()), shim.our_pids.then_some("init.pid"))
}

fn facts(bundle: &Path, pid_file: Option<&str>) -> Option<RuntimeFacts> {
    let config = read_bounded(&bundle.join("config.json")).ok()?;
    let meta = bundle::parse(&config)?;
    let init_pid = pid_file.and_then(|name| fs::read_to_string(bundle.join(name)).ok());
    let init_pid = init_pid.and_then(|text| text.trim().parse().ok()).map(Pid);
    Some(RuntimeFacts { meta, init_pid })
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_CONFIG).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
