//! A proxy of HTTP before the API server, which passes on `CONNECT` with a password alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Result;

/// `user:pa@ss`, with the `@` escaped as a URL wants it.
const USER_INFO: &str = "user:pa%40ss";

/// The same as Basic authentication has it.
const BASIC: &str = "proxy-authorization: basic dxnlcjpwyubzcw==";

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    passed_on: AtomicUsize,
    ends: AtomicBool,
}

impl Proxy {
    /// On a port of its own.
    ///
    /// # Errors
    /// When there is none.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Ok(Self { shared, address, accepting: Some(accepting) })
    }

    /// With user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{USER_INFO}@{}", self.address)
    }

    /// The password, as a URL and as a person writes it.
    #[must_use]
    pub fn secrets(&self) -> [&'static str; 2] {
        ["pa%40ss", "pa@ss"]
    }

    /// Connections that it has passed on.
    #[must_use]
    pub fn passed_on(&self) -> usize {
        self.shared.passed_on.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which sees that this is the end.
        let _woken = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().map_while(Result::ok) {
            if self.ends.load(Ordering::SeqCst) {
                return;
            }
            let shared = Arc::clone(self);
            thread::spawn(move || {
                if let Err(error) = shared.pass_on(&client) {
                    eprintln!("not passed on by the proxy: {error}");
                }
            });
        }
    }

    fn pass_on(&self, client: &TcpStream) -> io::Result<()> {
        let mut from_client = BufReader::new(client);
        let head: Vec<String> =
            from_client.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let target = head.first().and_then(|line| line.strip_prefix("CONNECT ")?.split(' ').next());
        let knows = head.iter().any(|line| line.to_lowercase() == BASIC);
        let Some(target) = target.filter(|_| knows) else {
            return (&mut &*client).write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        };
        let server = TcpStream::connect(target)?;
        (&mut &*client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        self.passed_on.fetch_add(1, Ordering::SeqCst);
        let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let _broken = io::copy(&mut &from_server, &mut &to_client);
            let _gone = to_client.shutdown(Shutdown::Both);
        });
        let _broken = io::copy(&mut from_client, &mut &server);
        // Its client may have gone, or it.
        let _gone = server.shutdown(Shutdown::Both);
        Ok(())
    }
}
