//! Any finding.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{option, prelude::*, sample::select};

use super::{bytes, close, doing::doing, end, pods::pod_name, process, stack, state, time};
use tracer_event::{
    close::{Close, Initiator},
    finding::{
        AcceptQueue, AcceptWait, BadEnd, Cause, ClosedButHeld, ConnectFailure, ConnectFailures,
        ConnectionResets, DeferredAccept, Descriptors, Finding, Holds, KeepaliveRace, Leak,
        Listener, ListensElsewhere, LostSegment, Made, NoLocalPort, OutOfDescriptors, PortUse,
        Problem, Program, Recovered, Scope, SelfConnect, Service, Severity, Status, StillOpen,
        StuckHandshake, SynBacklog, TimeWaitOverflow, Worker,
    },
    host::Entry,
    process::{Executable, Halt},
    state::State,
};

fn program() -> BoxedStrategy<Program> {
    let name = || option::of("[a-z0-9]{1,64}");
    (process(), option::of(bytes(40)), name(), name(), pod_name(), name(), name())
        .prop_map(|(process, executable, container, pod, pod_name, unit, freezer)| Program {
            process,
            executable: executable.map(|path| Executable::of(&path)),
            container: container.map(Into::into),
            pod: pod.map(Into::into),
            pod_name,
            unit: unit.map(Into::into),
            freezer: freezer.map(Into::into),
        })
        .boxed()
}

fn halt() -> BoxedStrategy<Halt> {
    select(vec![Halt::Stopped, Halt::Traced, Halt::Frozen]).boxed()
}

pub(super) fn listener() -> BoxedStrategy<Listener> {
    let processes = prop::collection::vec(program(), 0..3);
    let state = (option::of(halt()), option::of(doing()));
    (end(), processes, state, 0..70_000_u32, 0..70_000_u32, 1..4_u32)
        .prop_map(|(local, processes, (halted, doing), queue, backlog, candidates)| Listener {
            local,
            processes,
            halted,
            doing,
            queue,
            backlog,
            candidates,
        })
        .boxed()
}

fn lost() -> BoxedStrategy<Option<LostSegment>> {
    use LostSegment::{Ack, Syn, SynAck};
    option::of(select(vec![Syn, SynAck, Ack])).boxed()
}

fn accepting() -> BoxedStrategy<Problem> {
    let counts = any::<(u64, u64, u64, u32, u64)>();
    let flags = any::<(bool, bool, bool, bool)>();
    let worker = (process(), any::<u64>());
    let worker = worker.prop_map(|(process, accepted)| Worker { process, accepted });
    let who = (option::of(process()), prop::collection::vec(worker, 0..3));
    let wait = (listener(), counts, flags, who, option::of(descriptors()));
    let wait = wait.prop_map(|(listener, counts, flags, (listened, workers), descriptors)| {
        let (waiting, given_up, oldest, siblings, siblings_waiting) = counts;
        let (at_least, moves, leaderless, uneven) = flags;
        Problem::AcceptWait(Box::new(AcceptWait {
            listener,
            waiting,
            given_up,
            oldest,
            at_least,
            moves,
            listened,
            leaderless,
            siblings,
            siblings_waiting,
            descriptors,
            workers,
            uneven,
        }))
    });
    let deferred = (listener(), any::<(u64, u64)>()).prop_map(|(listener, (half_open, oldest))| {
        Problem::DeferredAccept(DeferredAccept { listener, half_open, oldest })
    });
    prop_oneof![wait, deferred].boxed()
}

fn held() -> BoxedStrategy<Problem> {
    let fds = prop::collection::btree_set(0..100_000_u32, 0..6);
    let who = (prop::collection::vec(program(), 0..4), process(), option::of(doing()));
    let held = (who, fds, any::<(bool, bool)>(), (service(), end()), any::<(u64, u64)>());
    let held = held.prop_map(|((holders, closed_by, doing), fds, flags, of, counts)| {
        let ((is_parent, accepted), (service, peer), (sockets, idle)) = (flags, of, counts);
        let fds = fds.into_iter().collect();
        Problem::ClosedButHeld(Box::new(ClosedButHeld {
            sockets,
            holders,
            fds,
            closed_by,
            is_parent,
            accepted,
            may_serve: accepted,
            service,
            peer,
            idle,
            doing,
        }))
    });
    let range = option::of(any::<(u16, u16)>());
    let reserved = prop::collection::vec(any::<(u16, u16)>(), 0..3);
    let itself = (prop::collection::vec(program(), 0..3), end(), range, reserved);
    let itself = itself.prop_map(|(processes, address, range, reserved)| {
        Problem::SelfConnect(SelfConnect { processes, address, range, reserved })
    });
    let listening = prop::collection::vec(end(), 0..3);
    let refused = (prop::collection::vec(program(), 0..3), listening, end(), any::<u64>());
    let elsewhere = refused.prop_map(|(processes, listening, address, attempts)| {
        let peers = vec![(address.with_port(0), attempts)];
        let clients = Vec::new();
        let found = ListensElsewhere { processes, listening, address, attempts, peers, clients };
        Problem::ListensElsewhere(Box::new(found))
    });
    prop_oneof![held, itself, elsewhere].boxed()
}

pub(super) fn cause() -> BoxedStrategy<Cause> {
    use Cause::{
        AwaitsAnswer, Halted, Held, Inherited, NeverAccepted, NotPassedOn, Orphaned, PassedOn,
        Unread, Unseen,
    };
    let bare = select(vec![
        NeverAccepted,
        Inherited,
        Unread,
        Held,
        PassedOn,
        NotPassedOn,
        AwaitsAnswer,
        Orphaned,
        Unseen,
    ]);
    prop_oneof![bare, halt().prop_map(Halted)].boxed()
}

fn service() -> BoxedStrategy<Service> {
    prop_oneof![end().prop_map(Service::Here), end().prop_map(Service::There)].boxed()
}

fn descriptors() -> BoxedStrategy<Descriptors> {
    (any::<u32>(), any::<u32>(), -1e6..1e6_f64)
        .prop_map(|(open, limit, growth)| Descriptors::new(open.into(), limit.into(), growth))
        .boxed()
}

fn states() -> BoxedStrategy<BTreeMap<State, u64>> {
    prop::collection::btree_map(state(), any::<u64>(), 0..4).boxed()
}

#[expect(clippy::too_many_lines, reason = "one strategy a kind")]
fn leak() -> BoxedStrategy<Problem> {
    let who = (prop::collection::vec(program(), 0..4), option::of(process()), cause());
    let fds = prop::collection::btree_set(0..100_000_u32, 0..6);
    let whom =
        (service(), prop::collection::vec((end(), any::<u64>()), 0..3), option::of(listener()));
    let counts = (any::<(u32, u64, bool, u64, u64)>(), -1e3..1e3_f64, states());
    let stacks = prop::collection::vec((stack().prop_map(Arc::new), any::<u64>()), 0..3);
    let made = option::of((stacks, any::<u32>()));
    (who, fds, whom, counts, option::of(descriptors()), made)
        .prop_map(
            |(
                (holders, parent, cause),
                fds,
                (service, peers, listener),
                counts,
                descriptors,
                made,
            )| {
                let ((sockets, oldest, at_least, unread, peer_orphans), growth, peer_sockets) =
                    counts;
                Problem::CloseWaitLeak(Box::new(Leak {
                    cause,
                    holders,
                    heirs: Vec::new(),
                    parent,
                    fds: fds.into_iter().collect(),
                    sockets: sockets.into(),
                    service,
                    peers,
                    listener,
                    oldest,
                    at_least,
                    growth,
                    unread,
                    descriptors,
                    peer_sockets,
                    peer_orphans,
                    other_side: None,
                    made: made.map(|(stacks, before)| Made { stacks, before: before.into() }),
                }))
            },
        )
        .boxed()
}

fn ports(netns: u32) -> BoxedStrategy<Problem> {
    let scope = prop_oneof![
        (end(), end()).prop_map(|(local, peer)| Scope::Destination { local, peer }),
        end().prop_map(Scope::Address),
    ];
    let users = prop::collection::vec((process(), any::<u64>()), 0..3);
    let numbers = (any::<u16>(), any::<u16>(), 0..9_usize, -1e3..1e3_f64, 0.0..1e6_f64);
    (scope, users, states(), numbers)
        .prop_map(move |(scope, processes, states, (size, used, destinations, growth, rate))| {
            Problem::EphemeralPorts(
                PortUse {
                    netns,
                    scope,
                    size: size.into(),
                    used: used.into(),
                    reusable: u32::from(used) / 3,
                    states,
                    destinations,
                    processes,
                    growth: 0.0,
                    rate,
                    minutes_left: None,
                }
                .growing(growth),
            )
        })
        .boxed()
}

#[expect(clippy::too_many_lines, reason = "one strategy a kind")]
fn others() -> BoxedStrategy<Problem> {
    let who = || option::of(process());
    let limit = any::<Option<u64>>;
    prop_oneof![
        (who(), end(), any::<(u64, u64)>(), any::<Option<u32>>()).prop_map(
            |(process, peer, (others, count), size)| {
                Problem::NoLocalPort(NoLocalPort { process, others, peer, count, size })
            }
        ),
        (listener(), any::<Option<u32>>(), any::<(u64, u64)>(), limit(), option::of(descriptors()))
            .prop_map(|(listener, dropped, counts, somaxconn, descriptors)| {
                let (listen_overflows, listen_drops) = counts;
                Problem::AcceptQueueFull(AcceptQueue {
                    listener,
                    dropped,
                    listen_overflows,
                    listen_drops,
                    somaxconn,
                    descriptors,
                })
            }),
        (any::<u64>(), option::of(end()), any::<(u64, u64)>(), limit()).prop_map(
            |(half_open, local, (syn_drops, syn_cookies), limit)| {
                let backlog = limit.map(|limit| limit as u32);
                let backlog =
                    SynBacklog { half_open, local, backlog, syn_drops, syn_cookies, limit };
                Problem::SynBacklog(backlog)
            }
        ),
        (any::<(u64, u64)>(), limit(), prop::collection::vec((service(), any::<u64>()), 0..3))
            .prop_map(|((time_wait, skipped), limit, services)| {
                let closed_first = Initiator::Local;
                let overflow =
                    TimeWaitOverflow { time_wait, limit, skipped, services, closed_first };
                Problem::TimeWaitOverflow(overflow)
            }),
        (program(), descriptors(), option::of((service(), any::<[u64; 4]>()))).prop_map(
            |(program, descriptors, holds)| {
                let holds = holds.map(|(service, [sockets, of_service, idle, others])| Holds {
                    sockets,
                    service,
                    of_service,
                    idle,
                    others,
                });
                Problem::Descriptors(OutOfDescriptors { program, descriptors, holds })
            }
        ),
        (state(), who(), service(), any::<(u64, u64, u8, u64)>(), lost()).prop_map(
            |(state, process, service, (others, sockets, retransmits, answering), lost)| {
                Problem::StuckHandshake(StuckHandshake {
                    state,
                    process,
                    others,
                    service,
                    sockets,
                    retransmits,
                    lost,
                    answering,
                })
            }
        ),
    ]
    .boxed()
}

/// What the ends of connections show.
#[expect(clippy::too_many_lines, reason = "one strategy a kind")]
fn endings() -> BoxedStrategy<Problem> {
    let counts = any::<[u64; 4]>;
    let failures = (close(), any::<u64>(), lost());
    let failures = failures.prop_map(|(close, attempts, lost)| ConnectFailure {
        reason: close.reason,
        icmp: close.icmp,
        lost,
        attempts: attempts >> 4,
    });
    let ends = (close(), any::<u64>()).prop_map(|(Close { reason, idle: waited, .. }, number)| {
        BadEnd { reason, connections: number >> 4, waited, after_fin: number % 2 == 1 }
    });
    let times = option::of(any::<u64>());
    prop_oneof![
        (
            option::of(process()),
            end(),
            any::<[u64; 6]>(),
            prop::collection::vec(failures, 0..3),
            (times.clone(), times, option::of(listener()))
        )
            .prop_map(|(process, peer, counts, failures, (p50, p99, listener))| {
                let [others, attempts, retransmitted, answered, delay, since] = counts;
                Problem::ConnectFailures(Box::new(ConnectFailures {
                    process,
                    others,
                    peer,
                    attempts,
                    failures,
                    retransmitted,
                    answered,
                    delay,
                    p50,
                    p99,
                    since,
                    recovered: p50.map(|outage| Recovered { outage, since }),
                    listener,
                }))
            }),
        (option::of(process()), service(), any::<[u64; 3]>(), prop::collection::vec(ends, 0..3))
            .prop_map(|(process, service, [others, ended, since], ends)| {
                Problem::ConnectionResets(ConnectionResets {
                    process,
                    others,
                    service,
                    ended,
                    ends,
                    still_open: process.map(|_| StillOpen { connections: others, process }),
                    since,
                })
            }),
        (option::of(program()), option::of(process()), end(), counts(), any::<[u64; 3]>())
            .prop_map(|(server, client, service, [resets, closed, idle, spread], rest)| {
                let [shortest, longest, since] = rest;
                Problem::KeepaliveRace(Box::new(KeepaliveRace {
                    server,
                    client,
                    service,
                    resets,
                    closed,
                    idle,
                    spread,
                    shortest,
                    longest,
                    since,
                }))
            }),
    ]
    .boxed()
}

pub(super) fn finding() -> BoxedStrategy<Finding> {
    let severity = select(vec![Severity::Info, Severity::Warning, Severity::Critical]);
    let status = select(vec![Status::Raised, Status::Continues, Status::Cleared]);
    let netns = 1..5_u32;
    (time(), severity, status, any::<Option<u32>>(), netns)
        .prop_flat_map(|(time, severity, status, entry, netns)| {
            let problem =
                prop_oneof![leak(), ports(netns), others(), accepting(), held(), endings()];
            let entry = entry.map(Entry::Process);
            problem.prop_map(move |problem| Finding {
                entry: entry.clone(),
                ..Finding { time, severity, status, netns, entry: None, problem }
            })
        })
        .boxed()
}
