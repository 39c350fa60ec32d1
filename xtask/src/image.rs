//! `cargo xtask image`: the image that the DaemonSet runs, as an OCI archive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Step;
use crate::{build, command, repo, setup};

/// What deploy/base/daemon-set.yaml names.
pub const NAME: &str = concat!("debugtrail:", env!("CARGO_PKG_VERSION"));

/// A pod's `debugtrail:TAG` is completed to this by every node.
const FULL_NAME: &str = concat!("docker.io/library/debugtrail:", env!("CARGO_PKG_VERSION"));

/// Where containers/image keeps a cache that no option of buildah moves.
const SHARED_CACHE: &str = "/var/lib/containers/cache/blob-info-cache-v1.boltdb";

/// Builds debugtrail and its image, and says how large it is.
///
/// # Errors
/// When one of them does not build.
pub fn run() -> Result<()> {
    setup::run()?;
    build::run()?;
    let archive = build(&repo::debugtrail_binary())?;
    let root = folder().join("context/root");
    println!("image   {NAME}");
    println!("archive {} ({})", archive.display(), megabytes(fs::metadata(&archive)?.len()));
    println!("        on a node {}", megabytes(size(&root)?));
    println!("to give it to a node: ctr -n k8s.io images import {}", archive.display());
    Ok(())
}

/// Builds the image around a binary; its archive.
///
/// # Errors
/// When the binary or a library of it is missing, or buildah fails.
pub fn build(binary: &Path) -> Result<PathBuf> {
    let step = Step::begin(&format!("building the image {NAME}"));
    let context = folder().join("context");
    ignore_missing(fs::remove_dir_all(&context))?;
    stage(binary, &context.join("root"))?;
    let archive = folder().join(concat!("debugtrail-", env!("CARGO_PKG_VERSION"), ".tar"));
    // buildah adds to an archive that is there.
    ignore_missing(fs::remove_file(&archive))?;
    let had_cache = Path::new(SHARED_CACHE).exists();
    let built = run_buildah(&context, &archive);
    if !had_cache {
        remove_shared_cache();
    }
    built?;
    step.done();
    Ok(archive)
}

fn run_buildah(context: &Path, archive: &Path) -> Result<()> {
    let storage = folder().join("storage");
    let containerfile = repo::root().join("deploy/Containerfile");
    // The same content gives the same image.
    let build =
        ["build", "--quiet", "--isolation", "chroot", "--timestamp", "0", "--tag", FULL_NAME, "--file"];
    let built = command::output(buildah(&storage).args(build).arg(containerfile).arg(context));
    let target = format!("oci-archive:{}:{FULL_NAME}", archive.display());
    let pushed =
        built.and_then(|_| command::output(buildah(&storage).args(["push", "--quiet", FULL_NAME, &target])));
    // Each build would add a copy of the binary.
    ignore_missing(fs::remove_dir_all(&storage))?;
    pushed.map(drop)
}

/// A store of our own: nothing goes to the machine's. `vfs` works on every file system.
fn buildah(storage: &Path) -> Command {
    let mut buildah = Command::new("buildah");
    buildah.args(["--storage-driver", "vfs", "--root"]).arg(storage.join("root"));
    buildah.arg("--runroot").arg(storage.join("run"));
    buildah
}

/// What was not there before; folders only where nothing else is in them.
fn remove_shared_cache() {
    let cache = Path::new(SHARED_CACHE);
    let _never_made = fs::remove_file(cache);
    for folder in cache.ancestors().skip(1).take(2) {
        let _in_use = fs::remove_dir(folder);
    }
}

/// The root folder of the image: the binary without its debug information, and its libraries where its loader looks.
fn stage(binary: &Path, root: &Path) -> Result<()> {
    let program = root.join("usr/bin/debugtrail");
    make_parent(&program)?;
    ensure!(binary.exists(), "{} is missing: cargo xtask build", binary.display());
    command::output(Command::new("strip").arg("--strip-all").arg("-o").arg(&program).arg(binary))?;
    for library in libraries(&command::output(Command::new("ldd").arg(&program))?)? {
        let staged = root.join(library.strip_prefix("/").unwrap_or(&library));
        make_parent(&staged)?;
        fs::copy(&library, &staged).with_context(|| format!("cannot copy {}", library.display()))?;
    }
    Ok(())
}

/// The files that `ldd` names. The kernel's vDSO is none.
fn libraries(ldd: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for line in ldd.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("a library of debugtrail is missing here: {line}");
        }
        // `libc.so.6 => /lib/.../libc.so.6 (0x...)`, or just the loader's path.
        files.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from));
    }
    ensure!(!files.is_empty(), "ldd names no library: {ldd}");
    Ok(files)
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        bytes += if metadata.is_dir() { size(&path)? } else { metadata.len() };
    }
    Ok(bytes)
}

#[expect(clippy::cast_precision_loss, reason = "for a person")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn folder() -> PathBuf {
    repo::target().join("image")
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_files_that_ldd_names() {
        let ldd = "\tlinux-vdso.so.1 (0x00007fa0)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007fa1)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007fa2)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(ldd).unwrap(), expected);
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = libraries("\tlibfoo.so.1 => not found\n").unwrap_err().to_string();
        assert!(error.contains("libfoo.so.1"), "{error}");
        assert!(libraries("\tnot a dynamic executable\n").is_err());
    }

    #[test]
    fn the_daemon_set_runs_this_image() {
        for (folder, count) in [("base", 1), ("unpin", 2)] {
            let manifest = repo::root().join("deploy").join(folder).join("daemon-set.yaml");
            let manifest = fs::read_to_string(manifest).unwrap();
            let images: Vec<&str> =
                manifest.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
            assert_eq!(images, vec![NAME; count], "{folder}");
        }
    }
}
