//! JSON lines by the interface contract: one object a line, `kind` says which.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one, as nested objects.

mod finding;
mod shape;

use serde::Serialize;

use self::finding::{DiagnosisBody, FindingBody};
use self::shape::{
    Line, LingerTcp, LossBody, Process, SegmentTcp, SocketTcp, StoryTcp, TransitionTcp,
};
use super::{Format, Hello, stamps::Stamps, summary::Summary, wall_clock::WallClock};
use crate::model::{
    diagnosis::Diagnosis,
    finding::Finding,
    socket::Socket,
    update::{Subject, Update},
};

/// JSON lines.
#[derive(Debug)]
pub struct Json {
    stamps: Stamps,
}

/// A line that is about no socket.
#[derive(Serialize)]
struct Bare<'a, T: Serialize> {
    kind: &'static str,
    time: &'a str,
    #[serde(flatten)]
    body: T,
}

impl Default for Json {
    fn default() -> Self {
        Self { stamps: Stamps::utc() }
    }
}

impl Json {
    /// One socket of a list.
    pub(super) fn socket(&mut self, socket: &Socket, clock: WallClock, out: &mut Vec<u8>) {
        let time = self.stamps.write(clock.at(socket.time));
        let mut line = Line::new("socket", &time, &socket.subject, SocketTcp::from(socket));
        line.processes = Some(socket.holders.iter().map(Process::from).collect());
        write(&line, out);
    }

    /// One finding, of a trace or of a diagnosis.
    pub(super) fn finding(&mut self, told: &Finding, clock: WallClock, out: &mut Vec<u8>) {
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
        tcp: impl Serialize,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let time = self.stamps.write(clock.at(time));
        write(&Line::new(kind, &time, subject, tcp), out);
    }

    fn bare(
        &mut self,
        kind: &'static str,
        time: u64,
        body: impl Serialize,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let time = self.stamps.write(clock.at(time));
        write(&Bare { kind, time: &time, body }, out);
    }
}

fn write(line: &impl Serialize, out: &mut Vec<u8>) {
    // Only maps with keys that are no strings and failing writers make this fail.
    if serde_json::to_writer(&mut *out, line).is_ok() {
        out.push(b'\n');
    }
}

impl Format for Json {
    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        self.bare("hello", clock.now, hello, clock, out);
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        match *update {
            Update::Transition(told) => {
                let tcp = TransitionTcp::from(told);
                self.about("transition", told.time, &told.subject, tcp, clock, out);
            }
            Update::Linger(lingers) => {
                for linger in lingers {
                    let time = self.stamps.write(clock.at(linger.time));
                    let tcp = LingerTcp::from(linger);
                    let mut line = Line::new("linger", &time, &linger.subject, tcp);
                    line.status = Some(linger.status);
                    write(&line, out);
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
                let tcp = StoryTcp::new(told, clock);
                self.about("connection", told.time, &told.subject, tcp, clock, out);
            }
            Update::Finding(told) => self.finding(told, clock, out),
            Update::Loss(told) => self.bare("loss", told.time, LossBody::from(told), clock, out),
        }
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        self.bare("summary", clock.now, summary, clock, out);
    }
}
