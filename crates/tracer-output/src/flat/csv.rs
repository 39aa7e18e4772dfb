//! Comma-separated values (RFC 4180): the names of the columns, then a line a record.
//!
//! Spreadsheets run what looks like a formula. What could begin one is escaped in texts, the same
//! way as all else that names must not hold; numbers stay numbers.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::{COLUMNS, Column, Row, Value};
use tracer_event::{escape::push_escaped, header::OfFile};

/// The names of the columns.
///
/// Many who read files know them by their first line or kilobyte, and nothing may stand before the
/// names. So it is how they are quoted that is another one in each file: whatever reads CSV finds
/// the same names.
pub(super) fn header(file: Option<OfFile>) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    let quoted = file.map_or(0, |OfFile { sequence, opened }| {
        (sequence, opened.as_nanosecond()).hash(&mut hasher);
        hasher.finish()
    });
    let name = |(at, column): (usize, &Column)| match quoted >> (at % 64) & 1 {
        1 => format!("\"{}\"", column.name),
        _ => column.name.to_owned(),
    };
    let names: Vec<String> = COLUMNS.iter().enumerate().map(name).collect();
    (names.join(",") + "\n").into_bytes()
}

pub(super) fn cells(row: &Row, out: &mut Vec<u8>) {
    let cell = |value: &Value| match value {
        Value::Text(text) => defused(text).into_owned(),
        value => value.to_string(),
    };
    write(row.columns().map(|(_, value)| value.map_or_else(String::new, cell)), out);
}

/// A text that no spreadsheet takes for a formula, even one that separates cells by something else
/// than commas or does not know quotes (OWASP, "CSV Injection"). `unescape` makes it what it was.
fn defused(text: &str) -> Cow<'_, str> {
    let starts = text.char_indices().scan(true, |begins, (at, c)| {
        let starts = *begins && is_formula(c);
        *begins = matches!(c, ',' | ';' | '|' | '"' | '\'') || *begins && c == ' ';
        Some((at, c, starts))
    });
    let mut safe = String::new();
    let mut done = 0;
    for (at, c, _) in starts.filter(|&(_, _, starts)| starts) {
        safe.push_str(&text[done..at]);
        push_escaped(&mut safe, c);
        done = at + c.len_utf8();
    }
    if done == 0 { text.into() } else { (safe + &text[done..]).into() }
}

/// Also in full width, as in East Asian locales. Tabs and ends of lines are escaped everywhere.
fn is_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

fn write(cells: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(out);
    if let Err(error) = writer.write_record(cells) {
        tracing::error!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{defused, is_formula};
    use tracer_event::escape::{escape, unescape};

    #[rstest]
    #[case("=1+1", "\\x3d1+1")]
    #[case("-1", "\\x2d1")]
    #[case("+cmd|' /C calc'!A0", "\\x2bcmd|' /C calc'!A0")]
    #[case("@SUM(A1)", "\\x40SUM(A1)")]
    #[case("  =1", "  \\x3d1")]
    #[case("＝1", "\\xef\\xbc\\x9d1")]
    #[case("a;=1", "a;\\x3d1")]
    #[case("a\", =1", "a\", \\x3d1")]
    #[case("kworker/0:1-events", "kworker/0:1-events")]
    #[case("a=b, c", "a=b, c")]
    #[case("2001:db8::1", "2001:db8::1")]
    #[case("", "")]
    fn no_cell_is_a_formula(#[case] text: &str, #[case] cell: &str) {
        assert_eq!(defused(text), cell);
    }

    proptest! {
        #[test]
        fn a_name_in_a_cell_can_be_had_back(name in "[-=+@＝ ,;\"'|a\\\\\t\r\n]{0,8}|\\PC{0,8}") {
            let name = name.into_bytes();
            let text = escape(&name);
            let cell = defused(&text);
            prop_assert_eq!(unescape(&cell), &*name);
            let pieces = cell.split([',', ';', '|', '"', '\'']);
            let mut begins = pieces.filter_map(|piece| piece.trim_start_matches(' ').chars().next());
            prop_assert!(begins.all(|c| !is_formula(c) && !c.is_control()), "{cell}");
        }
    }
}
