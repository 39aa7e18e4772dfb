//! What is counted and measured, for Prometheus and for OTLP: pure, from updates to numbers.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one
//! (`system.network.connection.count`), own ones begin with `tracer.`; Prometheus writes them with
//! underscores and the unit (`docs/metrics.md` lists them). No label has a value that anybody can
//! make up without a bound: no ports, pids or peers, and few names of processes.

mod family;
mod histogram;
mod lingering;
mod measuring;
#[cfg(test)]
pub(crate) mod tests;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

pub use self::{
    family::{Families, Family, Labels, Points, Unit},
    histogram::Histogram,
    measuring::{Measuring, Shared},
};
use self::{
    family::{label, word},
    histogram::{HANDSHAKE, STATE},
    lingering::Lingering,
};
use super::{Moment, escape::escape};
use crate::model::{
    close::{Initiator, Reason},
    finding::{Severity, Status},
    ports::{PortUse, Scope},
    state::State,
    update::{Direction, LossPlace, Role, Segment, Source, Story, Transition, Update},
};

/// Where something can be lost: each is told, zero or not.
const PLACES: [LossPlace; 6] = [
    LossPlace::RingBuffer,
    LossPlace::Recursion,
    LossPlace::Decode,
    LossPlace::Unseen,
    LossPlace::Output,
    LossPlace::Otlp,
];
const ROLES: [Role; 2] = [Role::Client, Role::Server];
const DIRECTIONS: [Direction; 2] = [Direction::Sent, Direction::Received];
const SEGMENTS: [Segment; 3] = [Segment::Syn, Segment::SynAck, Segment::Fin];

/// All that is counted since the start, and how things stand.
#[derive(Clone, Debug)]
pub struct Metrics {
    kernel: String,
    /// By state, where they are known.
    sockets: Option<[u64; State::COUNT]>,
    ports: std::sync::Arc<[PortUse]>,
    transitions: HashMap<(State, State, Source), u64, RandomState>,
    handshakes: [Histogram; ROLES.len()],
    durations: [Histogram; State::COUNT],
    closes: HashMap<(Reason, Option<Initiator>), u64, RandomState>,
    retransmits: [u64; SEGMENTS.len()],
    resets: [u64; DIRECTIONS.len()],
    lingering: Lingering,
    findings: HashMap<(&'static str, Severity), u64, RandomState>,
    lost: [u64; PLACES.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            kernel: String::new(),
            sockets: None,
            ports: std::sync::Arc::default(),
            transitions: HashMap::default(),
            handshakes: std::array::from_fn(|_| Histogram::new(HANDSHAKE)),
            durations: std::array::from_fn(|_| Histogram::new(STATE)),
            closes: HashMap::default(),
            retransmits: [0; SEGMENTS.len()],
            resets: [0; DIRECTIONS.len()],
            lingering: Lingering::default(),
            findings: HashMap::default(),
            lost: [0; PLACES.len()],
        }
    }
}

impl Metrics {
    /// Of a host with this kernel.
    pub fn set_kernel(&mut self, release: &str) {
        self.kernel = escape(release.as_bytes()).into_owned();
    }

    /// How things stand now.
    pub fn stand(&mut self, moment: &Moment<'_>) {
        self.sockets = moment.table.map(|table| State::ALL.map(|state| table.count(state)));
        if !std::sync::Arc::ptr_eq(&self.ports, moment.ports) {
            self.ports = std::sync::Arc::clone(moment.ports);
        }
    }

    /// Counts one update.
    pub fn count(&mut self, update: &Update<'_>) {
        match *update {
            Update::Transition(told) => self.transition(told),
            Update::Story(&Story { close: Some(close), .. }) => {
                *self.closes.entry((close.reason, close.initiator)).or_default() += 1;
            }
            Update::Story(_) => {}
            Update::Retransmit(told) => add(&mut self.retransmits, &SEGMENTS, &told.segment, 1),
            Update::Reset(told) => add(&mut self.resets, &DIRECTIONS, &told.direction, 1),
            Update::Linger(lingers) => {
                lingers.iter().for_each(|linger| self.lingering.count(linger));
            }
            Update::Loss(loss) => add(&mut self.lost, &PLACES, &loss.place, loss.count),
            Update::Finding(finding) if finding.status == Status::Raised => {
                let key = (finding.problem.code(), finding.severity);
                *self.findings.entry(key).or_default() += 1;
            }
            Update::Finding(_) => {}
        }
    }

    fn transition(&mut self, told: &Transition) {
        let Transition { from, to, source, elapsed, handshake, ref subject, .. } = *told;
        *self.transitions.entry((from, to, source)).or_default() += 1;
        if let (Some(elapsed), true) = (elapsed, from != State::Closed) {
            self.durations[from.index()].observe(elapsed);
        }
        let duration = handshake.and_then(|handshake| handshake.duration_ns);
        let role = ROLES.iter().position(|&role| subject.role == Some(role));
        if let (Some(duration), Some(role)) = (duration, role) {
            self.handshakes[role].observe(duration);
        }
    }

    /// All of it, in the order in which it is told.
    pub fn families(&self) -> Families {
        vec![
            self.build(),
            self.sockets(),
            self.changes(),
            self.handshakes(),
            self.durations(),
            self.closes(),
            self.lingering(),
            self.ports(),
            counters(
                "tracer.retransmits",
                "{segment}",
                "Segments of handshakes and teardowns sent again",
                "tcp.segment.type",
                SEGMENTS.iter().map(word).zip(self.retransmits),
            ),
            counters(
                "tracer.resets",
                "{segment}",
                "RST segments that ended or refused a connection",
                "tcp.segment.direction",
                DIRECTIONS.iter().map(word).zip(self.resets),
            ),
            self.findings(),
            counters(
                "tracer.lost",
                "{event}",
                "Events and records lost by the tracer itself, by place",
                "tracer.loss.where",
                PLACES.iter().map(word).zip(self.lost),
            ),
        ]
    }

    fn build(&self) -> Family {
        let labels = vec![
            label("version", env!("CARGO_PKG_VERSION")),
            label("kernel_release", self.kernel.clone()),
        ];
        Family {
            name: "tracer.build_info",
            unit: Unit::None,
            help: "Version of the tracer and release of the kernel; always 1",
            points: Points::Gauge(vec![(labels, 1.0)]),
        }
    }

    fn sockets(&self) -> Family {
        let point = |(state, sockets): (State, u64)| {
            let labels = vec![
                label("network.connection.state", connection_state(state)),
                label("network.transport", "tcp"),
            ];
            (labels, sockets as f64)
        };
        let known = self.sockets.map(|sockets| State::ALL.into_iter().zip(sockets));
        Family {
            name: "system.network.connection.count",
            unit: Unit::Of("{connection}"),
            help: "TCP sockets by state",
            points: Points::UpDown(known.into_iter().flatten().map(point).collect()),
        }
    }

    fn changes(&self) -> Family {
        let mut points: Vec<_> = self.transitions.iter().collect();
        points.sort_unstable_by_key(|((from, to, source), _)| (*from, *to, *source as u8));
        let point = |(&(from, to, source), &count): (&(State, State, Source), &u64)| {
            let labels = vec![
                label("tcp.from", connection_state(from)),
                label("tcp.to", connection_state(to)),
                label("tcp.source", word(&source)),
            ];
            (labels, count)
        };
        Family {
            name: "tracer.transitions",
            unit: Unit::Of("{transition}"),
            help: "Changes of TCP state, by how they are known",
            points: Points::Counter(points.into_iter().map(point).collect()),
        }
    }

    fn handshakes(&self) -> Family {
        let labels = |role: &Role| vec![label("tcp.role", word(role))];
        Family {
            name: "tracer.handshake.duration",
            unit: Unit::Seconds,
            help: "Time that the three-way handshake took",
            points: Points::Histogram(
                ROLES.iter().map(labels).zip(self.handshakes.iter().cloned()).collect(),
            ),
        }
    }

    fn durations(&self) -> Family {
        let lasting = |state: &State| !matches!(state, State::Closed | State::Listen);
        let point = |state: State| {
            let labels = vec![label("network.connection.state", connection_state(state))];
            (labels, self.durations[state.index()].clone())
        };
        Family {
            name: "tracer.state.duration",
            unit: Unit::Seconds,
            help: "Time spent in a state, of sockets that have left it",
            points: Points::Histogram(State::ALL.into_iter().filter(lasting).map(point).collect()),
        }
    }

    fn closes(&self) -> Family {
        let point = |(&(reason, initiator), &count): (&(Reason, Option<Initiator>), &u64)| {
            let initiator = initiator.map_or_else(|| "unknown".to_owned(), |who| word(&who));
            let labels = vec![
                label("tcp.close.reason", word(&reason)),
                label("tcp.close.initiator", initiator),
            ];
            (labels, count)
        };
        let mut points: Vec<_> = self.closes.iter().map(point).collect();
        points.sort_unstable();
        Family {
            name: "tracer.closes",
            unit: Unit::Of("{connection}"),
            help: "Ends of connections, by reason and by who took the first step",
            points: Points::Counter(points),
        }
    }

    fn lingering(&self) -> Family {
        let point = |(state, name, count): (State, String, u64)| {
            let labels = vec![
                label("network.connection.state", connection_state(state)),
                label("process.name", name),
            ];
            (labels, count as f64)
        };
        Family {
            name: "tracer.lingering",
            unit: Unit::Of("{connection}"),
            help: "Sockets that outlast the threshold of their state (--linger)",
            points: Points::UpDown(self.lingering.counts().into_iter().map(point).collect()),
        }
    }

    fn ports(&self) -> Family {
        Family {
            name: "tracer.ephemeral_ports.use",
            unit: Unit::Ratio,
            help: "Part of the ephemeral ports in use towards a destination, from 10 % on",
            points: Points::Gauge(self.ports.iter().map(port_use).collect()),
        }
    }

    fn findings(&self) -> Family {
        let point = |(&(code, severity), &count): (&(&'static str, Severity), &u64)| {
            let labels =
                vec![label("finding.code", code), label("finding.severity", severity.name())];
            (labels, count)
        };
        let mut points: Vec<_> = self.findings.iter().map(point).collect();
        points.sort_unstable();
        Family {
            name: "tracer.findings",
            unit: Unit::Of("{finding}"),
            help: "Findings raised, by code and severity",
            points: Points::Counter(points),
        }
    }
}

fn port_use(one: &PortUse) -> (Labels, f64) {
    let (local, peer, port) = match one.scope {
        Scope::Destination { local, peer } => {
            (local, peer.address().to_string(), peer.port.to_string())
        }
        Scope::Address(local) => (local, "*".to_owned(), "*".to_owned()),
    };
    let labels = vec![
        label("network.local.address", local.address().to_string()),
        label("network.peer.address", peer),
        label("network.peer.port", port),
        label("socket.netns", one.netns.to_string()),
    ];
    (labels, one.ratio())
}

fn add<T: PartialEq, const N: usize>(counts: &mut [u64; N], keys: &[T; N], key: &T, count: u64) {
    if let Some(position) = keys.iter().position(|known| known == key) {
        counts[position] += count;
    }
}

fn counters(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    key: &'static str,
    counts: impl Iterator<Item = (String, u64)>,
) -> Family {
    let points = counts.map(|(value, count)| (vec![label(key, value)], count)).collect();
    Family { name, unit: Unit::Of(unit), help, points: Points::Counter(points) }
}

/// As OpenTelemetry's `network.connection.state` has it.
fn connection_state(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Listen => "listen",
        State::SynSent => "syn_sent",
        State::SynRecv => "syn_received",
        State::Established => "established",
        State::FinWait1 => "fin_wait_1",
        State::FinWait2 => "fin_wait_2",
        State::CloseWait => "close_wait",
        State::LastAck => "last_ack",
        State::Closing => "closing",
        State::TimeWait => "time_wait",
    }
}
