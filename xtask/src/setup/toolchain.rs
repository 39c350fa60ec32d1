//! The Rust that compiles for the kernel: it must build `core` from source, and its LLVM must not
//! be newer than the one that bpf-linker links.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command;

/// The LLVM that bpf-linker is built with.
pub(super) const LLVM: u32 = 22;

/// Where `core`'s source lies below a toolchain.
const CORE: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";

/// A cargo and the rustc that it has to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Path of cargo.
    pub cargo: PathBuf,
    /// Path of rustc.
    pub rustc: PathBuf,
}

impl Toolchain {
    /// rustup's nightly where it fits, else Debian's `rustc-web`.
    ///
    /// # Errors
    /// When there is neither.
    pub fn for_bpf() -> Result<Self> {
        if let Some(nightly) = rustup_nightly() {
            return Ok(nightly);
        }
        let debian = in_folder(Path::new("/usr"));
        ensure!(
            debian.rustc.exists() && debian.cargo.exists() && Path::new("/usr").join(CORE).exists(),
            "no Rust that builds for eBPF: rustup toolchain install nightly --component rust-src, \
             or cargo xtask setup on Debian"
        );
        Ok(debian)
    }
}

/// A nightly of rustup's that has `rust-src` and an LLVM that bpf-linker understands.
#[must_use]
pub fn rustup_nightly() -> Option<Toolchain> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")))?;
    let toolchains = std::fs::read_dir(home.join("toolchains")).ok()?;
    toolchains
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("nightly"))
        .map(|entry| entry.path())
        .filter(|folder| folder.join(CORE).exists())
        .map(|folder| in_folder(&folder))
        .find(|toolchain| llvm_version(&toolchain.rustc).is_some_and(|major| major <= LLVM))
}

fn in_folder(folder: &Path) -> Toolchain {
    Toolchain { cargo: folder.join("bin/cargo"), rustc: folder.join("bin/rustc") }
}

fn llvm_version(rustc: &Path) -> Option<u32> {
    let mut rustc = Command::new(rustc);
    parse_llvm_version(&command::output(rustc.arg("-vV")).ok()?)
}

fn parse_llvm_version(verbose: &str) -> Option<u32> {
    let version = verbose.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_version_is_read_from_rustc() {
        let text = "rustc 1.97.0-nightly\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        assert_eq!(parse_llvm_version(text), Some(22));
        assert_eq!(parse_llvm_version("release: 1.97.0"), None);
    }
}
