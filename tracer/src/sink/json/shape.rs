//! The shapes of the JSON objects: what is nested where, and under which name. They are written,
//! read back by a replay, and described by the schema.

use std::{borrow::Cow, net::IpAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    lingering::Cause,
    origin::{Container, Process},
};
use crate::{
    model::{
        endpoint::{Endpoint, Tuple},
        update::{LingerStatus, Loss, LossPlace, Subject},
        zone::{self, Zone},
    },
    sink::{escape::harmless, stack::FrameBody},
};

/// A line about a socket. Nothing is flattened: that would cost as much as all the rest.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Line<'a, T> {
    /// What it tells of.
    #[serde(skip_deserializing)]
    pub(crate) kind: &'static str,
    /// When: RFC 3339, UTC, nanoseconds.
    #[serde(borrow)]
    #[schemars(extend("format" = "date-time"))]
    pub(crate) time: Cow<'a, str>,
    /// Which socket.
    pub(crate) socket: Option<Identity>,
    /// Both ends.
    pub(crate) network: Network,
    /// Whose it is.
    #[serde(borrow)]
    pub(crate) process: Option<Process<'a>>,
    /// Container of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
    /// How it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<LingerStatus>,
    /// Why it stays in its state, unless it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<Cause>,
    /// The calls in which the socket was made, the last first, if that was asked for; null where
    /// not looked up in time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(crate) stack: Option<Option<Vec<FrameBody<'a>>>>,
    /// What is missing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack_gap: Option<String>,
    /// All that hold a descriptor of the socket; `process` is the first.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) processes: Option<Vec<Process<'a>>>,
    /// The connection.
    pub(crate) tcp: T,
}

/// Null is something else than nothing.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Which socket.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Identity {
    /// The kernel's number of the socket, never given twice; null before Linux 5.12.
    pub(crate) cookie: Option<u64>,
    /// Which connection on this socket, from 1.
    pub(crate) ordinal: u32,
    /// Inode number of the network namespace.
    pub(crate) netns: u32,
    /// User id of the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<u32>,
    /// Inode number of the socket's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inode: Option<u64>,
    /// Path of the control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<String>,
}

/// Both ends.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Network {
    /// Always `tcp`.
    pub(crate) transport: Transport,
    /// Version of the Internet Protocol; v4-mapped addresses are IPv4.
    pub(crate) r#type: Version,
    /// This host's end.
    pub(crate) local: Address,
    /// The far end; unspecified for a listener.
    pub(crate) peer: Address,
    /// Inode number of the network namespace, where there is no socket that is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) netns: Option<u32>,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    Tcp,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Version {
    Ipv4,
    Ipv6,
}

/// An address and a port.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Address {
    /// IPv4 or IPv6, a link-local one with its interface: `fe80::1%eth0`.
    #[schemars(with = "IpAddr")]
    pub(crate) address: Zoned,
    /// Null where not known (yet).
    pub(crate) port: Option<u16>,
}

/// An address, and of a link-local one the interface.
#[derive(Clone, Copy)]
pub(crate) struct Zoned(pub(crate) IpAddr, Zone);

impl Serialize for Zoned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(address, zone) = self;
        match zone.name() {
            None => address.serialize(serializer),
            Some(name) => serializer.serialize_str(&format!("{address}%{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for Zoned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let (address, name) = text.split_once('%').unwrap_or((&text, ""));
        let address = address.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(
            address,
            if name.is_empty() { Zone::default() } else { zone::named(&harmless(name)) },
        ))
    }
}

/// A line about a loss.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct LossBody {
    /// Where.
    pub(crate) r#where: LossPlace,
    /// How many events since the last time this was said; of `output` lines.
    pub(crate) count: u64,
    /// The states told are right all the same.
    pub(crate) healed: bool,
    /// There may have been more: of `unseen` the fewest transitions that lead to what is there. Left
    /// out where it is false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) at_least: bool,
}

impl From<Endpoint> for Address {
    fn from(end: Endpoint) -> Self {
        Self {
            address: Zoned(end.address(), end.zone()),
            port: (end.port != 0).then_some(end.port),
        }
    }
}

impl From<Address> for Endpoint {
    fn from(Address { address, port }: Address) -> Self {
        let Zoned(address, zone) = address;
        Self::new(address, port.unwrap_or(0)).in_zone(zone)
    }
}

impl<'a, T> Line<'a, T> {
    pub(super) fn new(kind: &'static str, time: &'a str, subject: &'a Subject, tcp: T) -> Self {
        let Subject { cookie, ordinal, tuple, uid, inode, ref owner, cgroup: _, role: _ } =
            *subject;
        let Tuple { local, peer, netns } = tuple;
        let exists = ordinal > 0;
        Self {
            kind,
            time: Cow::Borrowed(time),
            socket: exists.then_some(Identity { cookie, ordinal, netns, uid, inode, cgroup: None }),
            network: Network {
                transport: Transport::Tcp,
                r#type: if tuple.is_ipv4() { Version::Ipv4 } else { Version::Ipv6 },
                local: local.into(),
                peer: peer.into(),
                netns: (!exists).then_some(netns),
            },
            process: owner.as_ref().map(Process::from),
            container: None,
            status: None,
            cause: None,
            stack: None,
            stack_gap: None,
            processes: None,
            tcp,
        }
    }
}

impl From<&Loss> for LossBody {
    fn from(&Loss { time: _, place, count, healed, at_least }: &Loss) -> Self {
        Self { r#where: place, count, healed, at_least }
    }
}
