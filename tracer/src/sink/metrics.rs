//! What is counted and measured, for Prometheus and for OTLP: pure, from updates to numbers.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one
//! (`system.network.connection.count`), own ones begin with `tracer.`; Prometheus writes them with
//! underscores and the unit (`docs/metrics.md` lists them). No label has a value that anybody can
//! make up without a bound: no ports, pids or peers, and few names of processes.

mod counts;
mod family;
mod histogram;
mod lingering;
mod measuring;
#[cfg(test)]
pub(crate) mod tests;

use self::{
    counts::{Counts, every},
    family::{label, word},
    histogram::{HANDSHAKE, STATE},
    lingering::Lingering,
};
pub use self::{
    family::{Families, Family, Labels, Points, Unit},
    histogram::Histogram,
    measuring::{Measuring, Shared},
};
use super::{Moment, escape::escape, surroundings::Surroundings};
use crate::model::{
    close::{Initiator, Reason},
    finding::{Problem, Severity, Status},
    ports::{PortUse, Scope},
    state::State,
    update::{Answered, Direction, LossPlace, Role, Segment, Source, Story, Transition, Update},
};

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const DIRECTIONS: [Direction; 2] = [Direction::Sent, Direction::Received];
const ANSWERED: [Answered; 4] = [Answered::Syn, Answered::SynAck, Answered::Fin, Answered::Ack];
const SEGMENTS: [Segment; 3] = [Segment::Syn, Segment::SynAck, Segment::Fin];

/// All that is counted since the start, and how things stand.
#[derive(Clone, Debug)]
pub struct Metrics {
    kernel: String,
    /// By state, where they are known.
    sockets: Option<[u64; State::COUNT]>,
    ports: std::sync::Arc<[PortUse]>,
    transitions: Counts<(State, State, Source)>,
    handshakes: [Histogram; ROLES.len()],
    durations: [Histogram; State::COUNT],
    closes: Counts<(Reason, Option<Initiator>)>,
    retransmits: [u64; SEGMENTS.len()],
    resets: [u64; DIRECTIONS.len()],
    answered: [u64; ANSWERED.len()],
    lingering: Lingering,
    findings: Counts<(&'static str, Severity)>,
    lost: Counts<LossPlace>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            kernel: String::new(),
            sockets: None,
            ports: std::sync::Arc::default(),
            transitions: Counts::from_zero(legal_transitions()),
            handshakes: std::array::from_fn(|_| Histogram::new(HANDSHAKE)),
            durations: std::array::from_fn(|_| Histogram::new(STATE)),
            closes: Counts::from_zero(ends()),
            retransmits: [0; SEGMENTS.len()],
            resets: [0; DIRECTIONS.len()],
            answered: [0; ANSWERED.len()],
            lingering: Lingering::default(),
            findings: Counts::from_zero(known_findings()),
            lost: Counts::from_zero(every()),
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
    pub fn count(&mut self, update: &Update<'_>, surroundings: &dyn Surroundings) {
        match *update {
            Update::Transition(told) => self.transition(told),
            Update::Story(&Story { close: Some(close), .. }) => {
                self.closes.add((close.reason, close.initiator), 1);
            }
            Update::Story(_) => {}
            Update::Retransmit(told) => add(&mut self.retransmits, &SEGMENTS, &told.segment, 1),
            Update::Reset(told) => {
                add(&mut self.resets, &DIRECTIONS, &told.direction, 1);
                if let Some(answered) = told.answers {
                    add(&mut self.answered, &ANSWERED, &answered, 1);
                }
            }
            Update::Linger(lingers) => {
                for linger in lingers {
                    self.lingering.count(linger, || surroundings.cgroup(&linger.subject));
                }
            }
            Update::Loss(loss) => self.lost.add(loss.place, loss.count),
            Update::Finding(finding) if finding.status == Status::Raised => {
                let key = (finding.problem.code(), finding.severity);
                self.findings.add(key, 1);
            }
            Update::Finding(_) => {}
        }
    }

    fn transition(&mut self, told: &Transition) {
        let Transition { from, to, source, elapsed, handshake, ref subject, .. } = *told;
        self.transitions.add((from, to, source), 1);
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
            counters(
                "tracer.resets_without_socket",
                "{segment}",
                "RST segments sent because there is no socket for a segment, by that segment; a \
                 SYN is a connection refused here",
                "tcp.segment.answers",
                ANSWERED.iter().map(word).zip(self.answered),
            ),
            self.findings(),
            self.lost(),
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
        let labels = |(from, to, source)| {
            vec![
                label("tcp.from", connection_state(from)),
                label("tcp.to", connection_state(to)),
                label("tcp.source", word(&source)),
            ]
        };
        Family {
            name: "tracer.transitions",
            unit: Unit::Of("{transition}"),
            help: "Changes of TCP state, by how they are known",
            points: Points::Counter(self.transitions.points(labels)),
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
        let labels = |(reason, initiator): (Reason, Option<Initiator>)| {
            let initiator = initiator.map_or_else(|| "unknown".to_owned(), |who| word(&who));
            vec![label("tcp.close.reason", word(&reason)), label("tcp.close.initiator", initiator)]
        };
        Family {
            name: "tracer.closes",
            unit: Unit::Of("{connection}"),
            help: "Ends of connections, by reason and by who took the first step",
            points: Points::Counter(self.closes.points(labels)),
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
        let labels = |(code, severity): (&'static str, Severity)| {
            vec![label("finding.code", code), label("finding.severity", severity.name())]
        };
        Family {
            name: "tracer.findings",
            unit: Unit::Of("{finding}"),
            help: "Findings raised, by code and severity",
            points: Points::Counter(self.findings.points(labels)),
        }
    }

    fn lost(&self) -> Family {
        let labels = |place| vec![label("tracer.loss.where", word(&place))];
        Family {
            name: "tracer.lost",
            unit: Unit::Of("{event}"),
            help: "Events and records lost by the tracer itself, by place",
            points: Points::Counter(self.lost.points(labels)),
        }
    }
}

/// The steps that there are, whatever shows them.
fn legal_transitions() -> impl Iterator<Item = (State, State, Source)> {
    let steps =
        State::ALL.into_iter().flat_map(|from| from.successors().iter().map(move |&to| (from, to)));
    steps.flat_map(|(from, to)| every().map(move |source| (from, to, source)))
}

fn ends() -> impl Iterator<Item = (Reason, Option<Initiator>)> {
    let initiators = || every().map(Some).chain([None]);
    every().flat_map(move |reason| initiators().map(move |initiator| (reason, initiator)))
}

fn known_findings() -> impl Iterator<Item = (&'static str, Severity)> {
    Problem::CODES.into_iter().flat_map(|code| every().map(move |severity| (code, severity)))
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
