//! Addresses and ports: one spelling for one connection.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tracer_wire::Record;

use super::{
    escape::harmless,
    zone::{self, Zone},
};

/// Marks a link-local address whose interface is known.
const IN_ZONE: [u8; 2] = [0xff; 2];
/// `::ffff:0.0.0.0`.
const MAPPED_UNSPECIFIED: u128 = 0xffff_0000_0000;
/// `::ffff:127.0.0.0`.
const MAPPED_LOOPBACK: u128 = 0xffff_7f00_0000;

/// One end of a connection.
///
/// IPv4 is kept v4-mapped, as in the wire record, and written as IPv4: a dual-stack server's end
/// and its IPv4 client's end of one connection read the same. The interface of a link-local
/// address is in those of its bits that are always zero (RFC 4291, 2.5.6), as BSD's kernels have it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "Address", from = "Address")]
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
        let mut mapped = self.mapped;
        if self.zone().is_some() {
            mapped[2..8].fill(0);
        }
        Ipv6Addr::from(mapped).to_canonical()
    }

    /// The same address on an interface, where it is a link-local one.
    #[must_use]
    pub fn in_zone(mut self, zone: Zone) -> Self {
        if zone.is_some() && self.is_link_local() && self.mapped[2..8] == [0; 6] {
            self.mapped[2..4].copy_from_slice(&IN_ZONE);
            self.mapped[4..8].copy_from_slice(&zone.0.to_be_bytes());
        }
        self
    }

    /// The interface of a link-local address, where it is known.
    pub fn zone(&self) -> Zone {
        match self.mapped {
            [_, _, b, c, zone @ .., _, _, _, _, _, _, _, _]
                if self.is_link_local() && [b, c] == IN_ZONE =>
            {
                Zone(u32::from_be_bytes(zone))
            }
            _ => Zone::default(),
        }
    }

    /// Writes it as it is displayed.
    ///
    /// # Errors
    ///
    /// Where `out` takes no more.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut numbers = itoa::Buffer::new();
        match self.address() {
            IpAddr::V4(v4) => out.write_str(decimal(v4, &mut [0; DECIMAL]))?,
            IpAddr::V6(v6) => write!(out, "[{v6}]")?,
        }
        if let Some(interface) = self.zone().name() {
            // As ss writes it.
            write!(out, "%{interface}")?;
        }
        let port = if self.port == 0 { "*" } else { numbers.format(self.port) };
        out.write_str(":")?;
        out.write_str(port)
    }

    fn is_link_local(&self) -> bool {
        self.mapped[0] == 0xfe && self.mapped[1] & 0xc0 == 0x80
    }

    /// `::` or `0.0.0.0`.
    #[inline]
    pub fn is_unspecified(&self) -> bool {
        matches!(u128::from_be_bytes(self.mapped), 0 | MAPPED_UNSPECIFIED)
    }

    #[inline]
    fn is_loopback(&self) -> bool {
        let mapped = u128::from_be_bytes(self.mapped);
        mapped == Ipv6Addr::LOCALHOST.to_bits() || mapped >> 24 == MAPPED_LOOPBACK >> 24
    }

    /// IPv4 or v4-mapped.
    pub fn is_ipv4(&self) -> bool {
        self.mapped[..12] == Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets()[..12]
    }
}

impl fmt::Display for Endpoint {
    /// `10.0.0.1:80`, `[2001:db8::1]:80`; `*` for what is not bound or not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// `255.255.255.255`
const DECIMAL: usize = 15;

/// An address as it is written: through a formatter that takes ten times as long.
fn decimal(address: Ipv4Addr, digits: &mut [u8; DECIMAL]) -> &str {
    let mut len = 0;
    let mut put = |digit: u8| {
        digits[len] = digit;
        len += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            put(b'.');
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    str::from_utf8(&digits[..len]).unwrap_or_default()
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port, as they are written.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Address {
    /// IPv4 or IPv6, a link-local one with its interface: `fe80::1%eth0`.
    #[schemars(with = "IpAddr")]
    address: Zoned,
    /// Null where not known (yet).
    port: Option<u16>,
}

impl From<Endpoint> for Address {
    #[inline]
    fn from(end: Endpoint) -> Self {
        Self {
            address: Zoned(end.address(), end.zone()),
            port: (end.port != 0).then_some(end.port),
        }
    }
}

impl From<Address> for Endpoint {
    fn from(Address { address: Zoned(address, zone), port }: Address) -> Self {
        Self::new(address, port.unwrap_or(0)).in_zone(zone)
    }
}

/// An address, and of a link-local one the interface.
struct Zoned(IpAddr, Zone);

impl Serialize for Zoned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(address, zone) = self;
        match zone.name() {
            None => match address {
                IpAddr::V4(v4) => serializer.serialize_str(decimal(*v4, &mut [0; DECIMAL])),
                IpAddr::V6(v6) => v6.serialize(serializer),
            },
            Some(name) => serializer.serialize_str(&format!("{address}%{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for Zoned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let (address, name) = text.split_once('%').unwrap_or((&text, ""));
        let address = address.parse().map_err(D::Error::custom)?;
        let zone = if name.is_empty() { Zone::default() } else { zone::named(&harmless(name)) };
        Ok(Self(address, zone))
    }
}

/// Both ends and the network namespace in which they mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// This host's end.
    pub local: Endpoint,
    /// The peer; unspecified for a listener.
    pub peer: Endpoint,
    /// Inode number of the network namespace.
    pub netns: u32,
}

impl Hash for Tuple {
    /// As a few numbers, which takes half as long as byte by byte.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { local, peer, netns } = *self;
        for Endpoint { mapped, port: _ } in [local, peer] {
            hasher.write_u128(u128::from_ne_bytes(mapped));
        }
        let ports = u64::from(local.port) << 16 | u64::from(peer.port);
        hasher.write_u64(ports << 32 | u64::from(netns));
    }
}

impl Tuple {
    /// The ends in a wire record.
    pub fn of(record: &Record) -> Self {
        let local = Endpoint::from_wire(record.local_address, record.local_port);
        let peer = Endpoint::from_wire(record.peer_address, record.peer_port);
        let Record { netns, interface, .. } = *record;
        if interface == 0 || !(local.is_link_local() || peer.is_link_local()) {
            return Self { local, peer, netns };
        }
        let zone = zone::of(netns, interface);
        Self { local: local.in_zone(zone), peer: peer.in_zone(zone), netns }
    }

    /// The same connection, seen from its other end on this host.
    pub fn reversed(&self) -> Self {
        Self { local: self.peer, peer: self.local, netns: self.netns }
    }

    /// Whether the other end is in the same network namespace for sure.
    pub fn is_within_host(&self) -> bool {
        let Self { local, peer, netns: _ } = self;
        let is_loopback = local.is_loopback() && peer.is_loopback();
        is_loopback || local.address() == peer.address()
    }

    /// IPv4 on both ends (a listener's peer says nothing).
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
    fn a_link_local_address_has_its_interface() {
        let wire = |address: &str| address.parse::<Ipv6Addr>().unwrap().octets();
        let record = Record {
            netns: 4_000_000_003,
            interface: 2,
            local_address: wire("fe80::1"),
            local_port: 80,
            peer_address: wire("2001:db8::2"),
            peer_port: 4_000,
            ..Record::EMPTY
        };
        let tuple = Tuple::of(&record);
        assert_eq!(tuple.local.to_string(), "[fe80::1]%2:80");
        zone::learn(record.netns, [(2, "eth0".to_owned())]);
        assert_eq!(tuple.local.to_string(), "[fe80::1]%eth0:80");
        assert_eq!(tuple.peer.to_string(), "[2001:db8::2]:4000");
        assert_eq!(tuple.local.address(), "fe80::1".parse::<IpAddr>().unwrap());
        assert_ne!(tuple, Tuple::of(&Record { interface: 3, ..record }), "another link");
    }

    #[rstest]
    #[case("::", true)]
    #[case("0.0.0.0", true)]
    #[case("::1", false)]
    #[case("0.0.0.1", false)]
    #[case("::fffe:0:0", false)]
    fn no_address_is_unspecified_in_either_family(#[case] address: IpAddr, #[case] expected: bool) {
        assert_eq!(Endpoint::new(address, 1).is_unspecified(), expected);
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
