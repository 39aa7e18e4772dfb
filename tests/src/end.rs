//! One end of a connection, as the kernel and the tracer name it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
};

use socket2::SockRef;

use crate::record::Record;

/// One socket, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Cookie (`SO_COOKIE`).
    pub cookie: u64,
    /// Which connection on this socket.
    pub ordinal: u64,
    /// Its address, without mapping.
    pub local: SocketAddr,
    /// Its peer's address, unspecified for a listener.
    pub peer: SocketAddr,
}

impl End {
    /// Of an open socket.
    pub fn of(socket: &impl AsFd) -> Self {
        let socket = SockRef::from(socket);
        let local = address(socket.local_addr());
        let nobody = match local {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self {
            cookie: socket.cookie().expect("SO_COOKIE"),
            ordinal: 1,
            local: canonical(local),
            peer: socket
                .peer_addr()
                .map_or(SocketAddr::new(nobody, 0), |peer| canonical(address(Ok(peer)))),
        }
    }

    /// The same socket, connected for the `ordinal`th time.
    pub fn again(self, ordinal: u64) -> Self {
        Self { ordinal, ..self }
    }

    /// Whether a record is about this connection: by cookie, or where there is none by address.
    pub fn is_told_by(&self, record: &Record) -> bool {
        match record.cookie() {
            Some(cookie) => {
                cookie == self.cookie && record.number("/socket/ordinal") == Some(self.ordinal)
            }
            None => record.local() == Some(self.local) && record.peer() == Some(self.peer),
        }
    }
}

fn address(address: io::Result<socket2::SockAddr>) -> SocketAddr {
    address.ok().and_then(|address| address.as_socket()).expect("an IP address")
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
