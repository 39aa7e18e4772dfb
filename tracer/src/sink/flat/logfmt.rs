//! logfmt: `name=value` pairs, a line a record, as Grafana Loki and many log tools read it.

use std::{io::Write as _, sync::Arc};

use super::{Row, Value, csv::Rows};
use crate::{
    model::update::Update,
    sink::{
        Beginning, Format, Hello, Opening, json::Json, summary::Summary,
        surroundings::Surroundings, wall_clock::WallClock,
    },
};

/// logfmt.
pub struct Logfmt(Rows);

impl Logfmt {
    /// With what is known of this host.
    pub fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self(Rows::new(surroundings))
    }
}

impl Format for Logfmt {
    fn opening(&mut self, hello: &Hello, clock: WallClock) -> Opening {
        let (hello, mut rows) = (hello.clone(), self.0.anew());
        Box::new(move |file| {
            let mut beginning = Beginning::default();
            let json =
                |json: &mut Json, line: &mut Vec<u8>| json.hello(&hello.of(file), clock, line);
            rows.each(json, |row| pairs(row, &mut beginning.hello));
            beginning
        })
    }

    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        self.0.each(|json, line| json.hello(hello, clock, line), |row| pairs(row, out));
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        self.0.each(|json, line| json.update(update, clock, line), |row| pairs(row, out));
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        self.0.each(|json, line| json.summary(summary, clock, line), |row| pairs(row, out));
    }
}

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
