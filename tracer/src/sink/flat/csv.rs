//! Comma-separated values (RFC 4180): the names of the columns, then a line a record.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use super::{COLUMNS, Column, Row};
use crate::{
    model::update::Update,
    sink::{
        Format, Hello, OfFile,
        json::Json,
        output::{Beginning, Opening},
        summary::Summary,
        surroundings::Surroundings,
        wall_clock::WallClock,
    },
};

/// CSV.
pub struct Csv(Rows);

impl Csv {
    /// With what is known of this host.
    pub fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self(Rows::new(surroundings))
    }
}

impl Format for Csv {
    fn opening(&mut self, hello: &Hello, clock: WallClock) -> Opening {
        let (hello, mut rows) = (hello.clone(), self.0.anew());
        Box::new(move |file| {
            let mut beginning = Beginning { header: header(file), hello: Vec::new() };
            let json =
                |json: &mut Json, line: &mut Vec<u8>| json.hello(&hello.of(file), clock, line);
            rows.each(json, |row| cells(row, &mut beginning.hello));
            beginning
        })
    }

    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        self.0.each(|json, line| json.hello(hello, clock, line), |row| cells(row, out));
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        self.0.each(|json, line| json.update(update, clock, line), |row| cells(row, out));
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        self.0.each(|json, line| json.summary(summary, clock, line), |row| cells(row, out));
    }
}

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
    write(row.columns().map(|(_, value)| value.map_or_else(String::new, ToString::to_string)), out);
}

fn write(cells: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(out);
    if let Err(error) = writer.write_record(cells) {
        tracing::error!("{error}");
    }
}

/// Makes rows of JSON lines.
pub(super) struct Rows {
    json: Json,
    lines: Vec<u8>,
    surroundings: Arc<dyn Surroundings>,
}

impl Rows {
    pub(super) fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self { json: Json::new(Arc::clone(&surroundings)), lines: Vec::new(), surroundings }
    }

    /// Others by the same names.
    pub(super) fn anew(&self) -> Self {
        Self::new(Arc::clone(&self.surroundings))
    }

    pub(super) fn each(
        &mut self,
        make: impl FnOnce(&mut Json, &mut Vec<u8>),
        mut take: impl FnMut(&Row),
    ) {
        self.lines.clear();
        make(&mut self.json, &mut self.lines);
        for line in self.lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match Row::read(line) {
                Ok(row) => take(&row),
                Err(error) => tracing::error!("{error}"),
            }
        }
    }
}
