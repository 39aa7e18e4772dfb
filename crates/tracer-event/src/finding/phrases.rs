//! The sentences of the findings for languages other than English (`sentences.ftl`).

mod parts;

use self::parts::{connections, least, peers, with_queue};
use super::{
    AcceptQueue, AcceptWait, Cause, Churn, ClosedButHeld, ConnectFailures, ConnectionResets,
    DeadPeer, DeferredAccept, KeepaliveRace, Leak, NoLocalPort, PeerNotReading, PortUse, Problem,
    ProcessEnded, Scope, Severity, StuckHandshake, StuckState, SynBacklog, TimeWaitOverflow,
    Unanswered,
    words::{a_process, halted, lost, none_left, process as name, programs, rate, service, whose},
};
use crate::{
    close::Reason,
    duration::{duration, grouped, whole_seconds},
    endpoint::Endpoint,
    phrase::{Phrase, Value},
    state::State,
};

impl Problem {
    /// Its sentence.
    pub(super) fn phrase(&self, severity: Severity) -> Phrase {
        match self {
            Self::CloseWaitLeak(leak) => close_wait_leak(leak, severity),
            Self::EphemeralPorts(ports) => ephemeral_ports(ports),
            Self::NoLocalPort(one) => no_local_port(one),
            Self::AcceptQueueFull(queue) => accept_queue_full(queue),
            Self::AcceptWait(wait) => accept_wait(wait),
            Self::DeferredAccept(one) => deferred_accept(one),
            Self::ClosedButHeld(held) => closed_but_held(held),
            Self::SelfConnect(one) => Phrase::new("self-connected")
                .with("who", programs(&one.processes))
                .with("address", one.address.to_string()),
            Self::SynBacklog(one) => syn_backlog(one),
            Self::TimeWaitOverflow(one) => time_wait_overflow(one),
            Self::Descriptors(one) => Phrase::new("descriptors-used")
                .with("who", name(&one.program.process))
                .with("open", grouped(one.descriptors.open))
                .with("limit", grouped(one.descriptors.limit))
                .with("left", none_left(one.descriptors.minutes_left)),
            Self::StuckHandshake(one) => stuck_handshake(one),
            Self::DeadPeer(one) => dead_peer(one),
            Self::PeerNotReading(one) => peer_not_reading(one),
            Self::StuckState(one) => stuck_state(one),
            Self::NoKeepalive(one) => Phrase::new("never-noticed")
                .with("who", name(&one.program.process))
                .with("count", grouped(one.sockets))
                .with("longest", duration(one.longest)),
            Self::Churn(one) => churn(one),
            Self::ProcessEnded(one) => one.phrase(),
            Self::ConnectFailures(one) => connect_failures(one),
            Self::ConnectionResets(one) => connection_resets(one),
            Self::KeepaliveRace(one) => keepalive_race(one),
        }
    }
}

fn ephemeral_ports(ports: &PortUse) -> Phrase {
    let of = match ports.scope {
        Scope::Destination { local, peer } => Phrase::new("ephemeral-ports-destination")
            .with("local", local.address().to_string())
            .with("peer", peer.to_string()),
        Scope::Address(local) => Phrase::new("ephemeral-ports-address")
            .with("local", local.address().to_string())
            .with("destinations", grouped(ports.destinations as u64)),
    };
    let left = ports.minutes_left.filter(|_| ports.busy() < ports.size);
    of.with("busy", grouped(ports.busy().into()))
        .with("size", grouped(ports.size.into()))
        .with("left", none_left(left))
}

fn no_local_port(one: &NoLocalPort) -> Phrase {
    Phrase::new("no-local-port")
        .with("who", a_process(one.process.as_ref()))
        .with("peer", one.peer.to_string())
        .with("times", grouped(one.count))
}

fn deferred_accept(one: &DeferredAccept) -> Phrase {
    Phrase::new("deferred-accept")
        .with("count", grouped(one.half_open))
        .with("oldest", duration(one.oldest))
        .with("listener", whose(&one.listener, ", "))
}

fn syn_backlog(one: &SynBacklog) -> Phrase {
    let lost = match one.syn_drops {
        0 => Phrase::new("syn-backlog-cookies").with("count", grouped(one.syn_cookies)),
        drops => Phrase::new("syn-backlog-drops").with("count", grouped(drops)),
    };
    let at = |local: Endpoint| Phrase::new("at").with("address", local.to_string());
    lost.with("at", one.local.map(at))
}

fn time_wait_overflow(one: &TimeWaitOverflow) -> Phrase {
    let limit = |limit| Phrase::new("limit").with("limit", grouped(limit));
    let of = match one.skipped {
        0 => Phrase::new("time-wait-many"),
        skipped => Phrase::new("time-wait-skipped").with("skipped", grouped(skipped)),
    };
    of.with("count", grouped(one.time_wait)).with("limit", one.limit.map(limit))
}

fn churn(one: &Churn) -> Phrase {
    Phrase::new("churned")
        .with("who", name(&one.program.process))
        .with("rate", rate(one.rate))
        .with("peer", one.peer.to_string())
        .with("lifetime", duration(one.lifetime))
        .with("percent", (one.share() * 100.0).round().to_string())
        .with("left", none_left(one.ports.and_then(|ports| ports.minutes_left)))
}

fn close_wait_leak(leak: &Leak, severity: Severity) -> Phrase {
    let of = |name| {
        Phrase::new(name).with("who", programs(&leak.holders)).with("count", grouped(leak.sockets))
    };
    match leak.cause {
        Cause::NeverAccepted => match &leak.listener {
            Some(from) => with_queue(Phrase::new("close-wait-never-accepted"), from)
                .with("count", grouped(leak.sockets))
                .with("listener", whose(from, ", ")),
            None => Phrase::new("close-wait-listener-gone").with("count", grouped(leak.sockets)),
        },
        Cause::Halted(halt) => of("close-wait-halted").with("halt", halted(halt)),
        Cause::Inherited => {
            of("close-wait-inherited").with("parent", a_process(leak.parent.as_ref()))
        }
        Cause::Unread => of("close-wait-unread").with("unread", grouped(leak.unread)),
        Cause::Held if severity == Severity::Info => of("close-wait-not-yet"),
        Cause::Held => of("close-wait-leak"),
        Cause::PassedOn => of("close-wait-passed-on"),
        Cause::NotPassedOn => of("close-wait-not-passed-on"),
        Cause::Orphaned => Phrase::new("close-wait-orphaned").with("count", grouped(leak.sockets)),
        Cause::Unseen => Phrase::new("close-wait-unseen").with("count", grouped(leak.sockets)),
    }
}

fn accept_queue_full(queue: &AcceptQueue) -> Phrase {
    let from = &queue.listener;
    let phrase = Phrase::new(if from.queue > from.backlog {
        "accept-queue-full"
    } else if u64::from(from.queue) * 5 >= u64::from(from.backlog) * 4 {
        "accept-queue-nearly-full"
    } else {
        "accept-queue-was-full"
    });
    with_queue(phrase, from).with("listener", whose(from, ", "))
}

fn accept_wait(wait: &AcceptWait) -> Phrase {
    let from = &wait.listener;
    let phrase = Phrase::new(if wait.moves { "accept-wait-slow" } else { "accept-wait-nobody" });
    with_queue(phrase, from)
        .with("count", grouped(wait.waiting))
        .with("listener", whose(from, ", "))
        .with("halt", wait.state())
        .with("oldest", least(wait.at_least, wait.oldest))
}

fn closed_but_held(held: &ClosedButHeld) -> Phrase {
    let by = if held.is_parent { "closed-by-parent" } else { "closed-by" };
    Phrase::new("closed-but-held")
        .with("who", programs(&held.holders))
        .with("closer", Phrase::new(by).with("who", name(&held.closed_by)))
        .with("count", grouped(held.sockets))
        .with("service", service(held.service))
        .with("idle", duration(held.idle))
}

fn stuck_handshake(one: &StuckHandshake) -> Phrase {
    let of = match (one.state, one.lost) {
        (State::SynSent, _) => {
            Phrase::new("stuck-syn-sent").with("who", a_process(one.process.as_ref()))
        }
        (_, Some(_)) => Phrase::new("stuck-half-open-lost"),
        (_, None) => Phrase::new("stuck-half-open"),
    };
    of.with("count", grouped(one.sockets))
        .with("service", service(one.service))
        .with("lost", one.lost.map(lost))
}

fn dead_peer(one: &DeadPeer) -> Phrase {
    let of = match one.unanswered {
        Unanswered::Fin => Phrase::new("dead-peer-fin"),
        Unanswered::KeepaliveProbes => {
            Phrase::new("dead-peer-probes").with("tries", one.tries.to_string())
        }
        _ => Phrase::new("dead-peer-data").with("bytes", grouped(one.unacknowledged)),
    };
    let gives_up = |left| Phrase::new("gives-up").with("left", duration(left));
    of.with("peers", peers(&one.connections))
        .with("since", duration(one.since))
        .with("connections", connections(&one.connections))
        .with("gives-up", one.gives_up.map(gives_up))
}

fn peer_not_reading(one: &PeerNotReading) -> Phrase {
    let fin = match one.fins_waiting {
        0 => None,
        fins => Some(Phrase::new("fins-waiting").with("fins", grouped(fins))),
    };
    let who = match one.readers.as_slice() {
        [] => peers(&one.connections),
        readers => programs(readers).into(),
    };
    Phrase::new("peer-not-reading")
        .with("who", who)
        .with("closed", duration(one.closed))
        .with("bytes", grouped(one.unsent))
        .with("fin", fin)
        .with("connections", connections(&one.connections))
}

fn stuck_state(one: &StuckState) -> Phrase {
    let cause = match one.state {
        State::SynSent | State::SynRecv => "stuck-no-answer",
        State::FinWait2 => "stuck-peer-open",
        State::TimeWait => "stuck-late-fins",
        State::FinWait1 | State::Closing | State::LastAck => "stuck-fin",
        State::CloseWait | State::Established | State::Listen | State::Closed => "stuck-data",
    };
    Phrase::new("stuck-in-state")
        .with("connections", connections(&one.connections))
        .with("state", one.state.to_string())
        .with("oldest", duration(one.oldest))
        .with("cause", Phrase::new(cause))
}

impl ProcessEnded {
    /// Who ended, and how its connections did, for languages other than English.
    pub fn phrase(&self) -> Phrase {
        let ends = &self.ends;
        let counts = [
            ("ended-normally", ends.closed_normally),
            ("ended-reset", ends.reset),
            ("ended-unread", ends.unread),
            ("ended-unacknowledged", ends.unacknowledged),
            ("ended-never-accepted", ends.never_accepted),
            ("ended-still-closing", self.still_closing),
        ];
        let known = counts.into_iter().filter(|(_, count)| *count > 0);
        let mut parts: Vec<Phrase> =
            known.map(|(name, count)| Phrase::new(name).with("count", grouped(count))).collect();
        if parts.is_empty() {
            parts.push(Phrase::new("ended-none"));
        }
        let first = name(&self.process);
        let who: Value = match &self.group {
            None => first.into(),
            Some(group) => Phrase::new("ended-group")
                .with("group", group.name())
                .with("who", first)
                .with("count", grouped(group.processes))
                .into(),
        };
        Phrase::new("process-ended").with("who", who).with("ends", parts)
    }
}

fn connect_failures(one: &ConnectFailures) -> Phrase {
    let failed: u64 = one.failures.iter().map(|failure| failure.attempts).sum();
    let of = if failed == 0 {
        Phrase::new("connect-slow")
            .with("again", grouped(one.retransmitted))
            .with("delay", duration(one.delay))
    } else {
        let kind = |reason| match reason {
            Reason::Refused => "failed-refused",
            Reason::Unreachable => "failed-unreachable",
            Reason::ConnectTimeout => "failed-timed-out",
            _ => "failed-given-up",
        };
        let each = one.failures.iter();
        let each =
            each.map(|one| Phrase::new(kind(one.reason)).with("count", grouped(one.attempts)));
        let name = if one.attempts > 1 { "connect-failures" } else { "connect-failed-once" };
        Phrase::new(name).with("failed", grouped(failed)).with("kinds", each.collect::<Vec<_>>())
    };
    of.with("who", a_process(one.process.as_ref()))
        .with("peer", one.peer.to_string())
        .with("attempts", grouped(one.attempts))
        .with("since", whole_seconds(one.since))
}

fn connection_resets(one: &ConnectionResets) -> Phrase {
    let bad: u64 = one.ends.iter().map(|end| end.connections).sum();
    Phrase::new("connection-resets")
        .with("who", a_process(one.process.as_ref()))
        .with("service", service(one.service))
        .with("ended", grouped(one.ended))
        .with("bad", grouped(bad))
        .with("kind", one.kind())
        .with("since", whole_seconds(one.since))
}

fn keepalive_race(one: &KeepaliveRace) -> Phrase {
    let server = match &one.server {
        Some(program) => name(&program.process),
        None => one.service.to_string(),
    };
    Phrase::new("keepalive-race")
        .with("who", a_process(one.client.as_ref()))
        .with("count", grouped(one.resets))
        .with("server", server)
        .with("timer", one.timer())
        .with("since", whole_seconds(one.since))
}
