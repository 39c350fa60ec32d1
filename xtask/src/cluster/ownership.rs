//! One cluster at a time, with one owner: a lock that the kernel releases with its holder.

use std::fs::{self, File, TryLockError};
use std::io::Write;

use anyhow::{Context, Result, bail};

use super::paths::Paths;

/// Takes the lock; says so where it has to wait for it.
pub(super) fn take(paths: &Paths) -> Result<File> {
    let file = open(paths)?;
    if !try_lock(&file)? {
        eprintln!("waiting for the embedded cluster: process {} has it", holder(paths));
        file.lock().context("cannot lock the cluster")?;
    }
    note_holder(&file)?;
    Ok(file)
}

/// Takes the lock or says who has it.
pub(super) fn take_now(paths: &Paths) -> Result<File> {
    let file = open(paths)?;
    if !try_lock(&file)? {
        bail!("process {} is using the embedded cluster: end that first", holder(paths));
    }
    note_holder(&file)?;
    Ok(file)
}

/// Who has the lock: a pid.
pub(super) fn held_by(paths: &Paths) -> Result<Option<String>> {
    let free = !paths.root().exists() || try_lock(&open(paths)?)?;
    Ok((!free).then(|| holder(paths)))
}

/// Takes the lock, silently.
pub(super) fn wait(paths: &Paths) -> Result<File> {
    let file = open(paths)?;
    file.lock().context("cannot lock the cluster")?;
    Ok(file)
}

fn try_lock(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the cluster"),
    }
}

fn holder(paths: &Paths) -> String {
    fs::read_to_string(paths.lock()).unwrap_or_default()
}

fn note_holder(mut file: &File) -> Result<()> {
    file.set_len(0)?;
    Ok(write!(file, "{}", std::process::id())?)
}

fn open(paths: &Paths) -> Result<File> {
    fs::create_dir_all(paths.root())?;
    let path = paths.lock();
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}
