//! The folder of pins: programs, links and maps that outlive the agent, one subfolder for each generation.
//!
//! A generation is complete with its last pin, the description of its layout; its removal begins with that
//! one. So whatever a killed agent leaves half made or half removed is known as such.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statfs};
use thiserror::Error;

use super::hooks::HOOKS;
use super::plan::{Generation, Standing};

/// `BPF_FS_MAGIC` of uapi/linux/magic.h.
const BPF_FS: u64 = 0xcafe_4a11;

/// Where pins are by default.
pub const DEFAULT: &str = "/sys/fs/bpf/debugtrail";

/// Why pins can't be used.
#[derive(Debug, Error)]
pub enum PinsError {
    /// No BPF file system there.
    #[error(
        "{path} is on no BPF file system, so that nothing can be pinned there; \
         mount one (mount -t bpf bpf /sys/fs/bpf), or give --pins or --no-pins"
    )]
    NoBpfFs {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or something in it can't be made, read or removed.
    #[error("can't use the pins in {path}: {why}; check --pins and its permissions")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        why: anyhow::Error,
    },
    /// An agent runs with them.
    #[error(
        "a debugtrail agent runs with the pins in {path}; one agent a node: end that one, or give another --pins"
    )]
    Held {
        /// The folder.
        path: PathBuf,
    },
}

impl PinsError {
    pub(super) fn unusable<E: Into<anyhow::Error>>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |why| Self::Unusable { path: path.to_owned(), why: why.into() }
    }
}

/// The folder, held while this lives: the lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Pins {
    folder: PathBuf,
    _lock: File,
}

impl Pins {
    /// Takes the folder, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// No BPF file system, another agent, or no permission.
    pub fn open(folder: &Path) -> Result<Self, PinsError> {
        on_bpf_fs(folder)?;
        fs::create_dir_all(folder).map_err(PinsError::unusable(folder))?;
        Self::hold(folder)
    }

    /// Removes every trace: what is attached is detached, what is loaded is freed. Whether there was anything.
    ///
    /// # Errors
    ///
    /// An agent that runs, or no permission.
    pub fn remove_all(folder: &Path) -> Result<bool, PinsError> {
        match fs::symlink_metadata(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found.map_err(PinsError::unusable(folder))?,
        };
        // A folder elsewhere has no pins of ours, and whatever it has is not ours to remove.
        on_bpf_fs(folder)?;
        let pins = Self::hold(folder)?;
        for (generation, _) in pins.found()? {
            pins.remove(generation)?;
        }
        // Not with what is not ours in it.
        fs::remove_dir(folder).map_err(PinsError::unusable(folder))?;
        Ok(true)
    }

    fn hold(folder: &Path) -> Result<Self, PinsError> {
        let lock = File::open(folder).map_err(PinsError::unusable(folder))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(PinsError::Held { path: folder.to_owned() }),
            Err(error) => Err(PinsError::unusable(folder)(error)),
        }
    }

    /// The generations that are there.
    pub(super) fn found(&self) -> Result<Vec<(Generation, Standing)>, PinsError> {
        let names = list(&self.folder)?;
        let generations = names.iter().filter_map(|name| Generation::of_folder(name));
        generations.map(|found| Ok((found, self.standing(found)?))).collect()
    }

    fn standing(&self, generation: Generation) -> Result<Standing, PinsError> {
        let pins = list(&self.folder_of(generation))?;
        let links = HOOKS.iter().filter(|hook| pins.contains(&link(hook))).count();
        Ok(match links {
            _ if !pins.contains(LAYOUT) => Standing::Unfinished,
            links if links == HOOKS.len() => Standing::Attached,
            _ => Standing::Detached,
        })
    }

    /// Makes the folder of a generation.
    pub(super) fn make(&self, generation: Generation) -> Result<PathBuf, PinsError> {
        let folder = self.folder_of(generation);
        fs::create_dir(&folder).map_err(PinsError::unusable(&folder))?;
        Ok(folder)
    }

    /// The folder of a generation.
    pub(super) fn folder_of(&self, generation: Generation) -> PathBuf {
        self.folder.join(generation.folder())
    }

    /// Removes a generation, whatever there is of it.
    pub(super) fn remove(&self, generation: Generation) -> Result<(), PinsError> {
        let folder = self.folder_of(generation);
        let pins = list(&folder)?;
        // First what makes it complete.
        let last = pins.iter().filter(|name| *name != LAYOUT);
        for name in pins.get(LAYOUT).into_iter().chain(last) {
            remove_file(&folder.join(name))?;
        }
        fs::remove_dir(&folder).map_err(PinsError::unusable(&folder))
    }

    /// Takes the pins of a generation's links away: with the last descriptor of them it is detached.
    pub(super) fn remove_links(&self, generation: Generation) -> Result<(), PinsError> {
        let folder = self.folder_of(generation);
        let links: BTreeSet<_> = HOOKS.iter().map(|hook| link(hook)).collect();
        list(&folder)?.intersection(&links).try_for_each(|name| remove_file(&folder.join(name)))
    }
}

/// Pinned last.
pub(super) const LAYOUT: &str = "layout";

/// Name of a link's pin.
pub(super) fn link(hook: &str) -> String {
    format!("link_{hook}")
}

/// Name of a program's pin.
pub(super) fn program(name: &str) -> String {
    format!("program_{name}")
}

/// Name of a map's pin. A BPF file system has no names with dots.
pub(super) fn map(name: &str) -> String {
    if name == debugtrail_common::layout::MAP {
        return LAYOUT.to_owned();
    }
    format!("map_{}", name.replace('.', "_"))
}

/// Whether a BPF file system is mounted here or above.
///
/// # Errors
///
/// Where there is nothing, or it can't be looked at.
pub fn is_bpf_fs(path: &Path) -> io::Result<bool> {
    // The field's type differs between architectures.
    Ok(u64::try_from(statfs(path)?.f_type).is_ok_and(|kind| kind == BPF_FS))
}

/// The nearest folder that exists decides.
fn on_bpf_fs(folder: &Path) -> Result<(), PinsError> {
    for there in folder.ancestors() {
        match is_bpf_fs(if there.as_os_str().is_empty() { Path::new(".") } else { there }) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(PinsError::unusable(folder)(error)),
            Ok(true) => return Ok(()),
            Ok(false) => break,
        }
    }
    Err(PinsError::NoBpfFs { path: folder.to_owned() })
}

fn list(folder: &Path) -> Result<BTreeSet<String>, PinsError> {
    let entries = fs::read_dir(folder).map_err(PinsError::unusable(folder))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(PinsError::unusable(folder))
}

fn remove_file(path: &Path) -> Result<(), PinsError> {
    fs::remove_file(path).map_err(PinsError::unusable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_has_a_dot() {
        assert_eq!(map("CGROUPS"), "map_CGROUPS");
        assert_eq!(map(".data.user"), "map__data_user");
        assert_eq!(map(".rodata.layout"), "layout");
    }

    #[test]
    fn another_file_system_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let pins = folder.path().join("pins");
        let error = Pins::open(&pins).unwrap_err();
        assert!(error.to_string().contains("mount -t bpf"), "{error}");
        assert!(!pins.exists(), "nothing is made where nothing can be pinned");
        assert!(!Pins::remove_all(&pins).unwrap());
        assert!(matches!(Pins::remove_all(folder.path()), Err(PinsError::NoBpfFs { .. })));
    }
}
