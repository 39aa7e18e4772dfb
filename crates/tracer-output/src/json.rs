//! JSON lines by the interface contract: one object a line, `kind` says which.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one, as nested objects.

mod compact;
pub mod schema;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Beginning, Format, Opening, rendered::Rendered, stamps::Stamps, visit::Unsupported};
use tracer_event::{
    community::Recent,
    connection::ConnectionSummary,
    container::Cgroup,
    diagnosis::Diagnosis,
    finding::{Finding, Severity},
    line::{About, Container, Kubernetes, Line, Systemd},
    linger::Linger,
    phrase::Wording,
    process::{Evidence, Executable, Holder, Owner},
    socket::Socket,
    stack::gap,
    state::State,
    subject::Subject,
    update::Update,
};
use tracer_event::{enricher::Context, header::Header, summary::Summary, wall_clock::WallClock};

/// JSON lines.
pub struct Json {
    stamps: Stamps,
    same: Same,
    communities: Recent,
}

/// What the lines of a socket have between their time and `tcp`.
#[derive(Default)]
pub struct Same(Rendered<Vec<u8>>);

/// A line that is about no socket.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Bare<'a, T> {
    /// Which kind of line.
    #[serde(skip_deserializing)]
    kind: &'static str,
    /// When: RFC 3339, UTC, nanoseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: Cow<'a, str>,
    /// What is told.
    #[serde(flatten)]
    pub body: T,
}

impl<'a, T> Bare<'a, T> {
    /// A line of this kind.
    pub fn new(kind: &'static str, time: Cow<'a, str>, body: T) -> Self {
        Self { kind, time, body }
    }
}

/// Of a `hello`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct HeaderBody {
    /// Which file of which host comes first: shippers know a file by its first bytes.
    #[serde(flatten)]
    pub header: Header,
    /// Version of this schema, major and minor.
    schema: String,
    /// `time` by CLOCK_MONOTONIC, nanoseconds.
    pub monotonic_ns: Option<u64>,
}

impl Default for Json {
    fn default() -> Self {
        Self { stamps: Stamps::utc(), same: Same::default(), communities: Recent::default() }
    }
}

impl Json {
    /// One update: one line, or several.
    pub fn tell<T: Take>(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut T) {
        let clock = context.clock;
        match *update {
            Update::Transition(told) => self.about(told, context, out),
            Update::Retransmit(told) => self.about(told, context, out),
            Update::Reset(told) => self.about(told, context, out),
            Update::Connection(told) => {
                let on_wall = |time: Option<u64>| time.map(|time| clock.wall(time).cast_unsigned());
                let (began, ended) = (on_wall(told.began), on_wall(told.ended));
                let connection = ConnectionSummary { began, ended, ..*told };
                let process = holder(told.subject.owner.as_ref(), context);
                let community = T::IS_READ.then(|| self.communities.of(&told.subject.tuple));
                let mut line = self.line(
                    ConnectionSummary::KIND,
                    told.time,
                    &told.subject,
                    &connection,
                    context,
                );
                line.network.community_id = community;
                out.take(&Line { process, ..line });
            }
            Update::Linger(lingers) => {
                for linger in lingers {
                    self.linger(linger, context, out);
                }
            }
            Update::Finding(told) => self.finding(told, clock, out),
            Update::Loss(told) => self.bare("loss", told.time, told, clock, out),
        }
    }

    fn linger(&mut self, linger: &Linger, context: Context<'_>, out: &mut impl Take) {
        let mut line = self.line(Linger::KIND, linger.time, &linger.subject, linger, context);
        line.status = Some(linger.status);
        line.cause.clone_from(&linger.why);
        let made = linger.creator.filter(|creator| creator.stack.is_some());
        let stack = made.and_then(|creator| context.enricher.stack(&creator));
        line.stack = made.map(|_| stack.as_ref().map(|stack| stack.frames.clone()));
        line.stack_gap = stack.as_deref().and_then(gap);
        line.process = holder(linger.subject.owner.as_ref(), context);
        line.processes = Some(holders(&linger.holders, context));
        out.take(&line);
    }

    /// One socket of a list.
    pub fn socket(&mut self, socket: &Socket, context: Context<'_>, out: &mut Vec<u8>) {
        let mut line = self.line("socket", socket.time, &socket.subject, socket, context);
        line.process = holder(socket.subject.owner.as_ref(), context);
        line.processes = Some(holders(&socket.holders, context));
        out.take(&line);
    }

    /// One finding, of a trace or of a diagnosis.
    pub fn finding(&mut self, told: &Finding, clock: WallClock, out: &mut impl Take) {
        self.bare("finding", told.time, told, clock, out);
    }

    /// The last line of a diagnosis.
    pub fn diagnosis(&mut self, told: &Diagnosis, clock: WallClock, out: &mut Vec<u8>) {
        self.bare("summary", clock.now, DiagnosisBody::from(told), clock, out);
    }

    fn about<T: About + Serialize>(&mut self, told: &T, context: Context<'_>, out: &mut impl Take) {
        let (time, subject) = told.origin();
        let time = self.stamps.write(context.clock.wall(time));
        out.about(&mut self.same, (T::KIND, time), (subject, context), told);
    }

    /// A line with control group and container of the socket.
    fn line<'a, T>(
        &'a mut self,
        kind: &'static str,
        time: u64,
        subject: &Subject,
        tcp: T,
        context: Context<'_>,
    ) -> Line<'a, T> {
        let group = context.enricher.cgroup(subject);
        about(kind, self.stamps.write(context.clock.wall(time)), subject, group.as_deref(), tcp)
    }

    /// The beginning.
    pub fn tell_hello(&mut self, header: &Header, clock: WallClock, out: &mut impl Take) {
        let (schema, monotonic_ns) = (schema::VERSION.to_owned(), Some(clock.now));
        let body = HeaderBody { schema, monotonic_ns, header: header.clone() };
        self.bare("hello", clock.now, body, clock, out);
    }

    /// The end.
    pub fn tell_summary(&mut self, end: &Summary, clock: WallClock, out: &mut impl Take) {
        self.bare("summary", clock.now, end, clock, out);
    }

    fn bare(
        &mut self,
        kind: &'static str,
        time: u64,
        body: impl Serialize,
        clock: WallClock,
        out: &mut impl Take,
    ) {
        let time = Cow::Borrowed(self.stamps.write(clock.wall(time)));
        out.take(&Bare { kind, time, body });
    }
}

/// A line with control group and container of the socket, as far as they are known.
pub(super) fn about<'a, T>(
    kind: &'static str,
    time: &'a str,
    subject: &Subject,
    group: Option<&Cgroup>,
    tcp: T,
) -> Line<'a, T> {
    let mut line = Line::new(kind, time, subject, tcp);
    let Some(group) = group else { return line };
    line.k8s = Kubernetes::of(group);
    let Cgroup { path, container, pod: _, pod_name: _, unit } = group;
    line.container = container.clone().map(|id| Container { id });
    line.systemd = unit.clone().map(|unit| Systemd { unit });
    // Of a recording that has not said it, it is empty.
    if let Some(socket) = line.socket.as_mut().filter(|_| !path.is_empty()) {
        socket.cgroup = Some(Arc::clone(path));
    }
    line
}

/// An owner with the program that it runs, for the lines that are few.
fn holder(owner: Option<&Owner>, Context { enricher, .. }: Context<'_>) -> Option<Holder> {
    let owner = owner?;
    // What is only guessed has no program.
    let known = owner.evidence != Evidence::Listener;
    let executable = known.then(|| enricher.executable(&owner.process)).flatten();
    let parent = known.then(|| enricher.parent(&owner.process)).flatten();
    Some(Holder { executable: executable.map(Executable), parent, ..Holder::from(owner) })
}

fn holders(holders: &[Owner], context: Context<'_>) -> Vec<Holder> {
    holders.iter().filter_map(|one| holder(Some(one), context)).collect()
}

/// Takes the objects one by one: a line each, or whatever else is made of them.
pub trait Take {
    /// Whether others than tracer read the lines. Where only tracer does, what it computes from other
    /// fields anyway is left out.
    const IS_READ: bool = true;

    /// The next one.
    fn take(&mut self, line: &impl Serialize);

    /// The next one, of this kind and time, about a socket, of which parts may be copied.
    fn about(
        &mut self,
        _same: &mut Same,
        (kind, time): (&'static str, &str),
        (subject, context): (&Subject, Context<'_>),
        tcp: &impl Serialize,
    ) {
        let group = context.enricher.cgroup(subject);
        self.take(&about(kind, time, subject, group.as_deref(), tcp));
    }
}

impl Take for Vec<u8> {
    fn take(&mut self, object: &impl Serialize) {
        add_line(self, |bytes| compact::write(object, bytes));
    }

    fn about(
        &mut self,
        Same(same): &mut Same,
        (kind, time): (&'static str, &str),
        (subject, context): (&Subject, Context<'_>),
        tcp: &impl Serialize,
    ) {
        let same = same.of(subject, context, |group, same| {
            compact::same(same, |kind, time| about(kind, time, subject, group, ()));
        });
        add_line(self, |bytes| compact::with_same(kind, time, same, tcp, bytes));
    }
}

/// Adds a line, or nothing.
fn add_line(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Unsupported>) {
    let begun = bytes.len();
    match write(bytes) {
        Ok(()) => bytes.push(b'\n'),
        Err(error) => {
            tracing::error!("{error}");
            bytes.truncate(begun);
        }
    }
}

impl Format for Json {
    fn opening(&mut self, header: &Header, clock: WallClock) -> Opening {
        let (header, mut json) = (header.clone(), Self::default());
        Box::new(move |file| {
            let mut beginning = Beginning::default();
            json.header(&header.of(file), clock, &mut beginning.header);
            beginning
        })
    }

    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        self.tell_hello(header, clock, out);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        self.tell(update, context, out);
    }

    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>) {
        self.tell_summary(summary, context.clock, out);
    }
}

/// The `summary` of a diagnosis.
#[derive(Serialize, JsonSchema)]
pub struct DiagnosisBody {
    /// Nothing is wrong.
    healthy: bool,
    /// How many findings of each severity.
    findings: BTreeMap<&'static str, u64>,
    /// How many sockets in each state.
    sockets: BTreeMap<State, u64>,
    /// Network namespaces looked into.
    namespaces: usize,
    /// Time between the looks.
    observed_ns: u64,
    /// Sockets in CLOSE_WAIT that still send.
    sending: u64,
    /// Events lost meanwhile.
    lost_events: u64,
    /// Nothing was lost.
    complete: bool,
    /// What nothing can be said of, each in words: that nothing is wrong is worth no more than that.
    not_judged: Vec<Wording>,
}

impl From<&Diagnosis> for DiagnosisBody {
    fn from(diagnosis: &Diagnosis) -> Self {
        let count = |severity| {
            let of_it = diagnosis.findings.iter().filter(|one| one.severity == severity);
            (severity.name(), of_it.count() as u64)
        };
        Self {
            healthy: !diagnosis.is_at_least(Severity::Warning),
            findings: Severity::ALL.into_iter().map(count).collect(),
            sockets: diagnosis.states.clone(),
            namespaces: diagnosis.namespaces,
            observed_ns: diagnosis.observed,
            sending: diagnosis.sending,
            lost_events: diagnosis.lost,
            complete: diagnosis.lost == 0,
            not_judged: diagnosis.not_judged(),
        }
    }
}
