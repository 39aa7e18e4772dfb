//! Log records, encoded (opentelemetry/proto/logs/v1/logs.proto) on the reading thread.

use std::slice;

use serde::Serialize;

use super::{
    attributes::{self, bytes, fixed64, varint},
    batches::{Chunk, size},
};
use tracer_event::{enricher::Context, update::Update};
use tracer_output::{
    flatten::Memory,
    json::{Json, Take},
    message::{Message, Messages, Severity},
    queue::Size,
};

/// `SeverityNumber` and its text (OpenTelemetry's logs data model, "Severity").
fn severity(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Info => (9, "INFO"),
        Severity::Notice => (10, "INFO2"),
        Severity::Warning => (13, "WARN"),
        Severity::Critical => (17, "ERROR"),
    }
}

/// The event's name: what `kind` says, in our namespace where it is about the tracer or the host.
fn name(update: &Update<'_>) -> &'static str {
    match update {
        Update::Transition(_) => "tcp.transition",
        Update::Retransmit(_) => "tcp.retransmit",
        Update::Reset(_) => "tcp.reset",
        Update::Connection(_) => "tcp.connection",
        Update::Linger(_) => "tcp.linger",
        Update::Loss(_) => "tracer.loss",
        Update::Finding(_) => "tracer.finding",
    }
}

/// The fields of a record beside its attributes.
struct Head {
    event: &'static str,
    message: Message,
    /// Nanoseconds since 1970: when it happened, when it was noticed.
    time: u64,
    observed: u64,
}

/// Makes records of updates and gathers them.
pub(super) struct Records {
    json: Json,
    messages: Messages,
    encoder: Encoder,
}

struct Encoder {
    head: Head,
    memory: Memory,
    record: Vec<u8>,
    /// Records as fields of `ScopeLogs`.
    gathered: Vec<u8>,
    count: u64,
}

impl Records {
    pub(super) fn new() -> Self {
        let message = Message { text: String::new(), severity: Severity::Info };
        let encoder = Encoder {
            head: Head { event: "", message, time: 0, observed: 0 },
            memory: Memory::default(),
            record: Vec::new(),
            gathered: Vec::new(),
            count: 0,
        };
        Self { json: Json::default(), messages: Messages::default(), encoder }
    }

    /// Adds an update: as many records as there are lines in JSON.
    pub(super) fn add(&mut self, update: &Update<'_>, context: Context<'_>) {
        let clock = context.clock;
        let since_1970 =
            |time| u64::try_from(clock.lead.saturating_add_unsigned(time)).unwrap_or(0);
        let (time, observed) = (since_1970(update.time()), since_1970(clock.now));
        let mut of_one = |update: &Update<'_>, message| {
            self.encoder.head = Head { event: name(update), message, time, observed };
            self.json.tell(update, context, &mut self.encoder);
        };
        let messages = self.messages.of(update, context).into_iter();
        if let Update::Linger(lingers) = update {
            for (linger, message) in lingers.iter().zip(messages) {
                if let Some(message) = message {
                    of_one(&Update::Linger(slice::from_ref(linger)), message);
                }
            }
        } else {
            messages.flatten().for_each(|message| of_one(update, message));
        }
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
        let Self { head, memory, record, gathered, count } = self;
        let (number, text) = severity(head.message.severity);
        let body = head.message.text.as_bytes();
        record.clear();
        fixed64(1, head.time, record);
        // Noticed after it happened, whatever the clocks say.
        fixed64(11, head.observed.max(head.time), record);
        varint(2, number, record);
        bytes(3, text.as_bytes(), record);
        let mut any = Vec::with_capacity(body.len() + 4);
        bytes(1, body, &mut any);
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
