//! A BPF file system of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// Unmounted when dropped, and with it goes whatever is pinned in it.
#[derive(Debug)]
pub struct BpfFs(TempDir);

impl BpfFs {
    /// Mounts one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn mount() -> Result<Self> {
        let folder = Self(tempfile::tempdir()?);
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(folder.0.path()).status()?;
        ensure!(mounted.success(), "no BPF file system can be mounted");
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A folder for pins, which is not made.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        self.0.path().join("debugtrail")
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        if let Err(error) = Command::new("umount").arg("--lazy").arg(self.path()).status() {
            eprintln!("{} stays mounted: {error}", self.path().display());
        }
    }
}
