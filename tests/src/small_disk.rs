//! A file system with little room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// A tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// One of this size, as the mount option says it.
    ///
    /// # Errors
    /// When it can't be mounted.
    pub fn mount(size: &str) -> Result<Self> {
        let disk = Self(tempfile::tempdir()?);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "debugtrail-test"])
            .arg(disk.path())
            .status()?;
        ensure!(mounted.success(), "no tmpfs can be mounted");
        Ok(disk)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is; gives the file that has it.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn fill(&self) -> Result<PathBuf> {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path)?;
        while file.write_all(&[0; 1 << 16]).is_ok() {}
        Ok(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = Command::new("umount").arg("--lazy").arg(self.path()).status() {
            eprintln!("{} stays mounted: {error}", self.path().display());
        }
    }
}
