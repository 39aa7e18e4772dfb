//! JSON lines by the interface contract: one object a line, `kind` says which.
//!
//! Names follow OpenTelemetry's semantic conventions where it has one, as nested objects.

mod shape;

use jiff::Timestamp;
use serde::Serialize;

use self::shape::{LingerBody, LossBody, SegmentBody, SocketBody, StoryBody, TransitionBody};
use super::{Format, Hello, summary::Summary, wall_clock::WallClock};
use crate::model::{socket::Socket, update::Update};

/// JSON lines.
#[derive(Debug, Default)]
pub struct Json;

#[derive(Serialize)]
struct Line<T: Serialize> {
    kind: &'static str,
    /// RFC 3339, UTC, nanoseconds.
    #[serde(serialize_with = "shape::nanoseconds")]
    time: Timestamp,
    #[serde(flatten)]
    body: T,
}

impl Json {
    /// One socket of a list.
    pub(super) fn socket(socket: &Socket, clock: WallClock, out: &mut Vec<u8>) {
        write("socket", clock.at(socket.time), SocketBody::from(socket), out);
    }
}

fn write(kind: &'static str, time: Timestamp, body: impl Serialize, out: &mut Vec<u8>) {
    let line = Line { kind, time, body };
    // Only maps with keys that are no strings and failing writers make this fail.
    if serde_json::to_writer(&mut *out, &line).is_ok() {
        out.push(b'\n');
    }
}

impl Format for Json {
    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        write("hello", clock.at(clock.now), hello, out);
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        match update {
            Update::Transition(transition) => {
                let body = TransitionBody::from(*transition);
                write("transition", clock.at(transition.time), body, out);
            }
            Update::Linger(lingers) => {
                for linger in *lingers {
                    write("linger", clock.at(linger.time), LingerBody::from(linger), out);
                }
            }
            Update::Retransmit(retransmit) => {
                let body = SegmentBody::from(*retransmit);
                write("retransmit", clock.at(retransmit.time), body, out);
            }
            Update::Reset(reset) => {
                write("reset", clock.at(reset.time), SegmentBody::from(*reset), out);
            }
            Update::Story(story) => {
                write("connection", clock.at(story.time), StoryBody::new(story, clock), out);
            }
            Update::Loss(loss) => write("loss", clock.at(loss.time), LossBody::from(*loss), out),
        }
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        write("summary", clock.at(clock.now), summary, out);
    }
}
