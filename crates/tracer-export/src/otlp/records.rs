//! Log records, encoded (opentelemetry/proto/logs/v1/logs.proto) on the reading thread.

use std::{fmt::Write as _, slice, sync::Arc};

use serde::Serialize;

use super::{
    attributes::{self, bytes, fixed64, varint},
    batches::{Chunk, size},
};
use tracer_event::{
    enricher::Enricher,
    finding::{self, Status},
    update::{Linger, LingerStatus, Subject, Update},
    wall_clock::WallClock,
};
use tracer_output::{
    flatten::Memory,
    json::{Json, Take},
    queue::Size,
    step::meaning,
    text,
};

/// `SeverityNumber`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Info = 9,
    Warn = 13,
    Error = 17,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// The fields of a record beside its attributes.
struct Head {
    event: &'static str,
    severity: Severity,
    /// Nanoseconds since 1970: when it happened, when it was noticed.
    time: u64,
    observed: u64,
}

/// Makes records of updates and gathers them.
pub(super) struct Records {
    json: Json,
    encoder: Encoder,
}

struct Encoder {
    head: Head,
    body: String,
    memory: Memory,
    record: Vec<u8>,
    /// Records as fields of `ScopeLogs`.
    gathered: Vec<u8>,
    count: u64,
}

impl Records {
    pub(super) fn new(enricher: Arc<dyn Enricher>) -> Self {
        let head = Head { event: "", severity: Severity::Info, time: 0, observed: 0 };
        let encoder = Encoder {
            head,
            body: String::new(),
            memory: Memory::default(),
            record: Vec::new(),
            gathered: Vec::new(),
            count: 0,
        };
        Self { json: Json::new(enricher), encoder }
    }

    /// Adds an update: as many records as there are lines in JSON.
    pub(super) fn add(&mut self, update: &Update<'_>, clock: WallClock) {
        if let Update::Linger(lingers) = update {
            for linger in *lingers {
                self.one(&Update::Linger(slice::from_ref(linger)), clock);
            }
        } else {
            self.one(update, clock);
        }
    }

    fn one(&mut self, update: &Update<'_>, clock: WallClock) {
        let (event, severity, time) = describe(update, &mut self.encoder.body);
        let since_1970 =
            |time| u64::try_from(clock.lead.saturating_add_unsigned(time)).unwrap_or(0);
        self.encoder.head =
            Head { event, severity, time: since_1970(time), observed: since_1970(clock.now) };
        self.json.tell(update, clock, &mut self.encoder);
    }

    /// Bytes gathered so far.
    pub(super) fn len(&self) -> usize {
        self.encoder.gathered.len()
    }

    /// What has been gathered.
    pub(super) fn take_chunk(&mut self) -> Option<(Chunk, Size)> {
        let Encoder { gathered, count, .. } = &mut self.encoder;
        let records = std::mem::take(count);
        (records > 0).then(|| {
            let chunk = Chunk::from(gathered.as_slice());
            gathered.clear();
            let size = size(&chunk, records);
            (chunk, size)
        })
    }
}

impl Take for Encoder {
    fn take(&mut self, line: &impl Serialize) {
        let Self { head, body, memory, record, gathered, count } = self;
        record.clear();
        fixed64(1, head.time, record);
        // Noticed after it happened, whatever the clocks say.
        fixed64(11, head.observed.max(head.time), record);
        varint(2, head.severity as u64, record);
        bytes(3, head.severity.name().as_bytes(), record);
        let mut any = Vec::with_capacity(body.len() + 4);
        bytes(1, body.as_bytes(), &mut any);
        bytes(5, &any, record);
        bytes(12, head.event.as_bytes(), record);
        let begun = record.len();
        if let Err(error) = attributes::write(line, 6, memory, record) {
            tracing::error!("{error}");
            record.truncate(begun);
        }
        bytes(2, record, gathered);
        *count += 1;
    }
}

/// Name and severity of the event, when it happened (monotonic); the sentence goes to `body`.
fn describe(update: &Update<'_>, body: &mut String) -> (&'static str, Severity, u64) {
    body.clear();
    // Writing to a String cannot fail.
    match *update {
        Update::Transition(event) => {
            let _ = write!(body, "{} → {}: {}", event.from, event.to, meaning(event));
            ends(&event.subject, body);
            ("tcp.transition", Severity::Info, event.time)
        }
        Update::Retransmit(event) => {
            let _ = write!(
                body,
                "{} retransmitted ({})",
                event.segment.r#type.name(),
                event.segment.ordinal
            );
            ends(&event.subject, body);
            ("tcp.retransmit", Severity::Warn, event.time)
        }
        Update::Reset(event) => {
            let _ = write!(body, "{} in {}", text::of_reset(event), event.state);
            ends(&event.subject, body);
            ("tcp.reset", Severity::Info, event.time)
        }
        Update::Connection(event) => {
            match event.close {
                Some(close) => {
                    let _ = write!(body, "connection over: {}", text::reason(close.reason));
                }
                None => body.push_str("connection open"),
            }
            ends(&event.subject, body);
            ("tcp.connection", Severity::Info, event.time)
        }
        Update::Linger(lingers) => {
            let Some(linger) = lingers.first() else { return ("tcp.linger", Severity::Info, 0) };
            ("tcp.linger", lingering(linger, body), linger.time)
        }
        Update::Loss(event) => {
            body.push_str(text::loss(event).trim_start_matches("! "));
            ("tracer.loss", Severity::Warn, event.time)
        }
        Update::Finding(event) => {
            body.push_str(&event.sentence());
            let severity = match (event.status, event.severity) {
                (Status::Cleared, _) | (_, finding::Severity::Info) => Severity::Info,
                (_, finding::Severity::Warning) => Severity::Warn,
                (_, finding::Severity::Critical) => Severity::Error,
            };
            ("tracer.finding", severity, event.time)
        }
    }
}

fn lingering(linger: &Linger, body: &mut String) -> Severity {
    let for_long = text::duration(linger.age);
    let (words, severity) = match linger.status {
        LingerStatus::Raised | LingerStatus::Continues => ("in", Severity::Warn),
        LingerStatus::Cleared => ("left", Severity::Info),
    };
    let _ = write!(body, "{words} {} after {for_long}", linger.state);
    ends(&linger.subject, body);
    severity
}

fn ends(subject: &Subject, body: &mut String) {
    let _ = write!(body, ", {} → {}", subject.tuple.local, subject.tuple.peer);
}
