//! One cluster at a time, with one owner: a lock that the kernel releases with its holder.

use std::fs::{self, File, TryLockError};
use std::io::Write;

use anyhow::{Context, Result, bail};

use super::layout::Layout;

/// Takes the lock; says so where it has to wait for it.
pub(super) fn take(layout: &Layout) -> Result<File> {
    let file = open(layout)?;
    if !try_lock(&file)? {
        eprintln!("waiting for the embedded cluster: process {} has it", holder(layout));
        file.lock().context("cannot lock the cluster")?;
    }
    note_holder(&file)?;
    Ok(file)
}

/// Takes the lock or says who has it.
pub(super) fn take_now(layout: &Layout) -> Result<File> {
    let file = open(layout)?;
    if !try_lock(&file)? {
        bail!("process {} is using the embedded cluster: end that first", holder(layout));
    }
    note_holder(&file)?;
    Ok(file)
}

/// Who has the lock: a pid.
pub(super) fn held_by(layout: &Layout) -> Result<Option<String>> {
    let free = !layout.root().exists() || try_lock(&open(layout)?)?;
    Ok((!free).then(|| holder(layout)))
}

/// Takes the lock, silently.
pub(super) fn wait(layout: &Layout) -> Result<File> {
    let file = open(layout)?;
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

fn holder(layout: &Layout) -> String {
    fs::read_to_string(layout.lock()).unwrap_or_default()
}

fn note_holder(mut file: &File) -> Result<()> {
    file.set_len(0)?;
    Ok(write!(file, "{}", std::process::id())?)
}

fn open(layout: &Layout) -> Result<File> {
    fs::create_dir_all(layout.root())?;
    let path = layout.lock();
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}
