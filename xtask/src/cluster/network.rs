//! The pods' network: a bridge of our own, with an address that the node uses as its own. Nothing
//! is forwarded and no sysctl or packet filter of the machine is touched.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::json;

use super::layout::{Layout, bridge};
use crate::command;

/// Prefixes of /24 networks to choose from; the first that the machine does not route is taken.
const PREFIXES: [&str; 4] = ["10.201.77", "172.29.177", "192.168.177", "10.77.201"];

/// Below the ports that the kernel gives to clients. While the API server is stopped, everybody tries to reach it, and a
/// client whose own port happens to be the server's connects to itself and keeps the server from coming back.
const SERVER_PORTS: Range<u16> = 20_000..32_000;

/// The network that was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    prefix: &'static str,
}

impl Network {
    /// Makes the bridge.
    pub(super) fn make() -> Result<Self> {
        let prefix = PREFIXES
            .into_iter()
            .find(|prefix| is_free(prefix))
            .with_context(|| format!("all of {PREFIXES:?} are in use here: free one of them"))?;
        let network = Self { prefix };
        let address = format!("{}/24", network.address());
        command::output(ip().args(["link", "add", &bridge(), "type", "bridge"]))?;
        command::output(ip().args(["address", "add", &address, "dev", &bridge()]))?;
        command::output(ip().args(["link", "set", &bridge(), "up"]))?;
        Ok(network)
    }

    /// The bridge's and so the node's address.
    pub(super) fn address(&self) -> String {
        format!("{}.1", self.prefix)
    }

    /// Writes what containerd tells the CNI plugins.
    pub(super) fn write_config(&self, layout: &Layout) -> Result<()> {
        let config = json!({
            "cniVersion": "0.4.0", "name": "debugtrail", "plugins": [{
                "type": "bridge", "bridge": bridge(), "isGateway": false, "ipMasq": false,
                "ipam": {"type": "host-local", "ranges": [[{
                    "subnet": format!("{}.0/24", self.prefix),
                    "rangeStart": format!("{}.10", self.prefix),
                    "gateway": self.address()}]]}
            }]
        });
        let folder = layout.cni_config();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("10-debugtrail.conflist"), serde_json::to_vec_pretty(&config)?)?;
        Ok(())
    }
}

/// Ports that are free on this address now.
pub(super) fn free_ports<const N: usize>(address: &str) -> Result<[u16; N]> {
    // Two clusters that start at the same time look in different places first.
    let first = SERVER_PORTS.start + (std::process::id() % 1000) as u16 * 10;
    let candidates = (first..SERVER_PORTS.end).chain(SERVER_PORTS.start..first);
    // Held until all are found, so that none is found twice.
    let listeners: Vec<TcpListener> =
        candidates.filter_map(|port| TcpListener::bind((address, port)).ok()).take(N).collect();
    let ports: Vec<u16> =
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<_>>()?;
    ports.try_into().map_err(|_| anyhow!("no {N} free ports on {address} in {SERVER_PORTS:?}"))
}

/// Removes the bridge and what is still plugged into it.
pub(super) fn remove() -> Result<()> {
    for link in links() {
        // A pod's end goes by itself once the kernel has released the pod's namespace.
        let removed = command::output(ip().args(["link", "delete", &link]));
        if Path::new("/sys/class/net").join(&link).exists() {
            removed?;
        }
    }
    Ok(())
}

/// Our links that exist: the pods' ends first, then the bridge.
pub(super) fn links() -> Vec<String> {
    let folder = Path::new("/sys/class/net").join(bridge());
    if !folder.exists() {
        return Vec::new();
    }
    let ports = fs::read_dir(folder.join("brif")).into_iter().flatten().flatten();
    ports.map(|entry| entry.file_name().to_string_lossy().into_owned()).chain([bridge()]).collect()
}

/// True where nothing but a default route leads to the network.
fn is_free(prefix: &str) -> bool {
    let address = format!("{prefix}.1");
    command::output(ip().args(["-4", "route", "show", "match", &address]))
        .is_ok_and(|routes| routes.lines().all(|route| route.starts_with("default")))
}

fn ip() -> Command {
    Command::new("ip")
}
