//! The container runtime that the cluster's kubelet talks to: how it is started, asked and given images.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::oci_runtime;
use super::paths::Paths;

mod containerd;
mod cri_o;

/// Runtimes that the embedded cluster can be run on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Debian's containerd, 1.6 or newer.
    #[default]
    Containerd,
    /// containerd 2, built by `cargo xtask setup` where it is wanted.
    #[value(name = "containerd-2")]
    #[serde(rename = "containerd-2")]
    Containerd2,
    /// CRI-O, built as well.
    CriO,
}

impl Runtime {
    /// Those beside the usual one.
    pub const FURTHER: [Self; 2] = [Self::Containerd2, Self::CriO];

    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Containerd2 => "containerd-2",
            Self::CriO => "cri-o",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|runtime| runtime.name() == name)
    }

    /// Whether `ctr` can talk to it.
    #[must_use]
    pub const fn is_containerd(self) -> bool {
        matches!(self, Self::Containerd | Self::Containerd2)
    }

    /// Its name among the cluster's components.
    pub(super) const fn component(self) -> &'static str {
        if self.is_containerd() { "containerd" } else { "cri-o" }
    }

    /// Where it listens.
    pub(super) fn socket(self, paths: &Paths) -> PathBuf {
        if self.is_containerd() { paths.containerd_socket() } else { paths.cri_o_socket() }
    }

    /// Folders of the cluster over the machine's, in the cluster's mount namespace: (ours, theirs).
    pub(super) fn binds(self, paths: &Paths) -> Vec<(PathBuf, PathBuf)> {
        if self.is_containerd() { containerd::binds(paths) } else { cri_o::binds(paths) }
    }

    /// Files of the machine that read otherwise in the cluster's mount namespace, where the machine has them.
    pub(super) const fn shadows(self) -> &'static [(&'static str, &'static str)] {
        if self.is_containerd() { &[] } else { &cri_o::SHADOWS }
    }

    /// The folder of the bundles as seen from the machine, where debugtrail can't find it by itself: it looks where the
    /// runtime has it, which is another folder outside the cluster's mount namespace.
    pub(super) fn bundles(self, paths: &Paths) -> Option<PathBuf> {
        (!self.is_containerd()).then(|| paths.cri_o_bundles())
    }

    /// The program that must be there, and the command that starts the runtime.
    pub(super) fn command(self, paths: &Paths) -> Vec<String> {
        match self {
            Self::Containerd => containerd::debians(paths),
            Self::Containerd2 => containerd::second(paths),
            Self::CriO => cri_o::command(paths),
        }
    }

    /// Writes what that command reads.
    pub(super) fn write_config(self, paths: &Paths) -> Result<()> {
        match self {
            Self::Containerd => Ok(fs::write(containerd::config_file(paths), containerd::version_2(paths))?),
            Self::Containerd2 => {
                fs::write(containerd::config_file(paths), containerd::version_3(paths))?;
                oci_runtime::write_eased(paths)
            }
            Self::CriO => cri_o::write_config(paths),
        }
    }

    /// True once it serves.
    pub(super) fn answers(self, paths: &Paths) -> bool {
        if self.is_containerd() {
            return containerd::answers(paths);
        }
        // It listens when it is ready.
        UnixStream::connect(self.socket(paths)).is_ok()
    }

    /// Makes the image of an OCI archive known to it.
    pub(super) fn import(self, paths: &Paths, archive: &Path, name: &str) -> Result<()> {
        if self.is_containerd() {
            containerd::import(paths, archive)
        } else {
            cri_o::import(paths, archive, name)
        }
    }
}
