//! Signals that end a command.

use anyhow::Context;
use procfs::process::{Process, Status};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::record::StopReason;

/// What SIGHUP means: the terminal or the connection of whoever started it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The end, as of an interrupt; under nohup(1) nothing.
    Ends,
    /// Nothing: it has no terminal, and no configuration to read again.
    Ignored,
}

/// Resolves at SIGINT or SIGTERM, and at SIGHUP where that ends it.
pub(super) fn stop(hangup: Hangup) -> anyhow::Result<impl Future<Output = StopReason>> {
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
    // A listener replaces the signal's default, which is death.
    let leave = hangup == Hangup::Ends && is_ignored(SignalKind::hangup());
    let mut hung_up = if leave { None } else { Some(listen(SignalKind::hangup(), "SIGHUP")?) };
    Ok(async move {
        let hang_up = async {
            match (&mut hung_up, hangup) {
                (Some(hung_up), Hangup::Ends) => hung_up.recv().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => StopReason::Interrupted,
            _ = terminate.recv() => StopReason::Terminated,
            _ = hang_up => StopReason::HungUp,
        }
    })
}

fn listen(kind: SignalKind, name: &str) -> anyhow::Result<Signal> {
    signal(kind).with_context(|| format!("can't listen for {name}"))
}

/// Whether whoever started this process wants the signal ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = Process::myself().and_then(|own| own.status());
    status.is_ok_and(|status| ignores(&status, kind))
}

fn ignores(status: &Status, kind: SignalKind) -> bool {
    status.sigign & 1 << (kind.as_raw_value() - 1) != 0
}
