//! A small initramfs for one kernel: busybox, the modules that the disk needs, and what finds the system there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::kernels::Kernel;
use crate::command;

/// The disk, and what containers are made with.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "overlay"];
const INIT: &str = include_str!("initramfs.sh");

/// Makes it inside `folder`.
pub(super) fn make(kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let root = folder.join(format!("initramfs-{}", kernel.series));
    for name in ["bin", "dev", "disk", "modules"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("busybox-static is missing")?;
    super::script(&root.join("init"), INIT)?;
    let mut order = String::new();
    for module in kernel.modules(&MODULES)? {
        let name = module.file_name().context("a module has a name")?.to_string_lossy();
        let plain = name.trim_end_matches(".xz");
        unpack(&module, &root.join("modules").join(plain))?;
        order.push_str(&format!("{plain}\n"));
    }
    fs::write(root.join("modules/order"), order)?;
    let image = folder.join(format!("initramfs-{}.cpio", kernel.series));
    pack(&root, &image)?;
    Ok(image)
}

fn unpack(module: &Path, to: &Path) -> Result<()> {
    if module.extension().is_none_or(|extension| extension != "xz") {
        fs::copy(module, to).with_context(|| format!("cannot copy {}", module.display()))?;
        return Ok(());
    }
    let mut busybox = Command::new("busybox");
    command::run(busybox.args(["unxz", "-c"]).arg(module).stdout(File::create(to)?))
}

/// As the kernel wants it: cpio's format newc, not compressed.
fn pack(root: &Path, image: &Path) -> Result<()> {
    let mut find = Command::new("find").arg(".").current_dir(root).stdout(Stdio::piped()).spawn()?;
    let names = find.stdout.take().context("its output is piped")?;
    let mut cpio = Command::new("busybox");
    cpio.current_dir(root).args(["cpio", "-o", "-H", "newc"]).stdin(names).stdout(File::create(image)?);
    let packed = command::run(cpio.stderr(Stdio::null()));
    ensure!(find.wait()?.success(), "cannot list {}", root.display());
    packed
}
