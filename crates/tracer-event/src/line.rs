//! The line of an event about a socket: when, which socket, whose, and under `tcp` the event itself.
//!
//! Events have times of `CLOCK_MONOTONIC`, lines those of the wall clock: whoever writes or reads
//! lines knows the difference.

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    community::CommunityId,
    connection::ConnectionSummary,
    container::{Cgroup, PodName},
    endpoint::{Endpoint, Tuple},
    linger::{Linger, LingerCause, LingerStatus},
    process::Holder,
    reset::Reset,
    retransmit::Retransmit,
    stack::Frame,
    subject::Subject,
    transition::Transition,
};

/// An event about a socket.
pub trait About {
    /// Which kind of line it is.
    const KIND: &'static str;

    /// When, and which socket.
    fn origin(&self) -> (u64, &Subject);

    /// Sets these, as far as the role is not known.
    fn set_origin(&mut self, time: u64, subject: Subject);
}

macro_rules! about {
    ($($event:ident: $kind:literal),+) => {$(
        impl About for $event {
            const KIND: &'static str = $kind;

            #[inline(always)]
            fn origin(&self) -> (u64, &Subject) {
                (self.time, &self.subject)
            }

            fn set_origin(&mut self, time: u64, subject: Subject) {
                self.time = time;
                self.subject = Subject { role: self.subject.role, ..subject };
            }
        }
    )+};
}

about!(
    Transition: "transition",
    Retransmit: "retransmit",
    Reset: "reset",
    ConnectionSummary: "connection",
    Linger: "linger"
);

/// A line about a socket. Nothing is flattened: that would cost as much as all the rest.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Line<'a, T> {
    /// Which kind of line.
    #[serde(skip_deserializing)]
    pub kind: &'static str,
    /// When: RFC 3339, UTC, nanoseconds.
    #[serde(borrow)]
    #[schemars(extend("format" = "date-time"))]
    pub time: Cow<'a, str>,
    /// Which socket.
    pub socket: Option<Identity>,
    /// Both ends.
    pub network: Network,
    /// Whose it is.
    pub process: Option<Holder>,
    /// Container of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Pod of the container, by the path of its control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k8s: Option<Kubernetes>,
    /// Unit of the socket, where it is in no container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd: Option<Systemd>,
    /// How it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<LingerStatus>,
    /// Why it stays in its state, unless it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<LingerCause>,
    /// The calls in which the socket was made, the last first, if that was asked for; null where
    /// not looked up in time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub stack: Option<Option<Vec<Frame>>>,
    /// What is missing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_gap: Option<String>,
    /// All that hold a descriptor of the socket; `process` is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<Holder>>,
    /// The connection.
    pub tcp: T,
}

/// Null is something else than nothing.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A text or null, which nobody needs.
fn unread<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::<Cow<'de, str>>::deserialize(deserializer)?;
    Ok(None)
}

/// Which socket.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The kernel's number of the socket, never given twice; null before Linux 5.12.
    pub cookie: Option<u64>,
    /// Which connection on this socket, from 1.
    pub ordinal: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// User id of the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Inode number of the socket's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Path of the control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cgroup: Option<Arc<str>>,
}

/// Both ends.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// Always `tcp`.
    pub transport: Transport,
    /// Version of the Internet Protocol; v4-mapped addresses are IPv4.
    pub r#type: Version,
    /// This host's end.
    pub local: Endpoint,
    /// The peer; unspecified for a listener.
    pub peer: Endpoint,
    /// Inode number of the network namespace, where there is no socket that is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Of a `connection`: its Community ID (version 1), by which other tools name it, and by which
    /// both hosts do where nothing between them rewrites addresses.
    // It follows from both ends; of a recording it may be anything (`replay --anonymize`).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "unread")]
    #[schemars(with = "Option<String>")]
    pub community_id: Option<CommunityId>,
}

/// The one transport protocol.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// The Transmission Control Protocol.
    Tcp,
}

/// Versions of the Internet Protocol.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// 4.
    Ipv4,
    /// 6.
    Ipv6,
}

/// A container.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// Its id, or its name where it has none; after `user-UID/` where a user has made it, and not
    /// root.
    #[schemars(with = "String")]
    pub id: Arc<str>,
}

/// What Kubernetes calls it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Kubernetes {
    /// The pod.
    pub pod: Pod,
    /// The namespace of the pod (`--pod-logs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}

impl Kubernetes {
    /// What is known of the pod of a control group.
    pub fn of(group: &Cgroup) -> Option<Self> {
        let uid = Arc::clone(group.pod.as_ref()?);
        let (name, namespace) = match group.pod_name.clone() {
            Some(PodName { namespace, name }) => (Some(name), Some(Namespace { name: namespace })),
            None => (None, None),
        };
        Some(Self { pod: Pod { uid, name }, namespace })
    }

    /// What the pod is called.
    pub fn pod_name(self) -> Option<PodName> {
        let Self { pod: Pod { uid: _, name }, namespace } = self;
        Some(PodName { namespace: namespace?.name, name: name? })
    }
}

/// A pod.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    /// Its UID, as the API server has it; of a static pod the kubelet's hash.
    #[schemars(with = "String")]
    pub uid: Arc<str>,
    /// Its name, by the directory of its logs (`--pod-logs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<Arc<str>>,
}

/// A namespace of Kubernetes.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Namespace {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Arc<str>,
}

/// What systemd calls it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Systemd {
    /// The service or scope of the system's manager.
    #[schemars(with = "String")]
    pub unit: Arc<str>,
}

impl<'a, T> Line<'a, T> {
    /// Of an event about `subject`, at `time` in words.
    #[inline]
    pub fn new(kind: &'static str, time: &'a str, subject: &Subject, tcp: T) -> Self {
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
                local,
                peer,
                netns: (!exists).then_some(netns),
                community_id: None,
            },
            process: owner.as_ref().map(Holder::from),
            container: None,
            k8s: None,
            systemd: None,
            status: None,
            cause: None,
            stack: None,
            stack_gap: None,
            processes: None,
            tcp,
        }
    }
}
