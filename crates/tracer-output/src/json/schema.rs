//! The JSON Schema of the lines, generated from their shapes.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Bare, DiagnosisBody, HeaderBody};
use tracer_event::{
    connection::ConnectionSummary,
    diff::Diff,
    exec::Exec,
    features::{Feature, Host},
    finding::Finding,
    line::Line,
    linger::Linger,
    loss::Loss,
    pair::{Clock, Pair},
    reset::Reset,
    retransmit::Retransmit,
    socket::Socket,
    summary::Summary,
    transition::Transition,
};

/// Version of the schema, in the field `schema` of each `hello`.
///
/// The second number grows with fields, kinds and values that are added: readers that pass over
/// what they do not know go on to work. The first one grows with anything that is taken away or
/// gets another meaning.
pub const VERSION: &str = "2.0";

/// One kind of line.
#[derive(Debug)]
pub struct Kind {
    /// The value of the field `kind`.
    pub name: &'static str,
    /// Which lines these are, where that is not all of this kind.
    pub of: &'static str,
    /// When there is such a line.
    pub when: &'static str,
    shape: fn(&mut SchemaGenerator) -> Schema,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// All kinds, in the order of the documents.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "hello",
        of: "",
        when: "The first line: what is traced by what, and what cannot be had here.",
        shape: shape::<Bare<'static, HeaderBody>>,
    },
    Kind {
        name: "transition",
        of: "",
        when: "A socket changes its state.",
        shape: shape::<Line<'static, Transition>>,
    },
    Kind {
        name: "retransmit",
        of: "",
        when: "A SYN, SYN+ACK or FIN is retransmitted; data too where `--format ladder` or `tracer demo` asks for it.",
        shape: shape::<Line<'static, Retransmit>>,
    },
    Kind {
        name: "reset",
        of: "",
        when: "An RST is sent or received.",
        shape: shape::<Line<'static, Reset>>,
    },
    Kind {
        name: "connection",
        of: "",
        when: "A connection is over for its application: in TIME_WAIT or CLOSED. One that is open \
               when the trace ends, or after each `--interval`, has `close` null and its counters \
               so far.",
        shape: shape::<Line<'static, ConnectionSummary>>,
    },
    Kind {
        name: "linger",
        of: "",
        when: "A state outlasts its threshold (`--linger`); again at each doubling, and when it is over.",
        shape: shape::<Line<'static, Linger>>,
    },
    Kind {
        name: "finding",
        of: "",
        when: "Something is wrong with more than one socket; `evidence` depends on `code`.",
        shape: shape::<Bare<'static, Finding>>,
    },
    Kind { name: "loss", of: "", when: "Something was lost.", shape: shape::<Bare<'static, Loss>> },
    Kind {
        name: "summary",
        of: "",
        when: "The last line of a trace.",
        shape: shape::<Bare<'static, Summary>>,
    },
    Kind {
        name: "summary",
        of: "diagnose",
        when: "The last line of `tracer diagnose`.",
        shape: shape::<Bare<'static, DiagnosisBody>>,
    },
    Kind {
        name: "socket",
        of: "",
        when: "A socket of the list of `tracer sockets`.",
        shape: shape::<Line<'static, Socket>>,
    },
    Kind {
        name: "exec",
        of: "",
        when: "What a command did: the last line that `tracer exec` writes to standard error.",
        shape: shape::<Bare<'static, Exec>>,
    },
    Kind {
        name: "clock",
        of: "",
        when: "How far the clocks of two hosts are apart: the first lines of `tracer pair`. `time` is \
               when the last recording ends.",
        shape: shape::<Bare<'static, Clock>>,
    },
    Kind {
        name: "pair",
        of: "",
        when: "A connection between hosts, by their recordings (`tracer pair`). `time` is when it \
               began, by the clock of the first end's host.",
        shape: shape::<Bare<'static, Pair>>,
    },
    Kind {
        name: "diff",
        of: "",
        when: "What changed between two recordings (`tracer diff`). `time` is when the second one ends.",
        shape: shape::<Bare<'static, Diff>>,
    },
    Kind {
        name: "host",
        of: "",
        when: "The first line of `tracer features`: the kernel and the privileges.",
        shape: shape::<Bare<'static, Host<'static>>>,
    },
    Kind {
        name: "feature",
        of: "",
        when: "A feature, and whether it works here (`tracer features`).",
        shape: shape::<Bare<'static, Feature<'static>>>,
    },
];

/// JSON Schema, draft 2020-12, of any line.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let kinds: Vec<Value> = KINDS.iter().map(|kind| kind.schema(&mut generator)).collect();
    let definitions: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of tracer --format json",
        "description": format!("Schema version {VERSION}. Fields may be added; readers pass over \
                                what they do not know."),
        "oneOf": kinds,
        "$defs": definitions,
    })
}

impl Kind {
    /// Fields of the common shape that only some kinds have.
    fn leave_out(&self, properties: &mut Map<String, Value>) {
        let of_lingering = ["status", "cause", "stack", "stack_gap"];
        let about_sockets = properties.contains_key("socket");
        properties.retain(|name, _| match self.name {
            "linger" => true,
            "socket" => !of_lingering.contains(&name.as_str()),
            _ => !about_sockets || name != "processes" && !of_lingering.contains(&name.as_str()),
        });
    }

    /// Only an RST can be about no socket.
    fn ask_for_socket(&self, properties: &mut Map<String, Value>) {
        if self.name != "reset"
            && let Some(socket) = properties.get_mut("socket").and_then(Value::as_object_mut)
            && let Some(Value::Array(mut either)) = socket.remove("anyOf")
            && let Some(reference) = either.swap_remove(0).get_mut("$ref")
        {
            socket.insert("$ref".into(), reference.take());
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        let mut schema = (self.shape)(generator).to_value();
        schema["title"] = match self.of {
            "" => self.name.into(),
            of => format!("{} ({of})", self.name).into(),
        };
        schema["description"] = self.when.into();
        schema["properties"]["kind"] =
            json!({ "const": self.name, "description": "Which kind of line." });
        let properties = schema["properties"].as_object_mut();
        properties.into_iter().for_each(|properties| {
            self.leave_out(properties);
            self.ask_for_socket(properties);
        });
        if self.name == "summary" {
            // What tells one from the other.
            let other = if self.of.is_empty() { "healthy" } else { "records" };
            schema["not"] = json!({ "required": [other] });
        }
        schema
    }
}
