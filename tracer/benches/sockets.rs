//! What very many sockets cost the reader: decoding, looks at them, events among them, the passing
//! of time; and, printed first, the memory that each takes.

mod stage;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
};

use divan::{Bencher, counter::ItemsCount};
use tracer_event::state::State;
use tracer_model::table::{Snapshot, Table};
use tracer_wire::{Plain as _, Record, kind};

use self::stage::{Count, NETNS, ingest, life, table};

const LOOK: u64 = 100_000;
const TRACKED: u64 = 1_000_000;
const NOW: u64 = 1_000_000_000;
const SECOND: u64 = 1_000_000_000;
/// Ticks a second, as `stage::table` has it.
const HZ: u64 = 250;
/// Lives beside the tracked sockets: 10,000 events.
const LIVES: u64 = 1_000;

#[global_allocator]
static ALLOCATOR: Counting = Counting { held: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

/// The system's allocator, counting bytes.
struct Counting {
    held: AtomicUsize,
    peak: AtomicUsize,
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = self.held.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.peak.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.held.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: it came from there with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn main() {
    for state in STATES {
        let before = ALLOCATOR.held.load(Ordering::Relaxed);
        ALLOCATOR.peak.store(before, Ordering::Relaxed);
        let table = tracking(TRACKED, state);
        let each = |bytes: &AtomicUsize| {
            (bytes.load(Ordering::Relaxed) - before) as f64 / table.len() as f64
        };
        let (held, peak) = (each(&ALLOCATOR.held), each(&ALLOCATOR.peak));
        println!("{TRACKED} sockets in {state:?}: {held:.0} bytes each, {peak:.0} at the peak");
    }
    divan::main();
}

/// Sockets that wait for data, for their process, and for the kernel's timer.
const STATES: [State; 3] = [State::Established, State::CloseWait, State::TimeWait];

/// A socket as a look shows it.
fn socket(index: u64, state: State) -> Record {
    let [.., low, lower] = (index / 60_000).to_be_bytes();
    let mut local_address = [0; 16];
    local_address[10..].copy_from_slice(&[0xff, 0xff, 10, 0, low, lower]);
    let minisocket = state == State::TimeWait;
    Record {
        kind: if minisocket { kind::TIME_WAIT_SOCKET } else { kind::SOCKET },
        time_ns: NOW,
        jiffies: 4_295_000_000,
        timer_expires: if minisocket { 4_295_000_000 + 60 * HZ } else { 0 },
        sk: 0xffff_8880_0000_0000 + index * 2432,
        cookie: 1_000_000_000 + index,
        local_address,
        peer_address: local_address,
        local_port: 1_024 + (index % 60_000) as u16,
        peer_port: 443,
        netns: NETNS,
        inode: if minisocket { 0 } else { 1_000 + index },
        old_state: state as u8,
        new_state: state as u8,
        ..Record::EMPTY
    }
}

fn look(sockets: std::ops::Range<u64>, state: State, namespaces: Vec<u32>) -> Snapshot {
    let records = sockets.map(|index| socket(index, state)).collect();
    Snapshot { begun: NOW, records, namespaces, ..Snapshot::default() }
}

/// A table with so many sockets, found in parts so that the looks take no memory.
fn tracking(count: u64, state: State) -> Table {
    const PART: u64 = 10_000;
    let mut table = table();
    for begin in (0..count).step_by(PART as usize) {
        let part = look(begin..count.min(begin + PART), state, Vec::new());
        table.merge(&part, &mut Count::default());
    }
    assert_eq!(table.len() as u64, count);
    table
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let records: Vec<Record> = (0..LOOK).map(|index| socket(index, State::Established)).collect();
    bencher.counter(ItemsCount::new(LOOK)).bench_local(|| {
        let states = records.iter().map(|record| {
            let record =
                Record::from_bytes(black_box(record.as_bytes())).map_or(0, |r| r.new_state);
            u64::from(record)
        });
        states.sum::<u64>()
    });
}

/// A look whose sockets are all unknown.
#[divan::bench(sample_count = 10)]
fn first_look(bencher: Bencher<'_, '_>) {
    let snapshot = look(0..LOOK, State::Established, vec![NETNS]);
    bencher.counter(ItemsCount::new(LOOK)).with_inputs(table).bench_local_values(|mut table| {
        table.merge(&snapshot, &mut Count::default());
        table
    });
}

/// A look that shows nothing new.
#[divan::bench(sample_count = 10)]
fn next_look(bencher: Bencher<'_, '_>) {
    let mut table = tracking(LOOK, State::Established);
    let snapshot = look(0..LOOK, State::Established, vec![NETNS]);
    bencher
        .counter(ItemsCount::new(LOOK))
        .bench_local(|| table.merge(&snapshot, &mut Count::default()));
}

/// Lives of other sockets.
#[divan::bench(args = [0, TRACKED], sample_count = 20)]
fn events_beside(bencher: Bencher<'_, '_>, tracked: u64) {
    let mut table = tracking(tracked, State::Established);
    let mut begun = 0;
    bencher
        .counter(ItemsCount::new(10 * LIVES))
        .with_inputs(|| {
            begun += LIVES;
            (begun..begun + LIVES).flat_map(life).collect::<Vec<Record>>()
        })
        .bench_local_refs(|events| ingest(&mut table, events, &mut Count::default()));
}

/// The passing of time where nothing is due.
#[divan::bench(args = STATES)]
fn expire_nothing(bencher: Bencher<'_, '_>, state: State) {
    let mut table = tracking(TRACKED, state);
    let mut now = NOW;
    bencher.bench_local(|| {
        now += 1;
        table.expire(now, &mut Count::default());
    });
    assert_eq!(table.len() as u64, TRACKED);
}

/// All of TIME_WAIT ends.
#[divan::bench(sample_count = 3)]
fn expire_all(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(TRACKED))
        .with_inputs(|| tracking(TRACKED, State::TimeWait))
        .bench_local_values(|mut table| {
            table.expire(NOW + 70 * SECOND, &mut Count::default());
            assert!(table.is_empty());
        });
}
