//! Findings by their evidence. Sentence and remedies are made anew.

use super::{Wrong, lingering::cause, subject};
use crate::{
    model::{
        endpoint::Endpoint,
        finding::{
            AcceptQueue, Descriptors, Finding, Leak, Listener, Made, NoLocalPort, OutOfDescriptors,
            Problem, Program, Service, StuckHandshake, SynBacklog, TimeWaitOverflow,
        },
        host::Counters,
        owner::Process,
        ports::{PortUse, Scope},
    },
    replay::surroundings::stack,
    sink::{
        escape::{harmless, unescape},
        json::{
            evidence::{
                DescriptorsBody, Evidence, LeakBody, ListenerBody, MadeBody, PortsBody,
                ProcessBody, ProgramBody, ScopeName, ServiceBody,
            },
            finding::{FindingBody, Inner},
        },
    },
};

pub(super) fn finding(time: u64, body: FindingBody) -> Result<Finding, Wrong> {
    let FindingBody { status, finding: Inner { evidence, severity, netns, netns_pid, .. }, .. } =
        body;
    let problem = problem(evidence, netns)?;
    Ok(Finding { time, severity, status, netns, entry: netns_pid, problem })
}

fn problem(evidence: Evidence, netns: u32) -> Result<Problem, Wrong> {
    Ok(match evidence {
        Evidence::CloseWaitLeak(body) => Problem::CloseWaitLeak(Box::new(leak(*body)?)),
        Evidence::EphemeralPorts(body) => Problem::EphemeralPorts(ports(body, netns)?),
        Evidence::NoLocalPort(body) => Problem::NoLocalPort(NoLocalPort {
            process: body.process.as_ref().map(process).transpose()?,
            peer: body.peer.into(),
            count: body.count,
            size: body.range_ports,
        }),
        Evidence::AcceptQueueFull(body) => {
            let (listen_overflows, listen_drops) = (body.listen_overflows, body.listen_drops);
            Problem::AcceptQueueFull(AcceptQueue {
                listener: listener(&body.listener)?,
                counted: Counters { listen_overflows, listen_drops, ..Counters::default() },
                somaxconn: body.somaxconn,
            })
        }
        Evidence::SynBacklog(body) => {
            let (syn_drops, syn_cookies) = (body.syn_drops, body.syn_cookies);
            Problem::SynBacklog(SynBacklog {
                half_open: body.half_open,
                local: body.local.map(Endpoint::from),
                counted: Counters { syn_drops, syn_cookies, ..Counters::default() },
                limit: body.max_syn_backlog,
            })
        }
        Evidence::TimeWaitOverflow(body) => Problem::TimeWaitOverflow(TimeWaitOverflow {
            time_wait: body.time_wait,
            limit: body.max_tw_buckets,
            skipped: body.skipped,
            services: body
                .services
                .iter()
                .map(|one| (service(&one.service), one.sockets))
                .collect(),
        }),
        Evidence::Descriptors(body) => Problem::Descriptors(OutOfDescriptors {
            program: program(&body.process)?,
            descriptors: descriptors(&body.descriptors),
        }),
        Evidence::StuckHandshake(body) => Problem::StuckHandshake(StuckHandshake {
            state: body.state,
            process: body.process.as_ref().map(process).transpose()?,
            service: service(&body.service),
            sockets: body.sockets,
            retransmits: body.retransmits,
        }),
    })
}

fn leak(body: LeakBody) -> Result<Leak, Wrong> {
    // Two descriptors are never one, and none is the last number.
    if body.fds.contains(&u32::MAX) {
        return Err(Wrong::Value("a descriptor is out of range".into()));
    }
    Ok(Leak {
        cause: cause(&body.cause)?,
        holders: body.processes.iter().map(program).collect::<Result<_, _>>()?,
        parent: body.parent.as_ref().map(process).transpose()?,
        fds: body.fds,
        sockets: body.sockets,
        service: service(&body.service),
        peers: body.peers.iter().map(|one| (one.peer.into(), one.sockets)).collect(),
        listener: body.listener.as_ref().map(listener).transpose()?,
        oldest: body.oldest_ns,
        at_least: body.at_least,
        growth: body.growth_per_minute,
        unread: body.unread_bytes,
        descriptors: body.descriptors.as_ref().map(descriptors),
        far_ends: body.far_ends,
        far_orphans: body.far_orphans,
        made: body.made.map(made),
    })
}

fn made(MadeBody { stacks, before }: MadeBody) -> Made {
    let stacks = stacks.iter();
    let stacks = stacks.map(|one| (stack(&one.stack, one.stack_gap.as_deref()), one.sockets));
    Made { stacks: stacks.collect(), before }
}

fn ports(body: PortsBody, netns: u32) -> Result<PortUse, Wrong> {
    let local = Endpoint::from(body.local);
    let scope = match (body.scope, body.peer) {
        (ScopeName::Destination, Some(peer)) => Scope::Destination { local, peer: peer.into() },
        (ScopeName::Destination, None) => {
            return Err(Wrong::Value("ports towards a destination that is not named".into()));
        }
        (ScopeName::BindFirst, _) => Scope::Address(local),
    };
    if body.reusable > body.used {
        return Err(Wrong::Value("more ports are reusable than used".into()));
    }
    let users = body.processes.iter().map(|one| Ok((process(&one.process)?, one.sockets)));
    Ok(PortUse {
        netns,
        scope,
        size: body.range_ports,
        used: body.used,
        reusable: body.reusable,
        states: body.states,
        destinations: body.destinations,
        processes: users.collect::<Result<_, Wrong>>()?,
        growth: body.growth_per_minute,
        rate: body.connections_per_second,
    })
}

pub(super) fn process(ProcessBody { pid, name }: &ProcessBody) -> Result<Process, Wrong> {
    subject::process(*pid, name)
}

fn program(body: &ProgramBody) -> Result<Program, Wrong> {
    let ProgramBody { pid, name, executable, container } = body;
    Ok(Program {
        process: subject::process(*pid, name)?,
        executable: executable.as_deref().map(unescape),
        container: container.as_deref().map(|id| harmless(id).into()),
    })
}

pub(super) fn listener(body: &ListenerBody) -> Result<Listener, Wrong> {
    // Words compare multiples of both.
    if body.queue > u32::MAX / 8 || body.backlog > u32::MAX / 8 {
        return Err(Wrong::Value("a queue is out of range".into()));
    }
    Ok(Listener {
        local: body.local.into(),
        processes: body.processes.iter().map(program).collect::<Result<_, _>>()?,
        halted: body.halted,
        queue: body.queue,
        backlog: body.backlog,
        candidates: body.candidates.unwrap_or(1),
    })
}

fn service(service: &ServiceBody) -> Service {
    match service {
        ServiceBody::Local(local) => Service::Here((*local).into()),
        ServiceBody::Peer(peer) => Service::There((*peer).into()),
    }
}

fn descriptors(body: &DescriptorsBody) -> Descriptors {
    Descriptors { open: body.open, limit: body.limit, growth: body.growth_per_minute }
}
