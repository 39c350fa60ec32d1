//! The guests' root file system: the programs that the tiers run, at the places that they have here, with the
//! libraries that they are linked to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::job::Job;
use crate::{command, repo};

/// What the tests call by name.
const PROGRAMS: [&str; 33] = [
    "bash",
    "busybox",
    "cat",
    "chmod",
    "containerd",
    "containerd-shim-runc-v2",
    "crun",
    "ctr",
    "dd",
    "echo",
    "env",
    "exitsnoop",
    "false",
    "kill",
    "ln",
    "ls",
    "mount",
    "mkdir",
    "prlimit",
    "rm",
    "rmdir",
    "runc",
    "setpriv",
    "setsid",
    "sh",
    "sleep",
    "stty",
    "sync",
    "touch",
    "true",
    "umount",
    "unshare",
    "uname",
];
const FOLDERS: [&str; 10] =
    ["dev", "etc/systemd/system", "guest", "proc", "root", "run", "sys", "tmp", "usr/bin", "var/lib"];
/// Merged into /usr, as on Debian.
const LINKS: [&str; 4] = ["bin", "lib", "lib64", "sbin"];
const FILES: [&str; 4] =
    ["/etc/group", "/etc/os-release", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt"];
const SIZE: &str = "4G";
/// Makes the cgroups in a guest whose first process it is.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const INIT: &str = include_str!("init.sh");
const RUN: &str = include_str!("run.sh");
const UNIT: &str = include_str!("job.service");

/// Makes the image inside `folder`.
pub(super) fn make(jobs: &[Job], programs: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    for name in FOLDERS {
        fs::create_dir_all(root.join(name))?;
    }
    for name in LINKS {
        fs::create_dir_all(root.join("usr").join(name))?;
        symlink(Path::new("usr").join(name), root.join(name))?;
    }
    let mut files: BTreeSet<PathBuf> =
        FILES.into_iter().map(PathBuf::from).filter(|file| file.exists()).collect();
    let called = PROGRAMS.iter().filter_map(|name| found(name)).chain([PathBuf::from(SYSTEMD)]);
    for program in called.chain(programs.iter().cloned()) {
        files.extend(libraries(&program)?);
        files.insert(program);
    }
    for file in files {
        copy(&file, &root)?;
    }
    // Where cargo runs the tests.
    fs::create_dir_all(inside(&root, &repo::root().join("tests"))?)?;
    super::script(&root.join("guest/init"), INIT)?;
    super::script(&root.join("guest/run"), RUN)?;
    fs::write(root.join("etc/systemd/system/debugtrail-job.service"), UNIT)?;
    for job in jobs {
        super::script(&root.join("guest").join(job.name), &job.script)?;
    }
    let image = folder.join("disk.img");
    let mut mke2fs = Command::new("mke2fs");
    mke2fs
        .args(["-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d"])
        .arg(&root)
        .arg(&image)
        .arg(SIZE);
    command::output(&mut mke2fs)?;
    Ok(image)
}

/// A program on this machine's path; the shell's own have none.
fn found(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/sbin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// The shared libraries and the loader of a program; none of a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let said = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if said.contains("not found") {
        bail!("a library of {} is missing:\n{said}", program.display());
    }
    let paths = said.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(PathBuf::from).collect())
}

/// With what a link leads to.
fn copy(file: &Path, root: &Path) -> Result<()> {
    let to = inside(root, file)?;
    fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
    fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display())).map(drop)
}

fn inside(root: &Path, path: &Path) -> Result<PathBuf> {
    Ok(root.join(path.strip_prefix("/").with_context(|| format!("{} is no whole path", path.display()))?))
}
