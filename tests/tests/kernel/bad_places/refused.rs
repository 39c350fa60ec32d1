//! An API server that refuses an agent before it knows which node it is on.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use debugtrail_tests::agent::free_address;
use debugtrail_tests::http;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use xtask::poll;

use super::run::{Place, kubeconfig, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// Says 401 to every request, until the tests' process ends.
fn refuses_all() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            refuse(&client);
        }
    });
    address
}

fn refuse(client: &TcpStream) {
    let head = BufReader::new(client).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    assert!(head.count() > 0, "a request");
    let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _client_gone = (&mut &*client).write_all(answer.as_bytes());
}

/// It is asked for its health meanwhile: it is live, as credentials may come, and not started, as it records
/// nothing.
#[test]
fn an_agent_that_is_refused_is_live_and_not_started() {
    let place = Place::new();
    let mut config = kubeconfig(&json!({}));
    config["clusters"][0]["cluster"]["server"] = format!("http://{}", refuses_all()).into();
    let (config, ledger) = (place.file("kubeconfig", config.to_string()), place.path("ledger"));
    let listen = free_address().expect("a port");
    let (address, log) = (listen.to_string(), place.file("log", ""));
    let mut agent = place.debugtrail(&["agent", "--no-pins", "--kubeconfig", text(&config)]);
    agent.args(["--ledger", text(&ledger), "--listen", &address]);
    agent.stdin(Stdio::null()).stdout(Stdio::null());
    agent.stderr(std::fs::File::create(&log).expect("a log"));
    let mut agent = agent.spawn().expect("it starts");
    let said = || std::fs::read_to_string(&log).expect("its log");
    let tries = poll::until(PATIENCE, || said().contains("trying again"));
    let probe = |path| http::get(listen, path).map_or(0, |(status, _)| status);
    let probes = ["/livez", "/startupz", "/readyz"].map(probe);
    let pid = i32::try_from(agent.id()).ok().and_then(Pid::from_raw).expect("its pid");
    kill_process(pid, Signal::TERM).expect("it runs");
    let ended = agent.wait().expect("it ends");
    assert!(tries, "it does not try again: {}", said());
    assert_eq!(probes, [200, 503, 503], "{}", said());
    assert!(ended.success(), "{ended}: {}", said());
}
