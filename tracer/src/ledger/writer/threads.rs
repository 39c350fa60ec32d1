//! What the ledger's two threads do: one makes records durable, the other hands them to stdout.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::progress::Shared;
use crate::ledger::{Follower, Heartbeat, Segments, snapshot};

/// Lines that are made durable together.
const BATCH: usize = 256;

#[derive(Debug)]
pub(super) enum Job {
    Line(String),
    Beat(Heartbeat),
    Snapshot(Vec<u8>),
    Finish,
}

/// What is kept beside the records.
pub(super) struct Files {
    pub(super) heartbeat: File,
    pub(super) snapshot: PathBuf,
}

/// The writer's life: until it is told to finish, or to give up.
pub(super) fn write(jobs: &Receiver<Job>, segments: &mut Segments, files: &Files, shared: &Shared) {
    let mut finish = false;
    while !finish {
        let Ok(first) = jobs.recv() else { return };
        let mut lines = Vec::new();
        let more = std::iter::from_fn(|| jobs.try_recv().ok()).take(BATCH);
        for job in std::iter::once(first).chain(more) {
            match job {
                Job::Line(line) => lines.push(line),
                Job::Beat(heartbeat) => report(heartbeat.write(&files.heartbeat), "the heartbeat"),
                Job::Snapshot(bytes) => report(snapshot::replace(&files.snapshot, &bytes), "the state"),
                Job::Finish => finish = true,
            }
        }
        if !lines.is_empty() && !append(segments, &lines, shared) {
            return;
        }
    }
}

/// A restart knows less, no record is lost.
fn report(result: io::Result<()>, what: &str) {
    if let Err(error) = result {
        tracing::debug!("{what} can't be kept: {error}");
    }
}

/// Tries until the lines are durable; false where it was told to give up. Each change of fortune is logged once.
fn append(segments: &mut Segments, lines: &[String], shared: &Shared) -> bool {
    while let Err(error) = segments.append(lines) {
        shared.health.failures.fetch_add(1, Ordering::Relaxed);
        if !shared.health.failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the ledger can't be written ({error}); records wait in memory: make room");
        }
        if shared.pause() {
            return false;
        }
    }
    if shared.health.failing.swap(false, Ordering::Relaxed) {
        tracing::info!("the ledger can be written again; what waited is in it");
    }
    shared.commit(segments.end());
    true
}

/// stdout's life: until no record follows, or nobody reads it any more.
pub(super) fn follow(follower: &mut Follower, mut out: impl Write, shared: &Shared) {
    loop {
        let (end, finished) = shared.wait_beyond(follower.position().record);
        let result = follower.read_to(end, |line| writeln!(out, "{line}").and_then(|()| out.flush()));
        shared.health.on_stdout.store(follower.position().record, Ordering::Relaxed);
        match result {
            Ok(removed) => {
                shared.health.removed.fetch_add(removed, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!("stdout gets no more records ({error}); the ledger goes on");
                return;
            }
        }
        if finished && follower.position().record >= end.record {
            return;
        }
    }
}
