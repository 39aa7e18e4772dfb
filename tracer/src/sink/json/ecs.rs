//! The same lines by the names of the Elastic Common Schema: what it has names for stands there,
//! all else under `tracer`.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::{
    Bare,
    finding::{DiagnosisBody, FindingBody},
    hello::HelloBody,
    lingering::Cause,
    origin::{Container, ParentBody, Process},
    shape::{Address, Identity, Line, LossBody, Transport, Version},
    tcp::{LingerTcp, SegmentTcp, SocketTcp, StoryTcp, TransitionTcp},
};
use crate::{
    model::{
        close::Reason,
        owner::Evidence,
        state::State,
        update::{Close, Direction, LingerStatus, Role},
    },
    sink::{Host, stack::FrameBody, summary::Summary},
};

/// Version of the Elastic Common Schema.
const ECS: &str = "8.17.0";

/// Our names and those of the Elastic Common Schema; what is not here is under `tracer`, by our
/// name. For a server `source` is the peer and `destination` this end; else it is the other way
/// round.
pub const MAPPING: &[(&str, &str)] = &[
    ("time", "@timestamp"),
    ("kind", "event.dataset"),
    ("network.transport", "network.transport"),
    ("network.type", "network.type"),
    ("tcp.role", "network.direction"),
    ("network.local.address", "source.ip"),
    ("network.local.port", "source.port"),
    ("network.peer.address", "destination.ip"),
    ("network.peer.port", "destination.port"),
    ("tcp.bytes_sent", "source.bytes"),
    ("tcp.bytes_received", "destination.bytes"),
    ("process.pid", "process.pid"),
    ("process.name", "process.name"),
    ("process.executable", "process.executable"),
    ("process.parent.pid", "process.parent.pid"),
    ("process.parent.name", "process.parent.name"),
    ("container.id", "container.id"),
    ("socket.uid", "user.id"),
    ("tcp.elapsed_ns", "event.duration"),
    ("tcp.age_ns", "event.duration"),
    ("tcp.began", "event.start"),
    ("tcp.close.reason", "event.reason"),
    ("host.name", "host.name"),
    ("host.boot_id", "host.boot.id"),
    ("finding.code", "event.action"),
    ("finding.text", "message"),
];

/// What a body says by the names of ECS.
#[derive(Default)]
pub(crate) struct Told<'a> {
    action: &'a str,
    alert: bool,
    types: &'static [&'static str],
    role: Option<Role>,
    duration: Option<u64>,
    start: Option<&'a str>,
    close: Option<Close>,
    bytes: (Option<u64>, Option<u64>),
    message: Option<&'a str>,
    host: Option<&'a Host>,
}

/// A body that can be told by the names of ECS.
pub(crate) trait Ecs: Serialize {
    /// What it says by these.
    fn told(&self) -> Told<'_>;
}

impl Ecs for TransitionTcp {
    fn told(&self) -> Told<'_> {
        let types: &[&str] = match self.to {
            State::Established => &["connection", "start"],
            State::Closed => &["connection", "end"],
            _ => &["connection", "info"],
        };
        let (duration, close) = (self.elapsed_ns, self.close);
        Told { action: self.to.name(), types, role: self.role, duration, close, ..Told::default() }
    }
}

impl Ecs for SegmentTcp {
    fn told(&self) -> Told<'_> {
        let action = match (self.segment.retransmit, self.segment.direction) {
            (Some(_), _) => "retransmit",
            (None, Direction::Sent) => "reset_sent",
            (None, Direction::Received) => "reset_received",
        };
        Told { action, types: &["connection", "info"], role: self.role, ..Told::default() }
    }
}

impl Ecs for StoryTcp<'_> {
    fn told(&self) -> Told<'_> {
        Told {
            action: "connection",
            types: if self.close.is_some() {
                &["connection", "end"]
            } else {
                &["connection", "info"]
            },
            role: self.role,
            duration: Some(self.duration_ns),
            start: self.began.as_deref(),
            close: self.close,
            bytes: (self.bytes_sent, self.bytes_received),
            ..Told::default()
        }
    }
}

impl Ecs for LingerTcp {
    fn told(&self) -> Told<'_> {
        let (action, types): (_, &[&str]) = ("linger", &["connection", "info"]);
        let duration = Some(self.age_ns);
        Told { action, alert: true, types, role: self.role, duration, ..Told::default() }
    }
}

impl Ecs for SocketTcp {
    fn told(&self) -> Told<'_> {
        Told { action: "socket", types: &["info"], role: self.role, ..Told::default() }
    }
}

impl Ecs for FindingBody {
    fn told(&self) -> Told<'_> {
        let message = Some(&*self.finding.text);
        Told { action: self.code, alert: true, types: &["info"], message, ..Told::default() }
    }
}

macro_rules! named {
    ($($body:ty: $action:literal),+) => {$(
        impl Ecs for $body {
            fn told(&self) -> Told<'_> {
                Told { action: $action, types: &["info"], ..Told::default() }
            }
        }
    )+};
}

impl<T: Ecs> Ecs for &T {
    fn told(&self) -> Told<'_> {
        (*self).told()
    }
}

impl Ecs for HelloBody<'_> {
    fn told(&self) -> Told<'_> {
        let host = self.host.as_ref();
        Told { action: "hello", types: &["info"], host, ..Told::default() }
    }
}

named!(LossBody: "loss", Summary: "summary", DiagnosisBody: "summary");

/// A line by the names of ECS; `R` is all else.
#[derive(Serialize)]
pub(super) struct Document<'a, R> {
    #[serde(rename = "@timestamp")]
    time: &'a str,
    ecs: EcsVersion,
    event: Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<OnHost<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Container>,
    tracer: R,
}

#[derive(Serialize)]
struct EcsVersion {
    version: &'static str,
}

#[derive(Serialize)]
struct OnHost<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<Boot<'a>>,
}

#[derive(Serialize)]
struct Boot<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Event<'a> {
    kind: &'static str,
    module: &'static str,
    dataset: String,
    category: [&'static str; 1],
    r#type: &'static [&'static str],
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

#[derive(Serialize)]
struct Network {
    transport: Transport,
    r#type: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
}

#[derive(Serialize)]
struct End {
    ip: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct Named<'a> {
    pid: u32,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a ParentBody>,
}

#[derive(Serialize)]
struct User {
    id: String,
}

/// What ECS has no names for.
#[derive(Serialize)]
pub(super) struct OfSocket<'a, T> {
    socket: Option<&'a Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<LingerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<&'a Option<Vec<FrameBody<'a>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_gap: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<&'a [Process<'a>]>,
    tcp: &'a T,
}

#[derive(Serialize)]
struct OwnerBody {
    evidence: Evidence,
    #[serde(skip_serializing_if = "Option::is_none")]
    fd: Option<u32>,
}

fn event<'a>(kind: &str, told: &Told<'a>) -> Event<'a> {
    let Told { action, alert, types, duration, start, close, .. } = *told;
    let outcome = close.map(|close| match close.reason {
        Reason::Graceful => "success",
        Reason::Unknown => "unknown",
        _ => "failure",
    });
    Event {
        kind: if alert { "alert" } else { "event" },
        module: "tracer",
        dataset: format!("tracer.{kind}"),
        category: ["network"],
        r#type: types,
        action,
        duration,
        start,
        outcome,
        reason: close.map(|close| close.reason),
    }
}

/// A line that is about a socket.
pub(super) fn of_socket<'a, T: Ecs>(line: &'a Line<'a, T>) -> Document<'a, OfSocket<'a, T>> {
    let told = line.tcp.told();
    let end = |Address { address, port }: Address, bytes| Some(End { ip: address.0, port, bytes });
    let local = end(line.network.local, told.bytes.0);
    let peer = end(line.network.peer, told.bytes.1);
    let (source, destination, direction) = match told.role {
        Some(Role::Client) => (local, peer, Some("egress")),
        Some(Role::Server) => (peer, local, Some("ingress")),
        Some(Role::Listener) => (None, local, Some("ingress")),
        None => (local, peer, None),
    };
    let process = line.process.as_ref();
    Document {
        time: &line.time,
        ecs: EcsVersion { version: ECS },
        event: event(line.kind, &told),
        message: told.message,
        host: None,
        network: Some(Network {
            transport: line.network.transport,
            r#type: line.network.r#type,
            direction,
        }),
        source,
        destination,
        process: process.map(|process| Named {
            pid: process.pid,
            name: &process.name,
            executable: process.executable.as_deref(),
            parent: process.parent.as_ref(),
        }),
        user: line
            .socket
            .as_ref()
            .and_then(|socket| socket.uid)
            .map(|uid| User { id: uid.to_string() }),
        container: line.container.as_ref(),
        tracer: OfSocket {
            socket: line.socket.as_ref(),
            owner: process.map(|&Process { evidence, fd, .. }| OwnerBody { evidence, fd }),
            status: line.status,
            cause: line.cause.as_ref(),
            stack: line.stack.as_ref(),
            stack_gap: line.stack_gap.as_deref(),
            processes: line.processes.as_deref(),
            tcp: &line.tcp,
        },
    }
}

/// A line that is about no socket.
pub(super) fn of_none<'a, T: Ecs>(line: &'a Bare<'_, T>) -> Document<'a, &'a T> {
    let told = line.body.told();
    Document {
        time: &line.time,
        ecs: EcsVersion { version: ECS },
        event: event(line.kind, &told),
        message: told.message,
        host: told.host.map(|Host { name, boot_id }| OnHost {
            name,
            boot: boot_id.as_deref().map(|id| Boot { id }),
        }),
        network: None,
        source: None,
        destination: None,
        process: None,
        user: None,
        container: None,
        tracer: &line.body,
    }
}
