//! Ctrl-C and SIGTERM: what has been begun is taken down before xtask ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{family, poll};

type Undo = Box<dyn FnOnce() + Send>;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Undos that another thread is running.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
static PENDING: Mutex<BTreeMap<u64, Undo>> = Mutex::new(BTreeMap::new());

/// What [`install`] reports as exit code: 128 + SIGINT, as a shell would.
const EXIT_CODE: i32 = 130;

/// How long the programs that we run may take to end when asked.
const CHILD_PATIENCE: Duration = Duration::from_secs(10);
/// How long an undo that has begun may take.
const UNDO_PATIENCE: Duration = Duration::from_secs(120);

/// Something to undo, once: when this guard is dropped or when xtask is interrupted.
#[derive(Debug)]
#[must_use = "dropping the guard undoes at once"]
pub struct Cleanup(u64);

/// Registers what undoes a step that has just been or is about to be done.
pub fn on_exit(undo: impl FnOnce() + Send + 'static) -> Cleanup {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    pending().insert(id, Box::new(undo));
    Cleanup(id)
}

impl Cleanup {
    /// Forgets the undo without running it.
    pub fn disarm(self) {
        pending().remove(&self.0);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        let undo = pending().remove(&self.0);
        if let Some(undo) = undo {
            undo();
        }
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// From here on SIGINT, SIGTERM and SIGHUP end the programs that we run, undo everything
/// registered, newest first, and exit.
///
/// # Errors
/// When the handler cannot be installed.
pub fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        if !INTERRUPTED.swap(true, Ordering::SeqCst) {
            eprintln!("\ninterrupted: taking down what was started");
            // A thread, so that a second signal finds the handler free and is ignored.
            std::thread::spawn(undo_and_exit);
        }
    })
    .context("cannot install the handler for Ctrl-C")
}

/// True once a signal asked for the end.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Keeps `main` from returning, and so from ending the process, while an interrupt is undoing.
pub fn wait_if_interrupted() {
    while interrupted() {
        std::thread::park();
    }
}

fn undo_and_exit() {
    // They would write into what is about to be removed.
    family::end_descendants(CHILD_PATIENCE);
    while let Some((_, undo)) = { pending().pop_last() } {
        undo();
    }
    poll::until(UNDO_PATIENCE, || RUNNING.load(Ordering::SeqCst) == 0);
    std::process::exit(EXIT_CODE);
}

fn pending() -> MutexGuard<'static, BTreeMap<u64, Undo>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}
