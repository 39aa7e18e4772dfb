//! logfmt: `name=value` pairs, a line a record, as Grafana Loki and many log tools read it.

use std::io::Write as _;

use super::{Row, Value};

pub(super) fn pairs(row: &Row, out: &mut Vec<u8>) {
    for (index, (column, value)) in row.values().enumerate() {
        let space = if index > 0 { " " } else { "" };
        // Writing to memory cannot fail.
        let _ = match value {
            Value::Text(text) if needs_quotes(text) => {
                write!(out, "{space}{}=\"{}\"", column.name, quoted(text))
            }
            value => write!(out, "{space}{}={value}", column.name),
        };
    }
    out.push(b'\n');
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.contains(|c: char| c <= ' ' || matches!(c, '"' | '=' | '\\'))
}

/// Control characters cannot come: whatever somebody else chose has been escaped.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
