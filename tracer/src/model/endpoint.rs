//! Addresses and ports: one spelling for one connection.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use arrayvec::ArrayString;
use tracer_ebpf::Record;

/// One end of a connection.
///
/// IPv4 is kept v4-mapped, as in the wire record, and written as IPv4: a dual-stack server's end
/// and its IPv4 client's end of one connection read the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    mapped: [u8; 16],
    /// Port, 0 where not known (yet).
    pub port: u16,
}

impl Endpoint {
    /// From a wire record's address.
    pub fn from_wire(mapped: [u8; 16], port: u16) -> Self {
        Self { mapped, port }
    }

    /// From any address.
    pub fn new(address: IpAddr, port: u16) -> Self {
        let mapped = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self { mapped: mapped.octets(), port }
    }

    /// The same address with another port.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The address, IPv4 where it is v4-mapped.
    pub fn address(&self) -> IpAddr {
        Ipv6Addr::from(self.mapped).to_canonical()
    }

    /// `::` or `0.0.0.0`.
    pub fn is_unspecified(&self) -> bool {
        self.address().is_unspecified()
    }

    /// IPv4 or v4-mapped.
    pub fn is_ipv4(&self) -> bool {
        self.mapped[..12] == Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets()[..12]
    }
}

impl fmt::Display for Endpoint {
    /// `10.0.0.1:80`, `[2001:db8::1]:80`; `*` for what is not bound or not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mapped: _, port } = *self;
        // Digit by digit through the formatter takes five times as long.
        let mut numbers = itoa::Buffer::new();
        let mut text = ArrayString::<{ "[]:65535".len() + 45 }>::new();
        match self.address() {
            IpAddr::V4(v4) => {
                for (index, octet) in v4.octets().into_iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { "." });
                    text.push_str(numbers.format(octet));
                }
            }
            IpAddr::V6(v6) => write!(text, "[{v6}]")?,
        }
        text.push(':');
        text.push_str(if port == 0 { "*" } else { numbers.format(port) });
        f.write_str(&text)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both ends and the network namespace in which they mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// This host's end.
    pub local: Endpoint,
    /// The far end; unspecified for a listener.
    pub peer: Endpoint,
    /// Inode number of the network namespace.
    pub netns: u32,
}

impl Tuple {
    /// The ends in a wire record.
    pub fn of(record: &Record) -> Self {
        Self {
            local: Endpoint::from_wire(record.local_address, record.local_port),
            peer: Endpoint::from_wire(record.peer_address, record.peer_port),
            netns: record.netns,
        }
    }

    /// The same connection, seen from its other end on this host.
    pub fn reversed(&self) -> Self {
        Self { local: self.peer, peer: self.local, netns: self.netns }
    }

    /// Whether the other end is in the same network namespace for sure.
    pub fn is_within_host(&self) -> bool {
        let (local, peer) = (self.local.address(), self.peer.address());
        local == peer || local.is_loopback() && peer.is_loopback()
    }

    /// IPv4 on both ends (a listener's far end says nothing).
    pub fn is_ipv4(&self) -> bool {
        self.local.is_ipv4() || self.peer.is_ipv4()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.0.0.1", 80, "10.0.0.1:80")]
    #[case("::ffff:10.0.0.1", 80, "10.0.0.1:80")]
    #[case("2001:db8::1", 443, "[2001:db8::1]:443")]
    #[case("0.0.0.0", 0, "0.0.0.0:*")]
    #[case("::", 22, "[::]:22")]
    fn endpoints_are_written_as_people_write_them(
        #[case] address: IpAddr,
        #[case] port: u16,
        #[case] text: &str,
    ) {
        assert_eq!(Endpoint::new(address, port).to_string(), text);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_one() {
        let mapped = Endpoint::new("::ffff:192.0.2.7".parse().unwrap(), 1);
        let plain = Endpoint::new("192.0.2.7".parse().unwrap(), 1);
        assert_eq!(mapped, plain);
        assert!(mapped.is_ipv4());
        assert!(!Endpoint::new("::".parse().unwrap(), 1).is_ipv4());
    }
}
