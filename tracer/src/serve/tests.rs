use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn status() -> Status {
    Status { pulse: Arc::default(), ledger: Arc::default(), metrics: Arc::new(Metrics::new(Arc::default())) }
}

/// Serves on a port of its own.
fn served(status: &Status) -> SocketAddr {
    let listener = address::on(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    start(listener, status.clone()).unwrap();
    address
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn live_until_it_hangs() {
    let now = BootNanos(100 * SECOND);
    assert_eq!(live(Some(BootNanos(70 * SECOND)), BootNanos(0), now), Ok(()));
    assert!(live(Some(BootNanos(69 * SECOND)), BootNanos(0), now).is_err());
}

#[test]
fn live_for_two_minutes_without_programs() {
    let began = BootNanos(1000 * SECOND);
    assert_eq!(live(None, began, BootNanos(1120 * SECOND)), Ok(()));
    assert!(live(None, began, BootNanos(1121 * SECOND)).is_err());
    // Attached later, it is.
    assert_eq!(live(Some(BootNanos(1130 * SECOND)), began, BootNanos(1131 * SECOND)), Ok(()));
}

#[test]
fn ready_once_attached_and_the_ledger_takes_records() {
    assert!(ready(None, false).is_err());
    assert!(ready(Some(BootNanos(1)), true).is_err());
    assert_eq!(ready(Some(BootNanos(1)), false), Ok(()));
}

#[test]
fn probes_and_metrics_are_served() {
    let status = status();
    let address = served(&status);
    assert!(get(address, "/livez").starts_with("HTTP/1.1 200"));
    for before_the_programs_are_attached in ["/startupz", "/readyz"] {
        assert!(get(address, before_the_programs_are_attached).starts_with("HTTP/1.1 503"));
    }
    status.pulse.beat(boot_now());
    for attached in ["/startupz", "/readyz"] {
        assert!(get(address, attached).starts_with("HTTP/1.1 200"));
    }
    assert!(get(address, "/metrics").contains("debugtrail_api_synced 0\n"));
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
}

#[test]
fn idle_connections_are_bounded_and_block_no_other() {
    let address = served(&status());
    let before = descriptors();
    let mut idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(get(address, "/livez").starts_with("HTTP/1.1 200"));
    // Both ends are this process's: what the server keeps is what is above the clients' own.
    let kept = descriptors() - before - idle.len();
    // Room for other tests of this process.
    assert!(kept < 100, "{kept} connections are kept open");
    // The oldest was closed for those that came after it.
    let mut byte = [0];
    idle[0].set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let read = idle[0].read(&mut byte);
    assert!(matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_connection_is_for_one_request() {
    let mut stream = TcpStream::connect(served(&status())).unwrap();
    for _ in 0..2 {
        write!(stream, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    let mut answers = String::new();
    // It may be reset for the second.
    let _ = stream.read_to_string(&mut answers);
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}
