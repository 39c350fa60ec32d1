//! The cgroup v2 hierarchy of this node: where it is mounted, what is in it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, Process};
use thiserror::Error;

use crate::ids::{CgroupId, Pid};

/// Why the hierarchy cannot be read.
#[derive(Debug, Error)]
pub enum HierarchyError {
    /// There is no cgroup2 mount.
    #[error(
        "no cgroup v2 hierarchy is mounted; run `mount -t cgroup2 none /sys/fs/cgroup/unified`, \
         or mount the host's /sys/fs/cgroup into this container"
    )]
    NotMounted,
    /// The mount table cannot be read.
    #[error("cannot read /proc/self/mountinfo: {0}; mount /proc")]
    Mounts(#[from] procfs::ProcError),
}

/// A mounted cgroup v2 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    mount: PathBuf,
}

/// One cgroup found by [`Hierarchy::walk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id: on 64-bit kernels the inode number of its directory.
    pub id: CgroupId,
    /// Its path below the mount, with a leading `/`; as `cgroup_mkdir` gives it unless the mount is of a
    /// cgroup namespace.
    pub path: String,
}

impl Hierarchy {
    /// Finds the mount: `/sys/fs/cgroup` where v2 is alone, usually `/sys/fs/cgroup/unified` where it is hybrid.
    /// Of several the one that shows most of the hierarchy.
    ///
    /// # Errors
    /// Where there is none, or the mount table cannot be read.
    pub fn find() -> Result<Self, HierarchyError> {
        Self::widest(|mount| mount.fs_type == "cgroup2")?.ok_or(HierarchyError::NotMounted)
    }

    /// Finds a v1 hierarchy by its controller, in a hybrid setup. Its cgroups are called as those of v2.
    #[must_use]
    pub fn find_v1(controller: &str) -> Option<Self> {
        let has =
            |mount: &MountInfo| mount.fs_type == "cgroup" && mount.super_options.contains_key(controller);
        Self::widest(has).ok().flatten()
    }

    fn widest(wanted: impl Fn(&MountInfo) -> bool) -> Result<Option<Self>, HierarchyError> {
        let mounts = Process::myself()?.mountinfo()?.into_iter().filter(wanted);
        let widest =
            mounts.min_by_key(|mount| (narrowness(&mount.root), mount.mount_point.as_os_str().len()));
        Ok(widest.map(|mount| Self::at(mount.mount_point)))
    }

    /// The hierarchy mounted at `mount`.
    #[must_use]
    pub fn at(mount: impl Into<PathBuf>) -> Self {
        Self { mount: mount.into() }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// All cgroups below the root, parents before their children. One that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// Where the root itself cannot be read.
    pub fn walk(&self) -> io::Result<Vec<Cgroup>> {
        let mut found = children(&self.mount, "")?;
        let mut next = 0;
        while let Some(cgroup) = found.get(next) {
            let path = cgroup.path.clone();
            match children(&self.directory(&path), &path) {
                Ok(children) => found.extend(children),
                Err(error) if vanished(&error) => {}
                Err(error) => {
                    tracing::warn!("cannot read cgroup {path}: {error}; its children are not scanned");
                }
            }
            next += 1;
        }
        Ok(found)
    }

    /// The path of a cgroup, `/` for the root. None where it is gone.
    ///
    /// # Errors
    /// Where the root cannot be read.
    pub fn path_of(&self, id: CgroupId) -> io::Result<Option<String>> {
        if fs::metadata(&self.mount)?.ino() == id.0 {
            return Ok(Some("/".to_owned()));
        }
        Ok(self.walk()?.into_iter().find(|cgroup| cgroup.id == id).map(|cgroup| cgroup.path))
    }

    /// The processes of one cgroup (not of those below it). None where it vanished.
    ///
    /// # Errors
    /// Where `cgroup.procs` cannot be read, such as in a threaded cgroup.
    pub fn pids(&self, path: &str) -> io::Result<Vec<Pid>> {
        match fs::read_to_string(self.directory(path).join("cgroup.procs")) {
            Ok(text) => Ok(pids_in(&text)),
            Err(error) if vanished(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Whether there is any process in the cgroup at this path or below; so it is taken to be where that can't be read.
    #[must_use]
    pub fn is_populated(&self, path: &str) -> bool {
        match fs::read_to_string(self.file(path, "cgroup.events")) {
            Ok(events) => !events.lines().any(|line| line == "populated 0"),
            Err(error) => !vanished(&error),
        }
    }

    /// Whether there is a cgroup at this path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.directory(path).exists()
    }

    /// A file of the cgroup at this path, whether it is there or not.
    #[must_use]
    pub fn file(&self, path: &str, name: &str) -> PathBuf {
        self.directory(path).join(name)
    }

    fn directory(&self, path: &str) -> PathBuf {
        self.mount.join(path.trim_start_matches('/'))
    }
}

/// How little of the hierarchy a mount with this root shows. From inside a cgroup namespace, what is further out
/// reads `/../..`: the more steps out the better, then the fewer steps in.
fn narrowness(root: &str) -> isize {
    let step = |name: &str| match name {
        "" => 0,
        ".." => -1,
        _ => 1,
    };
    root.split('/').map(step).sum()
}

fn children(directory: &Path, path: &str) -> io::Result<Vec<Cgroup>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(Cgroup { id: CgroupId(entry.ino()), path: join(path, &entry.file_name()) });
        }
    }
    Ok(found)
}

/// The kernel's paths may hold any byte but `/` and NUL; those of pods are ASCII.
fn join(path: &str, name: &OsStr) -> String {
    format!("{path}/{}", name.to_string_lossy())
}

/// A `0` stands for a process of a pid namespace that is not below ours.
fn pids_in(text: &str) -> Vec<Pid> {
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0).map(Pid).collect()
}

/// A cgroup that was removed between being listed and being read.
fn vanished(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_are_one_a_line() {
        assert_eq!(pids_in("1\n26623\n0\n"), [Pid(1), Pid(26623)]);
        assert_eq!(pids_in(""), []);
    }

    #[test]
    fn the_widest_mount_is_the_least_narrow() {
        assert!(narrowness("/") < narrowness("/kubepods.slice"));
        // The host's, mounted into a container that has a cgroup namespace of its own.
        assert!(narrowness("/../../..") < narrowness("/"));
        assert!(narrowness("/../../..") < narrowness("/../../../kubepods.slice"));
    }

    #[test]
    fn this_machines_hierarchy_lists_this_process() {
        let hierarchy = Hierarchy::find().unwrap();
        let own = Process::myself().unwrap().cgroups().unwrap();
        let own = own.into_iter().find(|cgroup| cgroup.hierarchy == 0).unwrap().pathname;
        assert!(hierarchy.pids(&own).unwrap().contains(&Pid(std::process::id())), "{own}");
        if own != "/" {
            assert!(hierarchy.walk().unwrap().iter().any(|cgroup| cgroup.path == own), "{own}");
        }
        let inode = fs::metadata(hierarchy.directory(&own)).unwrap().ino();
        assert_eq!(hierarchy.path_of(CgroupId(inode)).unwrap(), Some(own));
        assert_eq!(hierarchy.path_of(CgroupId(u64::MAX)).unwrap(), None);
    }

    #[test]
    fn a_cgroup_that_is_gone_has_no_processes() {
        let hierarchy = Hierarchy::find().unwrap();
        assert_eq!(hierarchy.pids("/never/was").unwrap(), []);
    }
}
