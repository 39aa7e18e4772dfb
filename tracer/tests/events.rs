//! docs/events.md: what JSON lines hold, generated from the schema. `UPDATE_DOCS=1 cargo test -p
//! tracer --test events` writes it; the examples in docs/events.jsonl are recorded by the live
//! test `replay` (`UPDATE_DOCS=1 cargo test -p tracer-tests --test replay`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
};

use serde_json::Value;
use tracer_output::json::schema::{KINDS, VERSION, schema};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.jsonl");

const HEAD: &str = "# JSON lines

Generated from the shapes of the program (`UPDATE_DOCS=1 cargo test -p tracer --test events`);
`tracer schema` prints the same as a JSON Schema (draft 2020-12).

`tracer --format json` writes one object a line; `kind` says which. The first line is `hello`, the
last one `summary`. Bytes in names that are not UTF-8 and characters that are not printable (control and format
characters, what is invisible, reorders text or passes for a space)
are written `\\x1b`, a backslash `\\\\`; `tracer replay` reads them back.

**Versions.** `hello.schema` is major and minor, now VERSION. The minor number grows with fields,
kinds and values that are added: readers pass over what they do not know. The major number grows
with anything that is taken away or gets another meaning. `tracer replay` reads all recordings of
its own major version; of a newer minor one it passes over what it does not understand, and says
how many lines. `text` and `remedies` of a finding are made anew by a replay, so that another
version of the tool may word them differently; all else comes out byte for byte. Lines of
`tracer sockets` and `tracer diagnose` are not replayed.

**Names.** A field that OpenTelemetry's semantic conventions know has that name, as nested objects
(`.network.peer.port`); the column OpenTelemetry says which.

**Times.** `time` is what the host's clock says when the line is told: where that clock is set, or
the host was suspended, times go on from its new time, and may go back. Durations (`elapsed_ns`,
`age_ns`, `tcp.states`, …) are of CLOCK_MONOTONIC, which is not set and does not count suspension.

**Presence.** *always*: in every line; *or null*: always, null where not known; *where known*: left
out where there is nothing to say.
";

/// Fields that OpenTelemetry has a name for.
const OPENTELEMETRY: &[(&str, &str)] = &[
    ("network.transport", "network.transport"),
    ("network.type", "network.type"),
    ("network.local.address", "network.local.address"),
    ("network.local.port", "network.local.port"),
    ("network.peer.address", "network.peer.address"),
    ("network.peer.port", "network.peer.port"),
    ("process.pid", "process.pid"),
    ("process.executable.name", "process.executable.name"),
    ("process.executable.path", "process.executable.path"),
    ("process.parent.pid", "process.parent_pid"),
    ("container.id", "container.id"),
    ("k8s.pod.uid", "k8s.pod.uid"),
    ("k8s.pod.name", "k8s.pod.name"),
    ("k8s.namespace.name", "k8s.namespace.name"),
    ("kernel", "os.version"),
    ("host.name", "host.name"),
];

/// A definition behind references, and the alternatives that are not null.
fn resolve<'a>(schema: &'a Value, of: &'a Value) -> (&'a Value, bool) {
    if let Some(name) = of["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        return resolve(schema, &schema["$defs"][name]);
    }
    if let Some(either) = of["anyOf"].as_array() {
        let known = either.iter().find(|one| one["type"] != "null").unwrap();
        return (resolve(schema, known).0, true);
    }
    let null = of["type"].as_array().is_some_and(|types| types.contains(&"null".into()));
    (of, null)
}

/// The type in a word or two.
fn type_of(schema: &Value, of: &Value) -> String {
    let values = |list: &Value| {
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    if let Some(value) = of["const"].as_str() {
        return format!("`{value}`");
    }
    if of["enum"].is_array() {
        return values(&of["enum"]);
    }
    if let Some(either) = of["oneOf"].as_array() {
        let words: Vec<String> =
            either.iter().map(|one| type_of(schema, one)).filter(|word| word != "object").collect();
        return if words.is_empty() { "object".into() } else { words.join(", ") };
    }
    if of["format"] == "date-time" {
        return "time".into();
    }
    let name = match &of["type"] {
        Value::Array(types) => types.iter().find(|one| **one != "null").and_then(Value::as_str),
        name => name.as_str(),
    };
    match name.unwrap_or("any") {
        "array" => {
            let (item, _) = resolve(schema, &of["items"]);
            format!("array of {}", type_of(schema, item))
        }
        "integer" => "number".into(),
        "number" => "number, fractional".into(),
        name => name.to_owned(),
    }
}

fn unit(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_ns") => "ns",
        _ if name.starts_with("bytes_") || name.ends_with("_bytes") => "bytes",
        "receive_queue" | "send_queue" => "bytes",
        "minutes_left" => "min",
        _ if name.ends_with("_per_minute") => "1/min",
        _ if name.ends_with("_per_second") => "1/s",
        _ => "",
    }
}

/// The row of a field and of all in it.
fn rows(schema: &Value, object: &Value, path: &str, out: &mut String) {
    let required: BTreeSet<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in object["properties"].as_object().into_iter().flatten() {
        let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (of, null) = resolve(schema, field);
        let presence = match (required.contains(name.as_str()), null) {
            (true, false) => "always",
            (true, true) => "or null",
            (false, _) => "where known",
        };
        let words = field["description"].as_str().or(of["description"].as_str());
        let words = words.unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let other = OPENTELEMETRY.iter().find(|(ours, _)| *ours == full);
        let other = other.map_or(String::new(), |(_, theirs)| format!("`{theirs}`"));
        writeln!(
            out,
            "| `{full}` | {} | {} | {presence} | {other} | {words} |",
            type_of(schema, of),
            unit(name)
        )
        .unwrap();
        // A process of a list is like the first one; maps have names of states for keys.
        let (inner, path) = match of["type"].as_str() {
            Some("array") => (resolve(schema, &of["items"]).0, format!("{full}[]")),
            _ => (of, full),
        };
        let is_map = matches!(name.as_str(), "sockets" | "states" | "peer_sockets");
        if path != "processes[]" && !is_map {
            rows(schema, inner, &path, out);
        }
    }
    if path == "finding" {
        evidence(schema, object, out);
    }
}

/// Which evidence there is of which code.
fn evidence(schema: &Value, object: &Value, out: &mut String) {
    for one in object["oneOf"].as_array().into_iter().flatten() {
        let properties = &one["properties"];
        let code = properties["code"]["const"].as_str().unwrap();
        writeln!(out, "| `finding.code` | `{code}` | | | | With this evidence: |").unwrap();
        let (body, _) = resolve(schema, &properties["evidence"]);
        rows(schema, body, "finding.evidence", out);
    }
}

fn document() -> String {
    let schema = schema();
    let examples = fs::read_to_string(EXAMPLES).unwrap();
    let mut text = HEAD.replace("VERSION", VERSION);
    for (kind, of) in KINDS.iter().zip(schema["oneOf"].as_array().unwrap()) {
        let title = of["title"].as_str().unwrap();
        write!(text, "\n## {title}\n\n{}\n\n", kind.when).unwrap();
        text.push_str("| Field | Type | Unit | Present | OpenTelemetry | What |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        rows(&schema, of, "", &mut text);
        let begin = format!("{{\"kind\":\"{}\"", kind.name);
        let healthy = |line: &&str| line.contains("\"healthy\"") == (kind.of == "diagnose");
        let example = examples.lines().filter(healthy).find(|line| line.starts_with(&begin));
        if let Some(example) = example {
            write!(text, "\n```json\n{example}\n```\n").unwrap();
        }
    }
    text
}

#[test]
fn the_document_is_what_the_schema_says() {
    let text = document();
    if env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(DOCUMENT, &text).unwrap();
    }
    let there = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(there == text, "docs/events.md is out of date (UPDATE_DOCS=1 writes it)");
}

#[test]
fn the_examples_are_as_the_schema_says() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let examples = fs::read_to_string(EXAMPLES).unwrap();
    let mut kinds = BTreeSet::new();
    for line in examples.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let problems: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}: {line}");
        kinds.insert(value["kind"].as_str().unwrap().to_owned());
    }
    assert!(KINDS.iter().all(|kind| kinds.contains(kind.name)), "{kinds:?}");
}

/// Column stores have one type for a path, whichever the kind.
#[test]
fn a_path_has_one_type_in_all_kinds() {
    let schema = schema();
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // A list of features is no part of what is recorded: `lost` is the clause that `hello.degraded`
    // has, not what a trace has lost.
    let recorded = |of: &&Value| of["title"] != "feature";
    for of in schema["oneOf"].as_array().unwrap().iter().filter(recorded) {
        paths(&schema, of, "", &mut types);
    }
    assert!(types.len() > 100, "{}", types.len());
    types.retain(|_, types| types.len() > 1);
    assert!(types.is_empty(), "{types:#?}");
}

/// JSON's type of each path in an object, one of either where there are several shapes.
fn paths(schema: &Value, of: &Value, path: &str, out: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(name) = of["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        paths(schema, &schema["$defs"][name], path, out);
    }
    for either in ["anyOf", "oneOf"] {
        for one in of[either].as_array().into_iter().flatten() {
            paths(schema, one, path, out);
        }
    }
    let constant = of["const"].is_string() || of["enum"].is_array();
    let named = of["type"].as_array().map_or_else(|| vec![&of["type"]], |all| all.iter().collect());
    let named = named.into_iter().filter_map(Value::as_str).filter(|name| *name != "null");
    let named = named.chain(constant.then_some("string"));
    out.entry(path.to_owned()).or_default().extend(named.map(str::to_owned));
    for (name, field) in of["properties"].as_object().into_iter().flatten() {
        let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        paths(schema, field, &full, out);
    }
    if of["items"].is_object() {
        paths(schema, &of["items"], &format!("{path}[]"), out);
    }
}

#[test]
fn every_field_says_what_it_is() {
    let text = document();
    let bare: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| `") && line.ends_with("|  |"))
        .filter(|line| !line.contains("finding.evidence"))
        .collect();
    assert!(bare.is_empty(), "{bare:#?}");
}
