//! Where health and metrics are served: taken first, so that an address in use is said before anything is loaded.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use thiserror::Error;

/// Connections that the kernel keeps until they are taken, which is at once.
const BACKLOG: i32 = 128;

/// The address can't be listened on.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {why}; give another --listen, or end what uses it")]
pub struct ListenError {
    address: SocketAddr,
    why: io::Error,
}

/// Listens on one address; on `[::]` for IPv4 as well.
///
/// # Errors
///
/// Where it is in use, or not this machine's.
pub fn on(address: SocketAddr) -> Result<TcpListener, ListenError> {
    listener(address).map_err(|why| ListenError { address, why })
}

/// Listens on every address of this machine: of IPv6 and IPv4, or of IPv4 where IPv6 is off.
///
/// # Errors
///
/// Where the port is in use.
pub fn everywhere(port: u16) -> Result<TcpListener, ListenError> {
    everywhere_with(port, listener)
}

fn everywhere_with<L>(port: u16, listen: impl Fn(SocketAddr) -> io::Result<L>) -> Result<L, ListenError> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match listen(both) {
        Ok(listener) => Ok(listener),
        Err(why) if why.kind() == ErrorKind::AddrInUse => Err(ListenError { address: both, why }),
        Err(_) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            listen(address).map_err(|why| ListenError { address, why })
        }
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // A restart finds connections of the run before it, which are over.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn an_address_in_use_is_an_error_with_a_hint() {
        let listener = on(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let refused = on(listener.local_addr().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("; give another --listen") && !refused.contains('\n'), "{refused}");
    }

    #[test]
    fn everywhere_takes_ipv4() {
        let listener = everywhere(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }

    #[test]
    fn both_families_are_taken_by_one_listener() {
        // Where IPv6 is off there is nothing to see.
        let Ok(listener) = on(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) else { return };
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }

    #[test]
    fn without_ipv6_it_is_ipv4_alone() {
        let off = |address: SocketAddr| match address.is_ipv6() {
            true => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            false => Ok(address),
        };
        assert_eq!(everywhere_with(9757, off).unwrap().to_string(), "0.0.0.0:9757");
    }

    #[test]
    fn a_port_in_use_is_not_taken_for_ipv6_being_off() {
        let in_use = |_: SocketAddr| Err::<(), _>(io::Error::from_raw_os_error(libc::EADDRINUSE));
        assert!(everywhere_with(9757, in_use).unwrap_err().to_string().contains("[::]:9757"));
    }
}
