//! What an event costs the reader: the table alone, and with each format behind it.
//!
//! A round is the life of a connection within one host as the kernel tells it, ten events with
//! both ends; `cargo bench -p tracer` prints the time of many of them.

use std::{hint::black_box, sync::Arc};

use tracer::{
    model::{
        container::Cgroup,
        filter::Filter,
        linger::Thresholds,
        owner::Process,
        state::State,
        table::{Options, Table},
        time_wait::Ticks,
        update::{Observer, Subject, Update},
    },
    sink::{
        Format,
        json::Json,
        stamps::{Times, Timestamps},
        surroundings::Surroundings,
        text::{Palette, Stories, Text},
        wall_clock::WallClock,
    },
};
use tracer_ebpf::{Record, flag, kind};

fn main() {
    divan::main();
}

/// Connections of a round: 100,000 events.
const CONNECTIONS: u64 = 10_000;
const EVENTS: u64 = 10 * CONNECTIONS;
const NETNS: u32 = 4_026_531_840;
const CLOCK: WallClock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };

/// The events of one connection, client first: connect, accept, close by the client, close by the
/// server.
fn life(index: u64) -> [Record; 10] {
    use State::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
    };
    let port = 10_000 + (index % 50_000) as u16;
    let begun = 1_000_000_000 + index * 27_000;
    let mapped = |last: u8| {
        let mut address = [0; 16];
        address[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, last]);
        address
    };
    let end = |client: bool, step: u64, from: State, to: State| {
        let (local, peer) = if client { (port, 8080) } else { (8080, port) };
        Record {
            kind: kind::STATE,
            time_ns: begun + step * 2_000,
            jiffies: 4_295_000_000 + (begun + step * 2_000) / 4_000_000,
            sk: 0xffff_8880_0000_0000 + (index * 2 + u64::from(client)) * 2432,
            cookie: 1 + index * 2 + u64::from(client),
            local_address: mapped(1),
            peer_address: mapped(2),
            local_port: local,
            peer_port: peer,
            family: 2,
            netns: NETNS,
            pid: 4711,
            tid: 4711,
            comm: *b"load\0\0\0\0\0\0\0\0\0\0\0\0",
            old_state: from as u8,
            new_state: to as u8,
            snd_una: 1_000,
            write_seq: 1_000,
            srtt_us: 240,
            inode: if client { 123_456 } else { 0 },
            flags: if step > 5 { flag::DEAD } else { flag::HAS_SOCKET },
            ..Record::EMPTY
        }
    };
    let done = |record: Record| Record { flags: record.flags | flag::DONE, ..record };
    [
        end(true, 0, Closed, SynSent),
        end(false, 1, Listen, SynRecv),
        end(true, 2, SynSent, Established),
        end(false, 3, SynRecv, Established),
        end(true, 4, Established, FinWait1),
        end(false, 5, Established, CloseWait),
        end(false, 6, CloseWait, LastAck),
        end(true, 7, FinWait1, FinWait2),
        done(end(true, 8, FinWait2, Closed)),
        done(end(false, 9, LastAck, Closed)),
    ]
}

fn events() -> Vec<Record> {
    (0..CONNECTIONS).flat_map(life).collect()
}

fn table() -> Table {
    Table::new(Options {
        filter: Filter::default(),
        ticks: Ticks { hz: 250 },
        thresholds: Thresholds::default(),
        resets_traced: true,
        port_patience: 2_000_000_000,
        look_patience: 2_000_000_000,
    })
}

/// A host without containers.
struct Nothing;

impl Surroundings for Nothing {
    fn cgroup(&self, _: &Subject) -> Option<Arc<Cgroup>> {
        None
    }

    fn executable(&self, _: &Process) -> Option<Arc<str>> {
        None
    }
}

/// Counts the updates.
#[derive(Default)]
struct Count(u64);

impl Observer for Count {
    fn observe(&mut self, _: Update<'_>) {
        self.0 += 1;
    }
}

/// Formats the updates and throws the text away in pieces, as the output does.
struct Formatted<F> {
    format: F,
    bytes: Vec<u8>,
}

impl<F: Format> Observer for Formatted<F> {
    fn observe(&mut self, update: Update<'_>) {
        self.format.update(&update, CLOCK, &mut self.bytes);
        if self.bytes.len() > 64 << 10 {
            black_box(&self.bytes);
            self.bytes.clear();
        }
    }
}

fn ingest(table: &mut Table, events: &[Record], out: &mut impl Observer) {
    for batch in events.chunks(4096) {
        for record in batch {
            table.ingest(record, out);
        }
        table.expire(batch[batch.len() - 1].time_ns, out);
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
        let mut out =
            Formatted { format: Json::new(Arc::new(Nothing)), bytes: Vec::with_capacity(1 << 17) };
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}

#[divan::bench(args = [Stories::Steps, Stories::Only])]
fn text(bencher: divan::Bencher<'_, '_>, stories: Stories) {
    run(bencher, || {
        let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
        let text = Text::new(Palette::PLAIN, None, times, stories, Arc::new(Nothing));
        let mut out = Formatted { format: text, bytes: Vec::with_capacity(1 << 17) };
        Box::new(move |table, events| ingest(table, events, &mut out))
    });
}
