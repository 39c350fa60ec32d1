//! Health and metrics over HTTP, from a thread of its own: `/livez`, `/readyz`, `/metrics`.
//!
//! Live: the pipeline makes its rounds. Ready: it witnesses and its ledger takes records. The API server has no say in
//! either: without it the agent witnesses on, and a restart would only cost evidence.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;

use crate::clock::boot_now;
use crate::ids::BootNanos;
use crate::ledger::Health;
use crate::sinks::metrics::Metrics;

/// A pipeline without a round for so long hangs: it makes one a second.
const HANGS_AFTER: Duration = Duration::from_secs(30);
/// A client that sends nothing for so long is let go.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Of the exposition format that `/metrics` speaks.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The address can't be listened on.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {why}; give another --listen, or end what uses it")]
pub struct ListenError {
    address: SocketAddr,
    why: std::io::Error,
}

/// When the pipeline last made its round; 0 before the programs are attached.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// A round was made.
    pub fn beat(&self, now: BootNanos) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    fn last(&self) -> Option<BootNanos> {
        Some(BootNanos(self.0.load(Ordering::Relaxed))).filter(|at| at.0 != 0)
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

/// Takes the address, so that one in use is told before anything is loaded.
///
/// # Errors
///
/// Where it is in use, or not this machine's.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|why| ListenError { address, why })
}

/// Serves until the process ends.
///
/// # Errors
///
/// Where no thread can be started.
pub fn start(listener: TcpListener, status: Status) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(accept(listener, status)) {
            tracing::error!("health and metrics are no longer served: {error}");
        }
    })?;
    Ok(())
}

async fn accept(listener: TcpListener, status: Status) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // A client that is gone already, or no descriptor for now.
            Err(error) => {
                tracing::debug!("a connection was not taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let status = status.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &status);
                async { Ok::<_, Infallible>(response) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT);
            let _client_gone = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, status: &Status) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match request.uri().path() {
        "/livez" => told(live(status.pulse.last(), boot_now())),
        "/readyz" => told(ready(status.pulse.last(), status.ledger.failing.load(Ordering::Relaxed))),
        "/metrics" => metrics(&status.metrics),
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n"),
    }
}

/// Before the first round it is the start-up that is watched, by the probe for that.
fn live(last_round: Option<BootNanos>, now: BootNanos) -> Result<(), &'static str> {
    match last_round {
        Some(last) if now.since(last) > HANGS_AFTER => Err("the pipeline hangs"),
        _ => Ok(()),
    }
}

fn ready(last_round: Option<BootNanos>, ledger_failing: bool) -> Result<(), &'static str> {
    match last_round {
        None => Err("the programs are not attached yet"),
        Some(_) if ledger_failing => Err("the ledger can't be written"),
        Some(_) => Ok(()),
    }
}

fn told(result: Result<(), &'static str>) -> Response<Full<Bytes>> {
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
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn live_until_it_hangs() {
        let now = BootNanos(100 * SECOND);
        assert_eq!(live(None, now), Ok(()));
        assert_eq!(live(Some(BootNanos(70 * SECOND)), now), Ok(()));
        assert!(live(Some(BootNanos(69 * SECOND)), now).is_err());
    }

    #[test]
    fn ready_once_it_witnesses_and_the_ledger_takes_records() {
        assert!(ready(None, false).is_err());
        assert!(ready(Some(BootNanos(1)), true).is_err());
        assert_eq!(ready(Some(BootNanos(1)), false), Ok(()));
    }

    #[test]
    fn probes_and_metrics_are_served() {
        let status = Status {
            pulse: Arc::default(),
            ledger: Arc::default(),
            metrics: Arc::new(Metrics::new(Arc::default())),
        };
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        start(listener, status.clone()).unwrap();
        assert!(get(address, "/livez").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
        status.pulse.beat(boot_now());
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").contains("debugtrail_api_synced 0\n"));
        assert!(get(address, "/").starts_with("HTTP/1.1 404"));
        let in_use = listen(address).unwrap_err().to_string();
        assert!(in_use.contains("give another --listen") && !in_use.contains('\n'), "{in_use}");
    }
}
