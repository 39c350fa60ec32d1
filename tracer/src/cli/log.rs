//! Logs for people, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, in tracing's own syntax.
const VARIABLE: &str = "DEBUGTRAIL_LOG";

pub(super) fn start() {
    // The client library tells each failed attempt; what matters of them is told once, by the watch.
    let quiet = "info,kube=error,kube_runtime=error,kube_client=off,tower=error,hyper=error";
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(quiet));
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr)
        // It would say so on stderr, and panic where that is full.
        .log_internal_errors(false)
        .init();
}
