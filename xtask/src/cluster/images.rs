//! The two images that pods here run: made from the machine's static busybox, so that no registry
//! is needed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::oci;
use super::paths::Paths;
use crate::command;

/// From Debian's busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// For test pods: busybox under the name of each of its applets.
pub const BUSYBOX_IMAGE: &str = "local/busybox:1";
/// For sandboxes.
const PAUSE_IMAGE: &str = "local/pause:1";

/// Writes both images as OCI archives; their paths and names.
pub(super) fn build(paths: &Paths) -> Result<Vec<(PathBuf, &'static str)>> {
    let folder = paths.images();
    let rootfs = folder.join("rootfs");
    make_rootfs(&rootfs)?;
    let layer = oci::Layer::pack(&rootfs, &folder.join("layer.tar"))?;
    let images = [
        (BUSYBOX_IMAGE, "busybox.tar", ["/bin/sh"].as_slice()),
        // A day has 86400 seconds; no sandbox here lives 68 years.
        (PAUSE_IMAGE, "pause.tar", &["/bin/sleep", "2147483647"]),
    ];
    let mut archives = Vec::new();
    for (name, file, command) in images {
        let archive = folder.join(file);
        oci::write_archive(&archive, name, command, &layer)
            .with_context(|| format!("cannot make the image {name}"))?;
        archives.push((archive, name));
    }
    Ok(archives)
}

/// Writes one more image, of a folder, as an OCI archive; its path.
pub(super) fn pack(paths: &Paths, name: &str, rootfs: &Path, command: &[&str]) -> Result<PathBuf> {
    let file = name.replace(['/', ':'], "-");
    let layer = oci::Layer::pack(rootfs, &paths.images().join(format!("{file}.layer.tar")))?;
    let archive = paths.images().join(format!("{file}.tar"));
    oci::write_archive(&archive, name, command, &layer)
        .with_context(|| format!("cannot make the image {name}"))?;
    Ok(archive)
}

fn make_rootfs(rootfs: &Path) -> Result<()> {
    for folder in ["bin", "etc", "proc", "root", "sys", "tmp", "var/run"] {
        fs::create_dir_all(rootfs.join(folder))?;
    }
    fs::copy(BUSYBOX, rootfs.join("bin/busybox"))
        .with_context(|| format!("{BUSYBOX} is missing: cargo xtask setup"))?;
    for applet in command::output(Command::new(BUSYBOX).arg("--list-full"))?.lines() {
        let path = rootfs.join(applet);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if !path.exists() {
            symlink(BUSYBOX, &path)?;
        }
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
    fs::write(rootfs.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    Ok(())
}
