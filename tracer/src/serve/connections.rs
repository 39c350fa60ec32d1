//! Connections: few at once, none for long, whoever opens them.
//!
//! Whoever reaches the port may open thousands and say nothing. Each costs a descriptor of a process that
//! needs its own for tracing, so there are [`AT_ONCE`] at most. One more closes another: the oldest of
//! whoever has the most. The kubelet and Prometheus have one each, so theirs stay.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::{Status, answer};

/// Open at the same time.
const AT_ONCE: usize = 16;
/// For the request.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// For request and answer together.
const LIFETIME: Duration = Duration::from_secs(10);
/// Of a request that asks for nothing but a path.
const LARGEST_HEAD: usize = 16 << 10;

/// An open one.
struct Open {
    peer: IpAddr,
    task: AbortHandle,
}

/// Takes connections until the process ends.
pub(super) async fn accept(listener: TcpListener, status: Status) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut open: Vec<Open> = Vec::with_capacity(AT_ONCE);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // A client that is gone already, or no descriptor for now.
            Err(error) => {
                tracing::debug!("a connection was not taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        open.retain(|connection| !connection.task.is_finished());
        let peer = network(peer.ip());
        let task = tokio::spawn(converse(stream, status.clone())).abort_handle();
        open.push(Open { peer, task });
        if open.len() > AT_ONCE {
            let peers: Vec<IpAddr> = open.iter().map(|connection| connection.peer).collect();
            open.remove(excess(&peers)).task.abort();
        }
        // So that one that is to be closed is, before the next is taken, and that the new one is served.
        tokio::task::yield_now().await;
    }
}

/// One request and its answer.
pub async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, status: Status) {
    let service = service_fn(|request| {
        let response = answer(&request, &status);
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT);
    http.keep_alive(false).max_buf_size(LARGEST_HEAD);
    let conversation = http.serve_connection(TokioIo::new(stream), service);
    let _client_gone_or_too_slow = tokio::time::timeout(LIFETIME, conversation).await;
}

/// Which of the peers of open connections, oldest first, loses one: the first of whoever has the most.
fn excess(peers: &[IpAddr]) -> usize {
    let of = |peer: &IpAddr| peers.iter().filter(|other| *other == peer).count();
    let most = peers.iter().map(of).max().unwrap_or(0);
    peers.iter().position(|peer| of(peer) == most).unwrap_or(0)
}

/// Who it is, as far as limits go: a host with IPv6 has a whole /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peers(numbers: &[u8]) -> Vec<IpAddr> {
        numbers.iter().map(|n| IpAddr::from([10, 0, 0, *n])).collect()
    }

    #[test]
    fn whoever_has_the_most_loses_the_oldest() {
        assert_eq!(excess(&peers(&[1])), 0);
        assert_eq!(excess(&peers(&[1, 2, 2, 2])), 1);
        assert_eq!(excess(&peers(&[1, 2, 3])), 0);
        assert_eq!(excess(&peers(&[1, 2, 1, 2, 2])), 1);
    }

    #[test]
    fn one_machine_is_one_peer() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("10.0.0.1"), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn no_peer_loses_a_connection_to_one_with_more(numbers in prop::collection::vec(0..4u8, 1..20)) {
            let peers = peers(&numbers);
            let count = |n: u8| numbers.iter().filter(|other| **other == n).count();
            let loser = numbers[excess(&peers)];
            prop_assert!(numbers.iter().all(|n| count(*n) <= count(loser)));
        }
    }
}
