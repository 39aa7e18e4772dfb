//! The fields of a JSON line as attributes: `{"network":{"peer":{"port":80}}}` is
//! `network.peer.port`, and what OpenTelemetry does not define stands under `tracer`. Written as
//! protobuf at once (opentelemetry/proto/common/v1/common.proto): messages in between would cost
//! ten times as much on the thread that reads the kernel's events.

use prost::encoding::{encode_varint, encoded_len_varint};
use serde::Serialize;
use serde_json::Value;

use tracer_event::state::State;
use tracer_output::{
    flatten::{Fields, Leaf, Memory, flatten},
    visit::Unsupported,
};

/// Fields of `AnyValue`.
const STRING: u8 = 1;
const BOOL: u8 = 2;
const INT: u8 = 3;
const DOUBLE: u8 = 4;
const ARRAY: u8 = 5;
const LIST: u8 = 6;
/// Wire types of protobuf.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
pub(super) const LEN: u8 = 2;

/// A field that holds bytes, text or a message. `field` < 16.
pub(super) fn bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | LEN);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A field of eight bytes.
pub(super) fn fixed64(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field that is a number.
pub(super) fn varint(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3 | VARINT);
    encode_varint(value, out);
}

/// Attributes that OpenTelemetry's semantic conventions define: they have these names.
pub(super) const DEFINED: [&str; 16] = [
    "network.transport",
    "network.type",
    "network.local.address",
    "network.local.port",
    "network.peer.address",
    "network.peer.port",
    STATE,
    "process.pid",
    PARENT,
    "process.executable.name",
    "process.executable.path",
    "container.id",
    "k8s.pod.uid",
    "k8s.pod.name",
    "k8s.namespace.name",
    "systemd.unit",
];

const PARENT: &str = "process.parent_pid";
const STATE: &str = "network.connection.state";

/// What comes before the names of all others, as OpenTelemetry asks for it.
pub(super) fn namespace(name: &str) -> &'static str {
    if DEFINED.contains(&name) || name.starts_with(OWN) { "" } else { OWN }
}

const OWN: &str = "tracer.";

/// Attributes, each as the field `field` of whatever message they belong to; no field `time` at
/// the top. Of an event about a socket in a state also that state, by OpenTelemetry's name.
pub(super) fn write(
    value: &impl Serialize,
    field: u8,
    memory: &mut Memory,
    out: &mut Vec<u8>,
) -> Result<(), Unsupported> {
    flatten(value, memory, &mut Attributes { field, any: Vec::with_capacity(64), out })
}

struct Attributes<'a> {
    field: u8,
    /// The `AnyValue` of an attribute.
    any: Vec<u8>,
    out: &'a mut Vec<u8>,
}

impl Fields for Attributes<'_> {
    const SEPARATOR: char = '.';
    const LISTS: bool = true;

    fn field(&mut self, key: &str, leaf: Leaf<'_>) {
        // The record has it as a number.
        if key == "time" {
            return;
        }
        if let ("tcp.to" | "tcp.state", Leaf::Text(name)) = (key, &leaf)
            && let Some(state) = State::ALL.into_iter().find(|state| state.name() == *name)
        {
            self.attribute(STATE, Leaf::Text(state.connection_state()));
        }
        self.attribute(if key == "process.parent.pid" { PARENT } else { key }, leaf);
    }
}

impl Attributes<'_> {
    fn attribute(&mut self, key: &str, leaf: Leaf<'_>) {
        let Self { field, any, out } = self;
        any.clear();
        encode(leaf, any);
        // A `KeyValue`.
        let sized = |len: usize| 1 + encoded_len_varint(len as u64) + len;
        let namespace = namespace(key);
        let key_len = namespace.len() + key.len();
        out.push(*field << 3 | LEN);
        encode_varint((sized(key_len) + sized(any.len())) as u64, out);
        out.push(1 << 3 | LEN);
        encode_varint(key_len as u64, out);
        out.extend_from_slice(namespace.as_bytes());
        out.extend_from_slice(key.as_bytes());
        bytes(2, any, out);
    }
}

/// As an `AnyValue`.
fn encode(leaf: Leaf<'_>, out: &mut Vec<u8>) {
    match leaf {
        Leaf::Text(text) => bytes(STRING, text.as_bytes(), out),
        Leaf::Flag(flag) => varint(BOOL, u64::from(flag), out),
        // OTLP has no larger numbers.
        Leaf::Number(number) if i64::try_from(number).is_err() => {
            bytes(STRING, number.to_string().as_bytes(), out);
        }
        Leaf::Number(number) => varint(INT, number, out),
        Leaf::Negative(number) => varint(INT, number as u64, out),
        Leaf::Fraction(fraction) => fixed64(DOUBLE, fraction.to_bits(), out),
        Leaf::List(values) => {
            let mut array = Vec::new();
            for value in values {
                let mut item = Vec::new();
                encode_json(value, &mut item);
                bytes(1, &item, &mut array);
            }
            bytes(ARRAY, &array, out);
        }
    }
}

/// The same for values in lists, which are rare.
fn encode_json(value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => encode(Leaf::Flag(flag), out),
        Value::Number(number) => {
            let whole = number.as_u64().map(Leaf::Number);
            let whole = whole.or_else(|| number.as_i64().map(Leaf::Negative));
            let fraction = number.as_f64().unwrap_or_default();
            encode(whole.unwrap_or(Leaf::Fraction(fraction)), out);
        }
        Value::String(text) => encode(Leaf::Text(&text), out),
        Value::Array(values) => encode(Leaf::List(values), out),
        Value::Object(fields) => {
            let mut list = Vec::new();
            for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
                let (mut item, mut field) = (Vec::new(), Vec::new());
                encode_json(value, &mut item);
                bytes(1, key.as_bytes(), &mut field);
                bytes(2, &item, &mut field);
                bytes(1, &field, &mut list);
            }
            bytes(LIST, &list, out);
        }
    }
}
