use rstest::rstest;

use super::*;
use tracer_event::{
    header::{Header, OfFile},
    wall_clock::WallClock,
};

const LINE: &str = r#"{"kind":"linger","time":"2026-01-31T12:34:56.789012345Z",
    "socket":{"cookie":7,"uid":null},"process":{"pid":1,"name":"a \"b\", c=d"},
    "status":"raised","cause":{"code":"unknown","listener":{"queue":3}},
    "processes":[{"pid":1,"name":"x"}],"tcp":{"state":"CLOSE_WAIT","at_least":false}}"#;

fn row(line: &str) -> Row {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    Row::of(&line, &mut Memory::default()).unwrap()
}

#[test]
fn a_row_has_what_the_json_line_has_by_its_path() {
    let row = row(LINE);
    let told: Vec<String> =
        row.values().map(|(column, value)| format!("{}={value}", column.name)).collect();
    assert_eq!(
        told,
        [
            "time=2026-01-31T12:34:56.789012345Z",
            "kind=linger",
            "status=raised",
            "socket_cookie=7",
            "process_pid=1",
            r#"process_name=a "b", c=d"#,
            "tcp_state=CLOSE_WAIT",
            "tcp_at_least=false",
            "cause_code=unknown",
        ]
    );
}

#[rstest]
#[case(r#"{"kind":"transition","tcp":{"from":"SYN_SENT","to":"ESTABLISHED"}}"#, "ESTABLISHED")]
#[case(r#"{"kind":"reset","tcp":{"state":"SYN_SENT"}}"#, "SYN_SENT")]
fn the_state_is_the_one_it_is_in_now(#[case] line: &str, #[case] state: &str) {
    assert_eq!(row(line).text("tcp_state"), Some(state));
}

#[test]
fn names_are_unique_and_fit_into_syslog_and_the_journal() {
    let mut names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert!(names.iter().all(|name| name.len() <= 32), "RFC 5424 section 6.3.3: 32 at most");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COLUMNS.len());
}

#[test]
fn csv_quotes_what_needs_it_and_has_a_cell_for_each_column() {
    let mut csv = FlatLines::csv();
    let mut out = Vec::new();
    out.extend(csv::header(None));
    let header = Header { version: "1,\"2\"".into(), ..tracer_event::fixtures::header() };
    csv.header(&header, WallClock { lead: 0, now: 0 }, &mut out);
    csv::cells(&row(LINE), &mut out);
    let mut reader = ::csv::Reader::from_reader(&out[..]);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let at = |name| COLUMNS.iter().position(|column| column.name == name).unwrap();
    assert_eq!(&rows[0][at("kind")], "hello");
    assert_eq!(&rows[1][at("process_name")], r#"a "b", c=d"#);
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 3);
}

#[test]
fn the_names_of_columns_are_written_in_another_way_in_each_file_and_read_as_the_same() {
    let file = |sequence| OfFile { sequence, opened: WallClock { lead: 0, now: 0 }.at(sequence) };
    let headers: Vec<Vec<u8>> =
        [None].into_iter().chain((1..500).map(|at| Some(file(at)))).map(csv::header).collect();
    // As much as those look at who know files by their first bytes.
    let mut begins: Vec<&[u8]> = headers.iter().map(|header| &header[..512]).collect();
    begins.sort_unstable();
    begins.dedup();
    assert_eq!(begins.len(), headers.len());
    for header in &headers {
        let mut reader = ::csv::Reader::from_reader(&header[..]);
        let names = reader.headers().unwrap();
        assert!(names.iter().eq(COLUMNS.iter().map(|column| column.name)), "{names:?}");
    }
}

#[test]
fn logfmt_quotes_what_needs_it() {
    let mut out = Vec::new();
    logfmt::pairs(&row(LINE), &mut out);
    let line = String::from_utf8(out).unwrap();
    assert!(line.contains(r#" process_name="a \"b\", c=d" tcp_state=CLOSE_WAIT "#), "{line}");
    assert!(line.ends_with(" cause_code=unknown\n"));
}

#[test]
fn the_columns_are_documented_in_their_order() {
    let text = include_str!("../../../../docs/exporting.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(rows.collect::<Vec<_>>(), names);
}

#[test]
fn what_the_schema_says_of_a_socket_s_events_is_in_a_column() {
    // What is the same on all lines, what the tracepoint said of what is reported otherwise,
    // and what `connection` has in columns of other names.
    let without = ["network_transport", "tcp_kernel_", "tcp_states", "process_others"];
    let schema = crate::json::schema::schema();
    for kind in schema["oneOf"].as_array().unwrap() {
        let name = kind["properties"]["kind"]["const"].as_str().unwrap();
        if ["transition", "connection", "reset", "retransmit"].contains(&name) {
            let mut paths = Vec::new();
            scalars(&schema, kind, "", &mut paths);
            assert!(paths.len() > 30, "{name}: {paths:?}");
            let lacking = paths.iter().filter(|path| {
                !PATHS.contains_key(path.as_str())
                    && !without.iter().any(|part| path.contains(part))
            });
            assert_eq!(lacking.collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
        }
    }
}

/// Paths of what is neither a list nor an object.
fn scalars(
    all: &serde_json::Value,
    schema: &serde_json::Value,
    path: &str,
    paths: &mut Vec<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        return scalars(all, all.pointer(&reference[1..]).unwrap(), path, paths);
    }
    let variants = ["anyOf", "oneOf", "allOf"].into_iter();
    let variants: Vec<&serde_json::Value> =
        variants.filter_map(|name| schema[name].as_array()).flatten().collect();
    for variant in &variants {
        scalars(all, variant, path, paths);
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, value) in properties {
            let joined = if path.is_empty() { name.clone() } else { format!("{path}_{name}") };
            scalars(all, value, &joined, paths);
        }
    } else if variants.is_empty() && !schema["type"].to_string().contains("array") {
        let null = schema["type"] == "null";
        paths.extend((!null).then(|| path.to_owned()));
    }
}
