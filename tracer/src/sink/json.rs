//! JSON lines by the interface contract: one object a line, `kind` says which.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one, as nested objects.

mod compact;
pub mod ecs;
pub(crate) mod evidence;
pub(crate) mod finding;
pub(crate) mod hello;
pub(crate) mod lingering;
pub(crate) mod origin;
pub mod schema;
pub(crate) mod shape;
pub(crate) mod tcp;

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    ecs::Ecs,
    finding::{DiagnosisBody, FindingBody},
    hello::HelloBody,
    lingering::Cause,
    origin::processes,
    shape::{Line, LossBody},
    tcp::{LingerTcp, SegmentTcp, SocketTcp, StoryTcp, TransitionTcp},
};
use super::{
    Beginning, Format, Hello, Opening,
    stack::{frames, gap},
    stamps::Stamps,
    summary::Summary,
    surroundings::Surroundings,
    wall_clock::WallClock,
};
use crate::model::{
    diagnosis::Diagnosis,
    finding::Finding,
    socket::Socket,
    update::{Linger, Subject, Update},
};

/// Whose names the fields have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum JsonNames {
    /// OpenTelemetry's semantic conventions
    #[default]
    Otel,
    /// Elastic Common Schema
    Ecs,
}

/// JSON lines.
pub struct Json {
    names: JsonNames,
    stamps: Stamps,
    /// For the second time of a line.
    began: Stamps,
    surroundings: Arc<dyn Surroundings>,
}

/// A line that is about no socket.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Bare<'a, T> {
    /// What it tells of.
    #[serde(skip_deserializing)]
    kind: &'static str,
    /// When: RFC 3339, UTC, nanoseconds.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) time: Cow<'a, str>,
    #[serde(flatten)]
    pub(crate) body: T,
}

impl Json {
    /// With what is known of this host.
    pub fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self::named(JsonNames::Otel, surroundings)
    }

    /// With these names of fields.
    pub fn named(names: JsonNames, surroundings: Arc<dyn Surroundings>) -> Self {
        Self { names, stamps: Stamps::utc(), began: Stamps::utc(), surroundings }
    }

    /// The beginning.
    pub(super) fn tell_hello(&mut self, hello: &Hello, clock: WallClock, out: &mut impl Take) {
        self.bare("hello", clock.now, HelloBody::new(hello, clock), clock, out);
    }

    /// The end.
    pub(super) fn tell_summary(&mut self, end: &Summary, clock: WallClock, out: &mut impl Take) {
        self.bare("summary", clock.now, end, clock, out);
    }

    /// One update: one line, or several.
    pub(super) fn tell(&mut self, update: &Update<'_>, clock: WallClock, out: &mut impl Take) {
        match *update {
            Update::Transition(told) => {
                let tcp = TransitionTcp::from(told);
                self.about("transition", told.time, &told.subject, tcp, clock, out);
            }
            Update::Linger(lingers) => {
                for linger in lingers {
                    self.linger(linger, clock, out);
                }
            }
            Update::Retransmit(told) => {
                let tcp = SegmentTcp::from(told);
                self.about("retransmit", told.time, &told.subject, tcp, clock, out);
            }
            Update::Reset(told) => {
                let tcp = SegmentTcp::from(told);
                self.about("reset", told.time, &told.subject, tcp, clock, out);
            }
            Update::Story(told) => {
                let time = self.stamps.write(clock.at(told.time));
                let began = told.began.map(|began| self.began.write(clock.at(began)));
                let tcp = StoryTcp::new(told, time, began);
                let mut line = Line::new("connection", time, &told.subject, tcp);
                line.tell_origin(&told.subject, &*self.surroundings);
                line.give(self.names, out);
            }
            Update::Finding(told) => self.finding(told, clock, out),
            Update::Loss(told) => self.bare("loss", told.time, LossBody::from(told), clock, out),
        }
    }

    fn linger(&mut self, linger: &Linger, clock: WallClock, out: &mut impl Take) {
        let time = self.stamps.write(clock.at(linger.time));
        let mut line = Line::new("linger", time, &linger.subject, LingerTcp::from(linger));
        line.status = Some(linger.status);
        line.cause = linger.why.as_ref().map(Cause::from);
        let made = linger.maker.filter(|maker| maker.stack.is_some());
        let stack = made.and_then(|maker| self.surroundings.stack(&maker));
        line.stack = made.map(|_| stack.as_deref().map(frames));
        line.stack_gap = stack.as_deref().and_then(gap);
        line.processes = Some(processes(&linger.holders, &*self.surroundings));
        line.tell_origin(&linger.subject, &*self.surroundings);
        line.give(self.names, out);
    }

    /// One socket of a list.
    pub(super) fn socket(&mut self, socket: &Socket, clock: WallClock, out: &mut Vec<u8>) {
        let time = self.stamps.write(clock.at(socket.time));
        let mut line = Line::new("socket", time, &socket.subject, SocketTcp::from(socket));
        line.processes = Some(processes(&socket.holders, &*self.surroundings));
        line.tell_origin(&socket.subject, &*self.surroundings);
        line.give(self.names, out);
    }

    /// One finding, of a trace or of a diagnosis.
    pub(super) fn finding(&mut self, told: &Finding, clock: WallClock, out: &mut impl Take) {
        self.bare("finding", told.time, FindingBody::from(told), clock, out);
    }

    /// The last line of a diagnosis.
    pub(super) fn diagnosis(&mut self, told: &Diagnosis, clock: WallClock, out: &mut Vec<u8>) {
        self.bare("summary", clock.now, DiagnosisBody::from(told), clock, out);
    }

    fn about(
        &mut self,
        kind: &'static str,
        time: u64,
        subject: &Subject,
        tcp: impl Ecs,
        clock: WallClock,
        out: &mut impl Take,
    ) {
        let time = self.stamps.write(clock.at(time));
        let mut line = Line::new(kind, time, subject, tcp);
        line.tell_group(subject, &*self.surroundings);
        line.give(self.names, out);
    }

    fn bare(
        &mut self,
        kind: &'static str,
        time: u64,
        body: impl Ecs,
        clock: WallClock,
        out: &mut impl Take,
    ) {
        let time = Cow::Borrowed(self.stamps.write(clock.at(time)));
        Bare { kind, time, body }.give(self.names, out);
    }
}

/// Takes the objects one by one: a line each, or whatever else is made of them.
pub(super) trait Take {
    /// The next one.
    fn take(&mut self, line: &impl Serialize);
}

impl Take for Vec<u8> {
    fn take(&mut self, line: &impl Serialize) {
        let begun = self.len();
        match compact::write(line, self) {
            Ok(()) => self.push(b'\n'),
            Err(error) => {
                tracing::error!("{error}");
                self.truncate(begun);
            }
        }
    }
}

impl<T: Ecs> Line<'_, T> {
    fn give(&self, names: JsonNames, out: &mut impl Take) {
        match names {
            JsonNames::Otel => out.take(self),
            JsonNames::Ecs => out.take(&ecs::of_socket(self)),
        }
    }
}

impl<T: Ecs> Bare<'_, T> {
    fn give(&self, names: JsonNames, out: &mut impl Take) {
        match names {
            JsonNames::Otel => out.take(self),
            JsonNames::Ecs => out.take(&ecs::of_none(self)),
        }
    }
}

impl Format for Json {
    fn opening(&mut self, hello: &Hello, clock: WallClock) -> Opening {
        let (hello, mut json) =
            (hello.clone(), Self::named(self.names, Arc::clone(&self.surroundings)));
        Box::new(move |file| {
            let mut beginning = Beginning::default();
            json.hello(&hello.of(file), clock, &mut beginning.hello);
            beginning
        })
    }

    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        self.tell_hello(hello, clock, out);
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        self.tell(update, clock, out);
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        self.tell_summary(summary, clock, out);
    }
}
