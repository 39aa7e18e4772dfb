//! What an event costs the reader: the table alone, and with each format behind it.
//!
//! A round is the life of a connection within one host as the kernel tells it, ten events with
//! both ends; `cargo bench -p tracer` prints the time of many of them.

mod stage;

use std::hint::black_box;

use tracer_event::{
    update::{Observer, Update},
    wall_clock::WallClock,
};
use tracer_export::metrics::measuring::{Measuring, Shared};
use tracer_model::table::Table;
use tracer_output::{
    Format, Sink,
    json::Json,
    packed::Packer,
    stamps::{Times, Timestamps},
    text::{Palette, Stories, Text},
};
use tracer_wire::Record;

use self::stage::{Count, ingest, life, table};

fn main() {
    divan::main();
}

/// Connections of a round: 100,000 events.
const CONNECTIONS: u64 = 10_000;
const EVENTS: u64 = 10 * CONNECTIONS;
const CLOCK: WallClock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };

fn events() -> Vec<Record> {
    (0..CONNECTIONS).flat_map(life).collect()
}

/// Formats the updates and throws the text away in pieces, as the output does.
struct Formatted<F> {
    format: F,
    bytes: Vec<u8>,
}

impl<F: Format> Observer for Formatted<F> {
    fn observe(&mut self, update: Update<'_>) {
        self.format.update(&update, CLOCK.into(), &mut self.bytes);
        if self.bytes.len() > 64 << 10 {
            black_box(&self.bytes);
            self.bytes.clear();
        }
    }
}

fn run(
    bencher: divan::Bencher<'_, '_>,
    observer: impl Fn() -> Box<dyn FnMut(&mut Table, &[Record])> + Sync,
) {
    let events = events();
    bencher
        .counter(divan::counter::ItemsCount::new(EVENTS))
        .with_inputs(|| (table(), observer()))
        .bench_local_refs(|(table, run)| run(table, &events));
}

#[divan::bench]
fn table_alone(bencher: divan::Bencher<'_, '_>) {
    run(bencher, || Box::new(|table, events| ingest(table, events, &mut Count::default())));
}

#[divan::bench]
fn json(bencher: divan::Bencher<'_, '_>) {
    run(bencher, || {
        let mut out = Formatted { format: Json::default(), bytes: Vec::with_capacity(1 << 17) };
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}

/// The binary form, as `tracer record` has it.
struct Packed {
    json: Json,
    packer: Packer,
}

impl Observer for Packed {
    fn observe(&mut self, update: Update<'_>) {
        self.json.tell(&update, CLOCK.into(), &mut self.packer);
        if self.packer.len() > 128 << 10 {
            black_box(self.packer.block());
        }
    }
}

#[divan::bench]
fn recording(bencher: divan::Bencher<'_, '_>) {
    run(bencher, || {
        let mut out = Packed { json: Json::default(), packer: Packer::default() };
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}

#[divan::bench(args = [Stories::Steps, Stories::Only])]
fn text(bencher: divan::Bencher<'_, '_>, stories: Stories) {
    run(bencher, || {
        let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
        let text = Text::new(Palette::PLAIN, None, times, stories);
        let mut out = Formatted { format: text, bytes: Vec::with_capacity(1 << 17) };
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}

/// Hands the updates to a sink.
struct Sunk<S>(S);

impl<S: Sink> Observer for Sunk<S> {
    fn observe(&mut self, update: Update<'_>) {
        self.0.update(&update, CLOCK.into());
    }
}

#[divan::bench]
fn metrics(bencher: divan::Bencher<'_, '_>) {
    run(bencher, || {
        let mut out = Sunk(Measuring::new(Shared::default(), || ()));
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}

/// With a queue that takes nothing: what it costs the thread that reads.
#[cfg(feature = "otlp")]
#[divan::bench]
fn otlp(bencher: divan::Bencher<'_, '_>) {
    use tracer_export::otlp::{Identity, Limit, Otlp, Resource, Settings};
    run(bencher, || {
        let settings = Settings::new(Some("http://127.0.0.1:9"), |_| None).expect("settings");
        let resource = Resource::new(&Identity::default(), |_| None);
        let metrics = Shared::default();
        let sink = Otlp::start(settings, Limit::Records(1), &resource, metrics);
        let mut out = Sunk(sink.expect("a thread"));
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}
