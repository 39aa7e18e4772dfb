//! The evidence of each kind of finding.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::Address;
use crate::{
    model::{
        close::Initiator,
        finding::{
            AcceptQueue, Descriptors, Leak, Listener, Made, NoLocalPort, Problem, Program, Service,
            StuckHandshake, SynBacklog, TimeWaitOverflow,
        },
        host::Halt,
        owner::Process,
        ports::{PortUse, Scope},
        state::State,
    },
    sink::{
        escape::escape,
        stack::{FrameBody, frames, gap},
    },
};

/// `code` says which, `evidence` holds it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", content = "evidence", rename_all = "snake_case")]
pub(crate) enum Evidence {
    CloseWaitLeak(Box<LeakBody>),
    EphemeralPorts(PortsBody),
    NoLocalPort(NoPortBody),
    AcceptQueueFull(QueueBody),
    SynBacklog(BacklogBody),
    TimeWaitOverflow(TimeWaitBody),
    Descriptors(OutOfBody),
    StuckHandshake(StuckBody),
}

/// A process.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ProcessBody {
    /// Process id in the initial pid namespace.
    pub(crate) pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    pub(crate) name: String,
}

/// A process and the program it runs.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ProgramBody {
    /// Process id in the initial pid namespace.
    pub(crate) pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    pub(crate) name: String,
    /// Path of the program it runs.
    pub(crate) executable: Option<String>,
    /// Id (docker, containerd, CRI-O, podman) or name (LXC, nspawn) of its container.
    pub(crate) container: Option<String>,
}

/// A listener and its accept queue.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ListenerBody {
    /// Its address.
    pub(crate) local: Address,
    /// Who holds it.
    pub(crate) processes: Vec<ProgramBody>,
    /// Why none of these can run.
    pub(crate) halted: Option<Halt>,
    /// Connections that wait for accept().
    pub(crate) queue: u32,
    /// The most that may wait.
    pub(crate) backlog: u32,
    /// Listeners that share the address by SO_REUSEPORT and have connections waiting, where it is
    /// not known which of them it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) candidates: Option<u32>,
}

/// What connections have in common that differ in the port of one end only.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServiceBody {
    Local(Address),
    Peer(Address),
}

/// Descriptors of a process.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct DescriptorsBody {
    pub(crate) open: u64,
    pub(crate) limit: u64,
    pub(crate) growth_per_minute: f64,
    pub(crate) minutes_left: Option<f64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct LeakBody {
    /// Why they stay.
    pub(crate) cause: String,
    pub(crate) sockets: u64,
    /// Who holds them.
    pub(crate) processes: Vec<ProgramBody>,
    /// The parent that closed its copy.
    pub(crate) parent: Option<ProcessBody>,
    /// Descriptors of the first process.
    pub(crate) fds: Vec<u32>,
    pub(crate) service: ServiceBody,
    pub(crate) peers: Vec<PeerBody>,
    /// The listener whose connections nobody accepts.
    pub(crate) listener: Option<ListenerBody>,
    /// Longest time in CLOSE_WAIT.
    pub(crate) oldest_ns: u64,
    pub(crate) at_least: bool,
    pub(crate) growth_per_minute: f64,
    pub(crate) unread_bytes: u64,
    pub(crate) descriptors: Option<DescriptorsBody>,
    /// States of those far ends that are on this host.
    pub(crate) far_ends: BTreeMap<State, u64>,
    /// How many of these no process holds any more.
    pub(crate) far_orphans: u64,
    /// The code that made them (`--stacks`).
    pub(crate) made: Option<MadeBody>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct PeerBody {
    pub(crate) peer: Address,
    pub(crate) sockets: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MadeBody {
    pub(crate) stacks: Vec<MadeStack>,
    /// Sockets whose stack was not recorded.
    pub(crate) before: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MadeStack {
    pub(crate) sockets: u64,
    pub(crate) stack: Vec<FrameBody<'static>>,
    pub(crate) stack_gap: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct PortsBody {
    /// `destination`, or `bind_first` for ports that bind() has chosen.
    pub(crate) scope: ScopeName,
    pub(crate) local: Address,
    pub(crate) peer: Option<Address>,
    pub(crate) destinations: usize,
    pub(crate) processes: Vec<UserBody>,
    /// Ports that there are to choose from.
    pub(crate) range_ports: u32,
    pub(crate) used: u32,
    /// Of these, what connect() may take over from TIME_WAIT.
    pub(crate) reusable: u32,
    /// How many sockets in each state (`sockets` in schema 1.0).
    #[serde(alias = "sockets")]
    pub(crate) states: BTreeMap<State, u64>,
    pub(crate) growth_per_minute: f64,
    pub(crate) connections_per_second: f64,
    pub(crate) minutes_left: Option<f64>,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeName {
    Destination,
    BindFirst,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct UserBody {
    pub(crate) process: ProcessBody,
    pub(crate) sockets: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct NoPortBody {
    pub(crate) process: Option<ProcessBody>,
    pub(crate) peer: Address,
    /// Failed calls of connect().
    pub(crate) count: u64,
    pub(crate) range_ports: Option<u32>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct QueueBody {
    pub(crate) listener: ListenerBody,
    pub(crate) listen_overflows: u64,
    pub(crate) listen_drops: u64,
    pub(crate) somaxconn: Option<u64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct BacklogBody {
    pub(crate) half_open: u64,
    pub(crate) local: Option<Address>,
    pub(crate) syn_drops: u64,
    pub(crate) syn_cookies: u64,
    pub(crate) max_syn_backlog: Option<u64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct TimeWaitBody {
    pub(crate) time_wait: u64,
    pub(crate) max_tw_buckets: Option<u64>,
    /// Connections that skipped TIME_WAIT.
    pub(crate) skipped: u64,
    pub(crate) services: Vec<ServiceCount>,
    /// Whoever closes first keeps the TIME_WAIT.
    pub(crate) closed_first: Initiator,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ServiceCount {
    pub(crate) service: ServiceBody,
    pub(crate) sockets: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct OutOfBody {
    pub(crate) process: ProgramBody,
    pub(crate) descriptors: DescriptorsBody,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct StuckBody {
    pub(crate) state: State,
    pub(crate) process: Option<ProcessBody>,
    pub(crate) service: ServiceBody,
    pub(crate) sockets: u64,
    pub(crate) retransmits: u8,
}

impl From<&Problem> for Evidence {
    fn from(problem: &Problem) -> Self {
        match problem {
            Problem::CloseWaitLeak(leak) => Self::CloseWaitLeak(Box::new(LeakBody::from(&**leak))),
            Problem::EphemeralPorts(ports) => Self::EphemeralPorts(ports.into()),
            Problem::NoLocalPort(NoLocalPort { process, peer, count, size }) => {
                Self::NoLocalPort(NoPortBody {
                    process: process.as_ref().map(ProcessBody::from),
                    peer: (*peer).into(),
                    count: *count,
                    range_ports: *size,
                })
            }
            Problem::AcceptQueueFull(AcceptQueue { listener, counted, somaxconn }) => {
                Self::AcceptQueueFull(QueueBody {
                    listener: listener.into(),
                    listen_overflows: counted.listen_overflows,
                    listen_drops: counted.listen_drops,
                    somaxconn: *somaxconn,
                })
            }
            Problem::SynBacklog(SynBacklog { half_open, local, counted, limit }) => {
                Self::SynBacklog(BacklogBody {
                    half_open: *half_open,
                    local: local.map(Address::from),
                    syn_drops: counted.syn_drops,
                    syn_cookies: counted.syn_cookies,
                    max_syn_backlog: *limit,
                })
            }
            Problem::TimeWaitOverflow(overflow) => Self::TimeWaitOverflow(overflow.into()),
            Problem::Descriptors(out) => Self::Descriptors(OutOfBody {
                process: (&out.program).into(),
                descriptors: (&out.descriptors).into(),
            }),
            Problem::StuckHandshake(stuck) => Self::StuckHandshake(stuck.into()),
        }
    }
}

impl From<&Process> for ProcessBody {
    fn from(process: &Process) -> Self {
        Self { pid: process.pid, name: escape(process.name()).into_owned() }
    }
}

impl From<&Program> for ProgramBody {
    fn from(Program { process, executable, container }: &Program) -> Self {
        Self {
            pid: process.pid,
            name: escape(process.name()).into_owned(),
            executable: executable.as_ref().map(|path| escape(path).into_owned()),
            container: container.as_deref().map(str::to_owned),
        }
    }
}

impl From<&Listener> for ListenerBody {
    fn from(listener: &Listener) -> Self {
        let Listener { local, processes, halted, queue, backlog, candidates } = listener;
        Self {
            local: (*local).into(),
            processes: processes.iter().map(ProgramBody::from).collect(),
            halted: *halted,
            queue: *queue,
            backlog: *backlog,
            candidates: (*candidates != 1).then_some(*candidates),
        }
    }
}

impl From<Service> for ServiceBody {
    fn from(service: Service) -> Self {
        match service {
            Service::Here(local) => Self::Local(local.into()),
            Service::There(peer) => Self::Peer(peer.into()),
        }
    }
}

impl From<&Descriptors> for DescriptorsBody {
    fn from(descriptors: &Descriptors) -> Self {
        Self {
            open: descriptors.open,
            limit: descriptors.limit,
            growth_per_minute: descriptors.growth,
            minutes_left: descriptors.minutes_left(),
        }
    }
}

impl From<&Leak> for LeakBody {
    fn from(leak: &Leak) -> Self {
        let peers = leak.peers.iter();
        Self {
            cause: leak.cause.name().to_owned(),
            sockets: leak.sockets,
            processes: leak.holders.iter().map(ProgramBody::from).collect(),
            parent: leak.parent.as_ref().map(ProcessBody::from),
            fds: leak.fds.clone(),
            service: leak.service.into(),
            peers: peers.map(|&(peer, sockets)| PeerBody { peer: peer.into(), sockets }).collect(),
            listener: leak.listener.as_ref().map(ListenerBody::from),
            oldest_ns: leak.oldest,
            at_least: leak.at_least,
            growth_per_minute: leak.growth,
            unread_bytes: leak.unread,
            descriptors: leak.descriptors.as_ref().map(DescriptorsBody::from),
            far_ends: leak.far_ends.clone(),
            far_orphans: leak.far_orphans,
            made: leak.made.as_ref().map(MadeBody::from),
        }
    }
}

impl From<&Made> for MadeBody {
    fn from(Made { stacks, before }: &Made) -> Self {
        let told = stacks.iter().map(|(stack, sockets)| MadeStack {
            sockets: *sockets,
            stack: frames(stack).into_iter().map(FrameBody::into_owned).collect(),
            stack_gap: gap(stack),
        });
        Self { stacks: told.collect(), before: *before }
    }
}

impl From<&PortUse> for PortsBody {
    fn from(ports: &PortUse) -> Self {
        let (scope, local, peer) = match ports.scope {
            Scope::Destination { local, peer } => (ScopeName::Destination, local, Some(peer)),
            Scope::Address(local) => (ScopeName::BindFirst, local, None),
        };
        let users = ports.processes.iter();
        let user = |(process, sockets): &(Process, u64)| UserBody {
            process: process.into(),
            sockets: *sockets,
        };
        Self {
            scope,
            local: local.into(),
            peer: peer.map(Address::from),
            destinations: ports.destinations,
            processes: users.map(user).collect(),
            range_ports: ports.size,
            used: ports.used,
            reusable: ports.reusable,
            states: ports.states.clone(),
            growth_per_minute: ports.growth,
            connections_per_second: ports.rate,
            minutes_left: ports.minutes_left(),
        }
    }
}

impl From<&TimeWaitOverflow> for TimeWaitBody {
    fn from(overflow: &TimeWaitOverflow) -> Self {
        let services = overflow.services.iter();
        let count =
            |&(one, sockets): &(Service, u64)| ServiceCount { service: one.into(), sockets };
        Self {
            time_wait: overflow.time_wait,
            max_tw_buckets: overflow.limit,
            skipped: overflow.skipped,
            services: services.map(count).collect(),
            closed_first: Initiator::Local,
        }
    }
}

impl From<&StuckHandshake> for StuckBody {
    fn from(stuck: &StuckHandshake) -> Self {
        Self {
            state: stuck.state,
            process: stuck.process.as_ref().map(ProcessBody::from),
            service: stuck.service.into(),
            sockets: stuck.sockets,
            retransmits: stuck.retransmits,
        }
    }
}
