//! The node's network namespace: the components and the pods' bridge are in it, and one link leads there from the
//! machine. So kube-proxy's packet filter, forwarding and whatever else a node sets end with the namespace, and no
//! sysctl, packet filter or port of the machine is touched.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::paths::{Paths, link};
use super::process::ProcessId;
use crate::command;

/// Networks to choose from, each a /24 less its last byte; the first that the machine does not route is taken.
const PREFIXES: [[u8; 3]; 4] = [[10, 201, 77], [172, 29, 177], [192, 168, 177], [10, 77, 201]];

/// Last bytes of addresses: the node's, on the bridge; the pods', from and to; the machine's, on its end of the link.
const NODE: u8 = 1;
const PODS: (u8, u8) = (10, 250);
const MACHINE: u8 = 254;

/// Inside the namespace: the bridge that connects the pods, and the link's end that is plugged into it.
const BRIDGE: &str = "pods";
const UPLINK: &str = "machine";

/// A namespace of the node's own answers at once or not at all.
const CONNECTING: Duration = Duration::from_secs(1);

/// The network that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Network {
    prefix: [u8; 3],
}

impl Network {
    /// Makes the bridge in the network namespace of the cluster's init, and the link to it.
    pub(super) fn make(init: ProcessId) -> Result<Self> {
        let prefix = PREFIXES.into_iter().find(|&prefix| Self { prefix }.is_free());
        let network =
            Self { prefix: prefix.context("all networks for pods are in use here: free 10.201.77.0/24")? };
        let (pid, link) = (init.pid().to_string(), link());
        let on_machine = |arguments: &[&str]| command::output(Command::new("ip").args(arguments));
        let on_node = |arguments: &[&str]| {
            let mut inside = Command::new("nsenter");
            command::output(inside.args(["--target", &pid, "--net", "ip"]).args(arguments))
        };
        on_machine(&["link", "add", &link, "type", "veth", "peer", "name", UPLINK, "netns", &pid])?;
        on_machine(&["address", "add", &network.with_mask(MACHINE), "dev", &link])?;
        on_machine(&["link", "set", &link, "up"])?;
        on_node(&["link", "set", "lo", "up"])?;
        on_node(&["link", "add", BRIDGE, "address", &network.hardware_address(), "type", "bridge"])?;
        on_node(&["address", "add", &network.with_mask(NODE), "dev", BRIDGE])?;
        on_node(&["link", "set", UPLINK, "master", BRIDGE, "up"])?;
        on_node(&["link", "set", BRIDGE, "up"])?;
        Ok(network)
    }

    /// The node's address, which the machine and the pods reach alike.
    pub(super) fn address(self) -> Ipv4Addr {
        self.host(NODE)
    }

    /// Whether something of the node listens on this port.
    pub(super) fn answers(self, port: u16) -> bool {
        TcpStream::connect_timeout(&SocketAddr::from((self.address(), port)), CONNECTING).is_ok()
    }

    /// Writes what containerd gives the CNI plugins.
    pub(super) fn write_config(self, paths: &Paths) -> Result<()> {
        let config = json!({
            "cniVersion": "0.4.0", "name": "debugtrail", "plugins": [{
                // The default route is the pods' way to service addresses, which kube-proxy translates on the node.
                "type": "bridge", "bridge": BRIDGE, "isDefaultGateway": true, "ipMasq": false,
                // A pod reaches itself by its service.
                "hairpinMode": true,
                "ipam": {"type": "host-local", "ranges": [[{
                    "subnet": self.with_mask(0),
                    "rangeStart": self.host(PODS.0), "rangeEnd": self.host(PODS.1),
                    "gateway": self.address()}]]}
            }]
        });
        let folder = paths.cni_config();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("10-debugtrail.conflist"), serde_json::to_vec_pretty(&config)?)?;
        Ok(())
    }

    fn host(self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, last)
    }

    /// Of the bridge. Without one of its own a bridge has the lowest of its ports', which changes with the pods that come
    /// and go, and for a minute the node is out of reach for those who remember the old one.
    fn hardware_address(self) -> String {
        let [a, b, c, d] = self.address().octets();
        format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    fn with_mask(self, last: u8) -> String {
        format!("{}/24", self.host(last))
    }

    /// True where nothing but a default route leads to the network.
    fn is_free(self) -> bool {
        let mut routes = Command::new("ip");
        command::output(routes.args(["-4", "route", "show", "match", &self.address().to_string()]))
            .is_ok_and(|routes| routes.lines().all(|route| route.starts_with("default")))
    }
}

/// Removes the link. With the last process in it the namespace goes, and all that is in it.
pub(super) fn remove() -> Result<()> {
    if !exists() {
        return Ok(());
    }
    let removed = command::output(Command::new("ip").args(["link", "delete", &link()]));
    // The kernel may have been faster: the link goes with the namespace that its other end is in.
    if exists() { removed.map(drop) } else { Ok(()) }
}

/// Whether our link is there.
pub(super) fn exists() -> bool {
    Path::new("/sys/class/net").join(link()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_the_prefix() {
        let network = Network { prefix: [10, 201, 77] };
        assert_eq!(network.address(), Ipv4Addr::new(10, 201, 77, 1));
        assert_eq!(network.with_mask(MACHINE), "10.201.77.254/24");
        // A locally administered unicast address, as it has to be.
        assert_eq!(network.hardware_address(), "02:00:0a:c9:4d:01");
    }
}
