//! What is counted and measured, for Prometheus and for OTLP: pure, from updates to numbers.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one
//! (`system.network.connection.count`), own ones begin with `tracer.`; Prometheus writes them with
//! underscores and the unit (`docs/metrics.md` lists them). No label has a value that anybody can
//! make up without a bound: no ports, pids or peers, and few names of processes.

mod accepting;
mod counts;
mod family;
mod histogram;
mod lingering;
pub mod measuring;
#[cfg(test)]
pub mod tests;
mod workloads;

use std::{borrow::Cow, sync::Arc};

use self::{
    accepting::Accepting,
    counts::{Counts, every},
    family::{label, word},
    histogram::{HANDSHAKE, STATE},
    lingering::{Lingering, workload},
    workloads::Workloads,
};
pub use self::{
    family::{Families, Family, Labels, Points, Unit},
    histogram::Histogram,
};
use tracer_event::{
    close::{Initiator, Reason},
    finding::{PortUse, Problem, Scope, Severity, Status},
    state::State,
    update::{
        Answered, ConnectionSummary, Direction, LossPlace, Role, Segment, Source, Transition,
        Update,
    },
};
use tracer_event::{enricher::Context, escape::escape};
use tracer_output::Live;

/// Who performs handshakes.
const ROLES: [Role; 2] = [Role::Client, Role::Server];
/// What is retransmitted one by one.
const SEGMENTS: [Segment; 3] = [Segment::Syn, Segment::SynAck, Segment::Fin];

/// All that is counted since the start, and the current state.
#[derive(Clone, Debug)]
pub struct Metrics {
    kernel: String,
    /// By state, where they are known.
    sockets: Option<[u64; State::COUNT]>,
    ports: Arc<[PortUse]>,
    transitions: Counts<(State, State, Source)>,
    handshakes: [Histogram; ROLES.len()],
    durations: [Histogram; State::COUNT],
    closes: Counts<(Reason, Option<Initiator>)>,
    workloads: Workloads,
    retransmits: Counts<Segment>,
    resets: Counts<Direction>,
    answered: Counts<Answered>,
    lingering: Lingering,
    accepting: Accepting,
    findings: Counts<(&'static str, Severity)>,
    lost: Counts<LossPlace>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            kernel: String::new(),
            sockets: None,
            ports: Arc::default(),
            transitions: Counts::from_zero(legal_transitions()),
            handshakes: std::array::from_fn(|_| Histogram::new(HANDSHAKE)),
            durations: std::array::from_fn(|_| Histogram::new(STATE)),
            closes: Counts::from_zero(ends()),
            workloads: Workloads::default(),
            retransmits: Counts::from_zero(SEGMENTS),
            resets: Counts::from_zero(every()),
            answered: Counts::from_zero(every()),
            lingering: Lingering::default(),
            accepting: Accepting::default(),
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

    /// Whether it is known of which host they are.
    pub fn has_kernel(&self) -> bool {
        !self.kernel.is_empty()
    }

    /// Takes in the current state.
    pub fn stand(&mut self, live: &Live<'_>) {
        self.sockets = Some(State::ALL.map(|state| live.table.count(state)));
        self.accepting.stand(live.table);
        if !Arc::ptr_eq(&self.ports, live.ports) {
            self.ports = Arc::clone(live.ports);
        }
    }

    /// Counts one update.
    pub fn count(&mut self, update: &Update<'_>, Context { enricher, .. }: Context<'_>) {
        match *update {
            Update::Transition(event) => self.transition(event),
            Update::Connection(ConnectionSummary { time, subject, close: Some(close), .. }) => {
                self.closes.add((close.reason, close.initiator), 1);
                let workload = workload(enricher.cgroup(subject).as_deref());
                self.workloads.count(workload, close.reason, *time);
            }
            // Where data is reported, some of it is; the kernel's counters have all.
            Update::Retransmit(event) if event.segment.r#type.is_data() => {}
            Update::Retransmit(event) => self.retransmits.add(event.segment.r#type, 1),
            Update::Reset(event) => {
                self.resets.add(event.segment.direction, 1);
                if let Some(answered) = event.segment.answers {
                    self.answered.add(answered, 1);
                }
            }
            Update::Linger(lingers) => {
                for linger in lingers {
                    self.lingering.count(linger, || enricher.cgroup(&linger.subject));
                }
            }
            Update::Loss(loss) => self.lost.add(loss.place, loss.count),
            Update::Finding(finding) if finding.status == Status::Raised => {
                self.findings.add((finding.problem.code(), finding.severity), 1);
            }
            Update::Connection(_) | Update::Finding(_) => {}
        }
    }

    fn transition(&mut self, event: &Transition) {
        let Transition { from, to, source, elapsed, handshake, ref subject, .. } = *event;
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

    /// All of it.
    pub fn families(&self) -> Families {
        let counters = self.counters().into_iter().chain(self.segments());
        let accepting = self.accepting.gauges().into_iter().chain([self.accepting.histogram()]);
        let all = self.gauges().into_iter().chain(self.histograms()).chain(counters);
        all.chain([self.workloads.family()]).chain(accepting).collect()
    }

    fn gauges(&self) -> [Family; 4] {
        let build = vec![
            label("version", env!("CARGO_PKG_VERSION")),
            label("kernel_release", self.kernel.clone()),
        ];
        let known = self.sockets.map(|sockets| State::ALL.into_iter().zip(sockets));
        let sockets = known.into_iter().flatten().map(|(state, sockets)| {
            (vec![in_state(state), label("network.transport", "tcp")], sockets as f64)
        });
        let lingering = self.lingering.counts().into_iter().map(|(state, labels, count)| {
            ([in_state(state)].into_iter().chain(labels).collect(), count as f64)
        });
        [
            Family {
                name: "tracer.build_info",
                unit: Unit::None,
                help: "Version of the tracer and release of the kernel; always 1",
                points: Points::Gauge(vec![(build, 1.0)]),
            },
            Family {
                name: "system.network.connection.count",
                unit: Unit::Of("{connection}"),
                help: "TCP sockets by state",
                points: Points::UpDown(sockets.collect()),
            },
            Family {
                name: "tracer.lingering",
                unit: Unit::Of("{connection}"),
                help: "Sockets that outlast the threshold of their state (--linger)",
                points: Points::UpDown(lingering.collect()),
            },
            Family {
                name: "tracer.ephemeral_ports.use",
                unit: Unit::Ratio,
                help: "Part of the ephemeral ports in use towards a destination, from 10 % on",
                points: Points::Gauge(self.ports.iter().map(port_use).collect()),
            },
        ]
    }

    fn histograms(&self) -> [Family; 2] {
        let role = |role: &Role| vec![label("tcp.role", word(role))];
        let lasting = State::ALL
            .into_iter()
            .filter(|state| !matches!(state, State::Closed | State::Listen))
            .map(|state| (vec![in_state(state)], self.durations[state.index()].clone()));
        [
            Family {
                name: "tracer.handshake.duration",
                unit: Unit::Seconds,
                help: "Time that the three-way handshake took",
                points: Points::Histogram(
                    ROLES.iter().map(role).zip(self.handshakes.iter().cloned()).collect(),
                ),
            },
            Family {
                name: "tracer.state.duration",
                unit: Unit::Seconds,
                help: "Time spent in a state, of sockets that have left it",
                points: Points::Histogram(lasting.collect()),
            },
        ]
    }

    fn segments(&self) -> [Family; 3] {
        let segment = Unit::Of("{segment}");
        [
            self.retransmits.family(
                ("tracer.retransmits", segment),
                "Retransmitted segments of handshakes and teardowns",
                |segment| vec![label("tcp.segment.type", word(&segment))],
            ),
            self.resets.family(
                ("tracer.resets", segment),
                "RST segments that ended or refused a connection",
                |direction| vec![label("tcp.segment.direction", word(&direction))],
            ),
            self.answered.family(
                ("tracer.resets_without_socket", segment),
                "RST segments sent because there is no socket for a segment, by that segment; a \
                 SYN is a connection refused here",
                |answered| vec![label("tcp.segment.answers", word(&answered))],
            ),
        ]
    }

    fn counters(&self) -> [Family; 4] {
        [
            self.transitions.family(
                ("tracer.transitions", Unit::Of("{transition}")),
                "Changes of TCP state, by how they are known",
                |(from, to, source)| {
                    vec![
                        label("tcp.from", from.name()),
                        label("tcp.to", to.name()),
                        label("tcp.source", word(&source)),
                    ]
                },
            ),
            self.closes.family(
                ("tracer.closes", Unit::Of("{connection}")),
                "Ends of connections, by reason and by who took the first step",
                |(reason, initiator)| {
                    let initiator =
                        initiator.map_or_else(|| "unknown".to_owned(), |who| word(&who));
                    vec![
                        label("tcp.close.reason", word(&reason)),
                        label("tcp.close.initiator", initiator),
                    ]
                },
            ),
            self.findings.family(
                ("tracer.findings", Unit::Of("{finding}")),
                "Findings raised, by code and severity",
                |(code, severity)| {
                    vec![label("finding.code", code), label("finding.severity", severity.name())]
                },
            ),
            self.lost.family(
                ("tracer.lost", Unit::Of("{event}")),
                "Events and records lost by the tracer itself, by place",
                |place| vec![label("tracer.loss.where", word(&place))],
            ),
        ]
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

fn in_state(state: State) -> (&'static str, Cow<'static, str>) {
    label("network.connection.state", state.connection_state())
}
