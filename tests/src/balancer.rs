//! A load balancer before the API server: it outlives the server behind it and breaks connections on demand.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::NamedTempFile;
use xtask::scenario::access::Access;

/// Passes bytes on; TLS is between client and server.
#[derive(Debug)]
pub struct Balancer {
    shared: Arc<Shared>,
    address: SocketAddr,
    kubeconfig: NamedTempFile,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    /// Connections that are kept, whatever became of the server's side of them.
    clients: Mutex<Vec<TcpStream>>,
    ends: AtomicBool,
}

impl Balancer {
    /// One before the server that a kubeconfig (as JSON, with one cluster) names.
    ///
    /// # Errors
    /// When the kubeconfig is another, or there is no port.
    pub fn before(kubeconfig: &Path) -> Result<Self> {
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(kubeconfig)?)?;
        let server = &mut config["clusters"][0]["cluster"]["server"];
        let address = server.as_str().and_then(|url| url.strip_prefix("https://")).context("no server")?;
        let behind = address.parse().with_context(|| format!("{address} is no address"))?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        *server = format!("https://{address}").into();
        let kubeconfig = NamedTempFile::new()?;
        std::fs::write(kubeconfig.path(), config.to_string())?;
        let shared =
            Arc::new(Shared { server: behind, clients: Mutex::default(), ends: AtomicBool::new(false) });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Ok(Self { shared, address, kubeconfig, accepting: Some(accepting) })
    }

    /// The same cluster through this.
    #[must_use]
    pub fn access(&self, access: Access) -> Access {
        access.with_kubeconfig(self.kubeconfig.path().to_owned())
    }

    /// Ends every connection; new ones are taken.
    pub fn cut(&self) {
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for client in clients.drain(..) {
            // One that its client has ended before.
            let _gone = client.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which sees that this is the end.
        let _woken = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.join();
        }
        self.cut();
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        for client in listener.incoming().map_while(Result::ok) {
            if self.ends.load(Ordering::SeqCst) {
                return;
            }
            if let Err(error) = self.connect(client) {
                eprintln!("no connection to the API server: {error}");
            }
        }
    }

    fn connect(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.server)?;
        let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
        let to_client = client.try_clone()?;
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        thread::spawn(move || {
            let _broken = io::copy(&mut &from_client, &mut &to_server);
            let _gone = to_server.shutdown(Shutdown::Both);
        });
        // The client does not learn of the server's end.
        thread::spawn(move || io::copy(&mut &server, &mut &to_client));
        Ok(())
    }
}
