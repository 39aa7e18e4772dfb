//! Comma-separated values (RFC 4180): the names of the columns, then a line a record.

use std::sync::Arc;

use super::{COLUMNS, Row};
use crate::{
    model::update::Update,
    sink::{
        Format, Hello, json::Json, summary::Summary, surroundings::Surroundings,
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
    fn header(&self, out: &mut Vec<u8>) {
        write(COLUMNS.iter().map(|column| column.name.to_owned()), out);
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
}

impl Rows {
    pub(super) fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self { json: Json::new(surroundings), lines: Vec::new() }
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
