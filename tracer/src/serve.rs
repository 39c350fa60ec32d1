//! Health and metrics over HTTP, from a thread of its own: `/startupz`, `/livez`, `/readyz`, `/metrics`.
//!
//! Started: the programs are attached. Live: they are, or may still come to be, and the pipeline makes its
//! rounds. Ready: the agent records and its ledger takes records. None depends on the API server: without it
//! the agent goes on recording, and a restart would only cost evidence.

pub mod address;
mod connections;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};

pub use address::ListenError;
pub use connections::converse;

use crate::clock::boot_now;
use crate::ids::BootNanos;
use crate::ledger::Health;
use crate::sinks::metrics::Metrics;

/// A pipeline without a round for so long hangs: it makes one a second.
const HANGS_AFTER: Duration = Duration::from_secs(30);
/// Programs that are not attached so long after the beginning will never be. On a slow machine it takes some seconds.
const ATTACHES_WITHIN: Duration = Duration::from_secs(120);
/// Of the exposition format that `/metrics` has.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// When the pipeline last made its round.
#[derive(Debug)]
pub struct Pulse {
    began: BootNanos,
    /// 0 before the programs are attached.
    last: AtomicU64,
}

impl Default for Pulse {
    /// It begins now.
    fn default() -> Self {
        Self { began: boot_now(), last: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// A round was made.
    pub fn beat(&self, now: BootNanos) {
        self.last.store(now.0, Ordering::Relaxed);
    }

    fn last(&self) -> Option<BootNanos> {
        Some(BootNanos(self.last.load(Ordering::Relaxed))).filter(|at| at.0 != 0)
    }
}

/// What is served.
#[derive(Clone, Debug)]
pub struct Status {
    /// The pipeline's rounds.
    pub pulse: Arc<Pulse>,
    /// The ledger's state.
    pub ledger: Arc<Health>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
}

/// Serves until the process ends.
///
/// # Errors
///
/// Where no thread can be started.
pub fn start(listener: TcpListener, status: Status) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(connections::accept(listener, status)) {
            tracing::error!("health and metrics are no longer served: {error}");
        }
    })?;
    Ok(())
}

fn answer<B>(request: &Request<B>, status: &Status) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match request.uri().path() {
        "/startupz" => health(started(status.pulse.last())),
        "/livez" => health(live(status.pulse.last(), status.pulse.began, boot_now())),
        "/readyz" => health(ready(status.pulse.last(), status.ledger.failing.load(Ordering::Relaxed))),
        "/metrics" => metrics(&status.metrics),
        _ => text(StatusCode::NOT_FOUND, "there are /startupz, /livez, /readyz and /metrics\n"),
    }
}

fn started(last_round: Option<BootNanos>) -> Result<(), &'static str> {
    last_round.map(|_| ()).ok_or("the programs are not attached yet")
}

fn live(last_round: Option<BootNanos>, began: BootNanos, now: BootNanos) -> Result<(), &'static str> {
    match last_round {
        Some(last) if now.since(last) > HANGS_AFTER => Err("the pipeline hangs"),
        None if now.since(began) > ATTACHES_WITHIN => Err("the programs were not attached in time"),
        _ => Ok(()),
    }
}

fn ready(last_round: Option<BootNanos>, ledger_failing: bool) -> Result<(), &'static str> {
    started(last_round)?;
    if ledger_failing { Err("the ledger can't be written") } else { Ok(()) }
}

fn health(result: Result<(), &'static str>) -> Response<Full<Bytes>> {
    match result {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn metrics(metrics: &Metrics) -> Response<Full<Bytes>> {
    let Ok(exposition) = metrics.text() else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written\n");
    };
    let mut response = text(StatusCode::OK, &exposition);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(OPENMETRICS));
    response
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
