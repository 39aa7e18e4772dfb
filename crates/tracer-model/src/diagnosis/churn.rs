//! Many short connections to one destination, each for one exchange.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    common::{has_room, of_one_name},
    comparison::{Comparison, Detector},
    losses,
};
use tracer_event::{
    close::{Initiator, Reason},
    endpoint::Endpoint,
    finding::{Churn, Finding, PortCost, PortUse, Problem, Scope, Severity, minutes_left},
    process::Process,
    update::{ConnectionSummary, Role, Subject},
};

pub(super) const DETECTORS: &[Detector] = &[churn];

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
/// A connection that is open for longer, or carries more, is used for more than one exchange, or is
/// worth its handshake.
const SHORT: u64 = 2 * SECOND;
const SMALL: u64 = 256 << 10;
/// So many a second, and so many in all, are no checks of a balancer or a script.
const RATE: f64 = 10.0;
const MANY: u64 = 20;
/// A warning where a handshake of at least this time takes half of a connection's life.
const SLOW: u64 = 10 * MILLISECOND;
const LARGE: f64 = 0.5;
/// Less of a connection's life in its handshake is nothing to save, and such a connection may carry many
/// exchanges.
const WORTH_IT: f64 = 0.01;
/// How long TIME_WAIT keeps a port.
const TIME_WAIT: f64 = 60.0;

/// Short connections that were observed from beginning to end, by namespace, process and
/// destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Short(HashMap<(u32, u32, Endpoint), Sum, RandomState>);

#[derive(Clone, Debug)]
struct Sum {
    /// One of them.
    subject: Subject,
    process: Process,
    /// Other processes of the same name.
    others: u64,
    connections: u64,
    lifetime: u64,
    handshake: u64,
    sent: u64,
    received: u64,
    /// Closed by this end first: its port waits in TIME_WAIT.
    closed_first: u64,
    /// When the first and the last of them were over.
    first: u64,
    last: u64,
}

impl Short {
    /// Takes note of a connection that is over.
    pub(super) fn note(&mut self, summary: &ConnectionSummary) {
        let ConnectionSummary { time, subject, began, ended, duration, handshake, close, .. } =
            *summary;
        let (Some(owner), Some(_), Some(_)) = (subject.owner, began, ended) else { return };
        let (Some(sent), Some(received)) = (summary.bytes_sent, summary.bytes_received) else {
            return;
        };
        let Some(handshake) = handshake.and_then(|handshake| handshake.duration_ns) else { return };
        let Some(close) = close.filter(|close| close.reason == Reason::Graceful) else { return };
        let is_exchange = sent > 0 && received > 0 && sent + received <= SMALL;
        if subject.role != Some(Role::Client) || duration > SHORT || !is_exchange {
            return;
        }
        let one = Sum {
            subject,
            process: owner.process,
            others: 0,
            connections: 1,
            lifetime: duration,
            handshake,
            sent,
            received,
            closed_first: u64::from(close.initiator == Some(Initiator::Local)),
            first: time,
            last: time,
        };
        self.sum((subject.tuple.netns, owner.process.pid, subject.tuple.peer), &one);
    }

    /// Adds what was observed next.
    pub(super) fn add(&mut self, later: &Self) {
        for (key, sum) in &later.0 {
            self.sum(*key, sum);
        }
    }

    fn sum(&mut self, key: (u32, u32, Endpoint), more: &Sum) {
        if let Some(sum) = self.0.get_mut(&key) {
            sum.add(more);
        } else if has_room(&self.0, &key) {
            self.0.insert(key, more.clone());
        }
    }

    /// Those that are asked about.
    fn wanted<'a>(&'a self, comparison: &Comparison<'_>) -> Vec<((u32, Endpoint), Cow<'a, Sum>)> {
        let all = self.0.iter().filter(|(_, sum)| comparison.wants_subject(&sum.subject));
        let all = all.map(|((netns, _, peer), sum)| {
            ((*netns, *peer), Some(sum.process), sum.connections, sum)
        });
        of_one_name(all, |first, sum| {
            first.others += 1;
            first.add(sum);
        })
    }
}

impl Sum {
    fn add(&mut self, more: &Self) {
        self.connections += more.connections;
        self.lifetime += more.lifetime;
        self.handshake += more.handshake;
        self.sent += more.sent;
        self.received += more.received;
        self.closed_first += more.closed_first;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

/// Programs that open a connection for each exchange.
fn churn(comparison: &Comparison<'_>) -> Vec<Finding> {
    let since = comparison.input.observed.since;
    let elapsed = comparison.now().saturating_sub(since).max(1);
    let observed = comparison.input.observed.short.wanted(comparison);
    let busy = observed.iter().filter(|(_, sum)| {
        let rate = sum.connections as f64 * 1e9 / elapsed as f64;
        // A burst that is over is no habit.
        let goes_on = (sum.last - sum.first) * 2 >= elapsed;
        sum.connections >= MANY && rate >= RATE && goes_on
    });
    busy.filter_map(|(key, sum)| finding(comparison, *key, sum, elapsed)).collect()
}

fn finding(
    comparison: &Comparison<'_>,
    (netns, peer): (u32, Endpoint),
    sum: &Sum,
    elapsed: u64,
) -> Option<Finding> {
    let rate = sum.connections as f64 * 1e9 / elapsed as f64;
    let local = sum.subject.tuple.local.with_port(0);
    let scarce = is_reported(comparison, netns, Scope::Destination { local, peer });
    let ports = ports(comparison, netns, sum, rate).map(|ports| match scarce {
        // Another finding says when they run out.
        true => PortCost { minutes_left: None, ..ports },
        false => ports,
    });
    let churn = Churn {
        program: comparison.program(sum.process),
        others: sum.others,
        peer,
        connections: sum.connections,
        rate,
        lifetime: sum.lifetime / sum.connections,
        handshake: sum.handshake / sum.connections,
        bytes_sent: sum.sent / sum.connections,
        bytes_received: sum.received / sum.connections,
        ports,
    };
    let runs_out = churn.ports.is_some_and(|ports| ports.minutes_left.is_some());
    // Lost SYNs are no handshakes that reuse would save.
    let is_slow = churn.handshake >= SLOW
        && churn.share() >= LARGE
        && losses::told(comparison, netns, peer).is_none();
    let severity = if runs_out || is_slow { Severity::Warning } else { Severity::Info };
    let takes_ports = churn.ports.is_some_and(|ports| ports.time_wait * 2 >= u64::from(ports.size));
    let is_worth_it = takes_ports || churn.share() >= WORTH_IT;
    is_worth_it.then(|| comparison.finding(severity, netns, Problem::Churn(churn)))
}

/// What is in TIME_WAIT when this has gone on for a minute.
fn ports(comparison: &Comparison<'_>, netns: u32, sum: &Sum, rate: f64) -> Option<PortCost> {
    let facts = comparison.facts(netns)?;
    let size = facts.ports.as_ref()?.size();
    let tuple = sum.subject.tuple;
    let rate = rate * sum.closed_first as f64 / sum.connections as f64;
    if rate == 0.0 {
        return None;
    }
    let time_wait = rate * TIME_WAIT;
    // A port that is taken over after a second does not run out.
    let is_kept = !facts.reuse.applies(tuple.local.address(), tuple.peer.address());
    let scope = Scope::Destination { local: tuple.local.with_port(0), peer: tuple.peer };
    let is_it = |one: &&PortUse| one.netns == netns && one.scope == scope;
    let busy = comparison.ports().iter().find(is_it).map_or(0, PortUse::busy);
    let left = u64::from(size.saturating_sub(busy));
    let minutes = minutes_left(left, rate * TIME_WAIT);
    Some(PortCost {
        time_wait: time_wait as u64,
        size,
        minutes_left: minutes.filter(|_| is_kept && time_wait > f64::from(size)),
    })
}

/// Whether the ports to a destination have a finding of their own.
fn is_reported(comparison: &Comparison<'_>, netns: u32, scope: Scope) -> bool {
    comparison.found.iter().any(|finding| {
        finding.netns == netns
            && matches!(&finding.problem, Problem::EphemeralPorts(ports) if ports.scope == scope)
    })
}
