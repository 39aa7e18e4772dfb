//! What a tracked socket costs: bytes of memory, and nanoseconds an event while there are few and
//! while there are a million.
//!
//! `cargo bench -p tracer --bench memory` prints a line for each kind of socket and fails where one
//! costs more than it may. `SOCKETS` in the environment asks for another number of them.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use tracer_event::{
    state::State,
    update::{Observer, Update},
};
use tracer_model::{
    connection::Connection,
    table::{Options, Snapshot, Table},
    time_wait::Ticks,
};
use tracer_wire::{Record, flag, kind};

/// Bytes that a socket may cost.
const LIMIT: f64 = 250.0;
/// Events timed at the beginning and at the end.
const SAMPLE: u64 = 100_000;
const NETNS: u32 = 4_026_531_840;
const BEGUN: u64 = 1_000_000_000;
/// Nanoseconds from a connection to the next: all are there before the first TIME_WAIT is over.
const APART: u64 = 40_000;

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let allocated = ALLOCATED.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(allocated, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Takes the updates and forgets them.
struct Nobody;

impl Observer for Nobody {
    fn observe(&mut self, _: Update<'_>) {}
}

/// A record of the `index`th socket, `step` microseconds after its beginning.
fn record(index: u64, step: u64, from: State, to: State) -> Record {
    let time_ns = BEGUN + index * APART + step * 1_000;
    let mut peer = [0; 16];
    peer[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    peer[8..].copy_from_slice(&(index / 50_000).to_be_bytes());
    Record {
        kind: kind::STATE,
        time_ns,
        jiffies: 4_295_000_000 + time_ns / 4_000_000,
        sk: 0xffff_8880_0000_0000 + index * 2432,
        cookie: 1 + index,
        local_address: *b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        peer_address: peer,
        local_port: 10_000 + (index % 50_000) as u16,
        peer_port: 443,
        netns: NETNS,
        pid: 4711 + (index % 100) as u32,
        comm: *b"load\0\0\0\0\0\0\0\0\0\0\0\0",
        old_state: from as u8,
        new_state: to as u8,
        inode: 100_000 + index,
        cgroup_id: 77,
        srtt_us: 240,
        bytes_acked: 1_000,
        bytes_received: 50_000,
        snd_una: 1_000,
        write_seq: 1_000,
        flags: flag::HAS_SOCKET,
        ..Record::EMPTY
    }
}

/// A client's connection as far as ESTABLISHED.
fn open(index: u64) -> Vec<Record> {
    use State::{Closed, Established, SynSent};
    vec![record(index, 0, Closed, SynSent), record(index, 200, SynSent, Established)]
}

/// The same closed by the server, and not by the client.
fn leak(index: u64) -> Vec<Record> {
    let fin = record(index, 300, State::Established, State::CloseWait);
    open(index).into_iter().chain([fin]).collect()
}

/// The same closed by the client first, as far as its minisocket.
fn close(index: u64) -> Vec<Record> {
    use State::{Closed, Established, FinWait1, FinWait2};
    let dead = |record| Record { flags: flag::DEAD, ..record };
    let fin = dead(record(index, 300, Established, FinWait1));
    let acked = dead(record(index, 500, FinWait1, FinWait2));
    let over = Record { flags: flag::DEAD | flag::DONE, ..record(index, 600, FinWait2, Closed) };
    open(index).into_iter().chain([fin, acked, over]).collect()
}

/// What a snapshot says of a TIME_WAIT.
fn found(index: u64, now: u64) -> Record {
    let armed = record(index, 0, State::TimeWait, State::TimeWait);
    Record {
        kind: kind::TIME_WAIT_SOCKET,
        time_ns: now,
        jiffies: 4_295_000_000 + now / 4_000_000,
        timer_expires: armed.jiffies + 60 * 250,
        ..armed
    }
}

fn table() -> Table {
    Table::new(Options {
        ticks: Ticks { hz: 250 },
        look_patience: 2_000_000_000,
        max_sockets: usize::MAX,
        ..Options::default()
    })
}

/// Feeds the lives of `sockets` connections; nanoseconds an event, at the beginning and at the
/// end.
fn feed(table: &mut Table, sockets: u64, life: fn(u64) -> Vec<Record>) -> [f64; 2] {
    let mut sample = |indexes: std::ops::Range<u64>| {
        let records: Vec<Record> = indexes.flat_map(life).collect();
        let begun = Instant::now();
        for batch in records.chunks(4096) {
            for record in batch {
                table.ingest(record, &mut Nobody);
            }
            table.expire(batch[batch.len() - 1].time_ns, &mut Nobody);
        }
        begun.elapsed().as_nanos() as f64 / records.len() as f64
    };
    // In pieces, since the records are larger than what is kept of them.
    let piece = SAMPLE / life(0).len() as u64;
    let starts: Vec<u64> = (0..sockets).step_by(piece as usize).collect();
    let times: Vec<f64> =
        starts.iter().map(|start| sample(*start..sockets.min(start + piece))).collect();
    let whole = (sockets / piece).max(1) as usize;
    [times[0], times[whole - 1]]
}

/// Finds `sockets` minisockets, in the order of the kernel's hash table; nanoseconds a record.
fn find(table: &mut Table, sockets: u64) -> f64 {
    let now = BEGUN + sockets * APART;
    // Any order that is none: a step that is coprime to the number.
    let step =
        (1..).map(|n| sockets * 5 / 8 + n).find(|step| gcd(*step, sockets) == 1).unwrap_or(1);
    let records: Vec<Record> =
        (0..sockets).map(|index| found(index * step % sockets, now)).collect();
    let snapshot = Snapshot { begun: now, records, namespaces: vec![NETNS], ..Snapshot::default() };
    let before = ALLOCATED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let begun = Instant::now();
    table.merge(&snapshot, &mut Nobody);
    begun.elapsed().as_nanos() as f64 / sockets as f64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Fills a table and says what each socket in `state` has cost; whether that is not too much.
fn measure(name: &str, sockets: u64, state: State, fill: impl Fn(&mut Table) -> [f64; 2]) -> bool {
    let mut table = table();
    let before = ALLOCATED.load(Relaxed);
    let [first, last] = fill(&mut table);
    let bytes = (ALLOCATED.load(Relaxed) - before) as f64 / sockets as f64;
    assert_eq!((table.len() as u64, table.count(state)), (sockets, sockets), "{name}");
    println!(
        "{name:<36} {bytes:6.1} bytes a socket, {first:5.0} ns an event at first, \
         {last:5.0} at the end"
    );
    bytes <= LIMIT
}

fn main() -> ExitCode {
    let sockets =
        env::var("SOCKETS").ok().and_then(|number| number.parse().ok()).unwrap_or(1_000_000);
    println!("size_of::<Connection>() = {}; {sockets} sockets", size_of::<Connection>());
    let fed = |life| move |table: &mut Table| feed(table, sockets, life);
    let fits = [
        measure("ESTABLISHED", sockets, State::Established, fed(open)),
        measure("CLOSE_WAIT", sockets, State::CloseWait, fed(leak)),
        measure("CLOSE_WAIT, lingering", sockets, State::CloseWait, |table| {
            let times = feed(table, sockets, leak);
            table.expire(BEGUN + sockets * APART + 40_000_000_000, &mut Nobody);
            times
        }),
        measure("TIME_WAIT, seen from birth", sockets, State::TimeWait, fed(close)),
        measure("TIME_WAIT, found by a snapshot", sockets, State::TimeWait, |table| {
            [find(table, sockets); 2]
        }),
    ];
    if fits.into_iter().all(|fits| fits) {
        ExitCode::SUCCESS
    } else {
        eprintln!("a tracked socket may cost {LIMIT} bytes");
        ExitCode::FAILURE
    }
}
