//! The container runtime that the cluster's kubelet talks to: how it is started, asked and given images.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::oci_runtime;

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
    pub(super) fn socket(self, layout: &Layout) -> PathBuf {
        if self.is_containerd() { layout.containerd_socket() } else { layout.cri_o_socket() }
    }

    /// Folders of the cluster over the machine's, in the cluster's mount namespace: (ours, theirs).
    pub(super) fn binds(self, layout: &Layout) -> Vec<(PathBuf, PathBuf)> {
        if self.is_containerd() { containerd::binds(layout) } else { cri_o::binds(layout) }
    }

    /// Files of the machine that read otherwise in the cluster's mount namespace, where the machine has them.
    pub(super) const fn shadows(self) -> &'static [(&'static str, &'static str)] {
        if self.is_containerd() { &[] } else { &cri_o::SHADOWS }
    }

    /// The folder of the bundles as seen from the machine, where debugtrail can't find it by itself: it looks where the
    /// runtime has it, which is another folder outside the cluster's mount namespace.
    pub(super) fn bundles(self, layout: &Layout) -> Option<PathBuf> {
        (!self.is_containerd()).then(|| layout.cri_o_bundles())
    }

    /// The program that must be there, and the command that starts the runtime.
    pub(super) fn command(self, layout: &Layout) -> Vec<String> {
        match self {
            Self::Containerd => containerd::debians(layout),
            Self::Containerd2 => containerd::second(layout),
            Self::CriO => cri_o::command(layout),
        }
    }

    /// Writes what that command reads.
    pub(super) fn write_config(self, layout: &Layout) -> Result<()> {
        match self {
            Self::Containerd => {
                Ok(fs::write(containerd::config_file(layout), containerd::version_2(layout))?)
            }
            Self::Containerd2 => {
                fs::write(containerd::config_file(layout), containerd::version_3(layout))?;
                oci_runtime::write_eased(layout)
            }
            Self::CriO => cri_o::write_config(layout),
        }
    }

    /// True once it serves.
    pub(super) fn answers(self, layout: &Layout) -> bool {
        if self.is_containerd() {
            return containerd::answers(layout);
        }
        // It listens when it is ready.
        UnixStream::connect(self.socket(layout)).is_ok()
    }

    /// Makes the image of an OCI archive known to it.
    pub(super) fn import(self, layout: &Layout, archive: &Path, name: &str) -> Result<()> {
        if self.is_containerd() {
            containerd::import(layout, archive)
        } else {
            cri_o::import(layout, archive, name)
        }
    }
}
