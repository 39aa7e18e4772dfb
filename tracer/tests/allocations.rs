//! In steady state no update costs a sink an allocation, from the model to the bytes of its lines: not
//! those of new connections either, whose places in caches others have left. The table itself
//! allocates for times at which minisockets are to be removed, not for events.

#[path = "../benches/stage/mod.rs"]
mod stage;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    backtrace::Backtrace,
    cell::Cell,
    sync::{Arc, LazyLock},
};

use tracer_event::{
    container::Cgroup,
    enricher::{Context, Enricher},
    process::{Parent, Process},
    state::State,
    subject::Subject,
    summary::Summary,
    update::{Observer, Update},
    wall_clock::WallClock,
};
use tracer_export::metrics::measuring::{Measuring, Shared};
use tracer_model::{
    diagnosis::HostSnapshot,
    filter::Filter,
    table::Snapshot,
    time_wait::Ticks,
    watch::{Scope, Watch},
};
use tracer_output::{
    Format, Sink as _,
    json::Json,
    stamps::{Times, Timestamps},
    text::{Palette, Stories, Text},
};
use tracer_wire::{Record, kind};

use self::stage::{Count, NETNS, ingest, life, table};

/// The system's allocator, which counts what the thread asks for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// How many more are to be shown with the calls that led to them.
    static SHOWN: Cell<u32> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    let shown = SHOWN.replace(0);
    if shown > 0 {
        let counted = ALLOCATIONS.get();
        eprintln!("{}", Backtrace::force_capture());
        ALLOCATIONS.set(counted);
        SHOWN.set(shown - 1);
    }
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A host of which everything is known.
struct Known {
    group: Arc<Cgroup>,
    executable: Arc<str>,
    parent: Arc<Parent>,
}

impl Known {
    fn host() -> Self {
        let id = "3f2a9c1b04de5f67890123456789abcdef0123456789abcdef0123456789abcd";
        Self {
            group: Arc::new(Cgroup::of(&format!("/docker/{id}"), |_| None)),
            executable: "/usr/bin/load".into(),
            parent: Arc::new(Parent { pid: 1, name: "systemd".into() }),
        }
    }
}

impl Enricher for Known {
    fn cgroup(&self, _: &Subject) -> Option<Arc<Cgroup>> {
        Some(Arc::clone(&self.group))
    }

    fn executable(&self, _: &Process) -> Option<Arc<str>> {
        Some(Arc::clone(&self.executable))
    }

    fn parent(&self, _: &Process) -> Option<Arc<Parent>> {
        Some(Arc::clone(&self.parent))
    }
}

static HOST: LazyLock<Known> = LazyLock::new(Known::host);

/// What all is told with.
fn context() -> Context<'static> {
    Context { clock: CLOCK, enricher: &*HOST }
}

const CLOCK: WallClock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };
/// From a connection to the next, nanoseconds: 1,500 are in TIME_WAIT at a time, fewer than the
/// closed sockets whose tags the text keeps, which otherwise come again.
const APART: u64 = 40_000_000;
/// The first: all numbers have as many digits as the last one's.
const FIRST: u64 = 1_000_000;
/// Enough for each place of a cache to have been used.
const BEFORE: u64 = 12_000;
const MEASURED: u64 = 2_000;
/// A hash table that is more than half full doubles once, when no place is left that was never used;
/// its random hashes decide when. Whatever allocates for lines does so each time.
const TIMES: u64 = 4;

fn records(lives: std::ops::Range<u64>) -> Vec<Record> {
    let apart = |index: u64| {
        life(FIRST + index).map(|record| {
            let time_ns = record.time_ns + index * APART;
            Record { time_ns, jiffies: 4_295_000_000 + time_ns / 4_000_000, ..record }
        })
    };
    lives.flat_map(apart).collect()
}

/// Counts what its observer allocates.
struct Metered<'a, O> {
    out: &'a mut O,
    /// How many more are to be shown.
    shown: u32,
    allocations: u64,
}

impl<O: Observer> Observer for Metered<'_, O> {
    fn observe(&mut self, update: Update<'_>) {
        let before = ALLOCATIONS.get();
        SHOWN.set(self.shown);
        self.out.observe(update);
        self.shown = SHOWN.replace(0);
        self.allocations += ALLOCATIONS.get() - before;
    }
}

/// Feeds connections until nothing is new any more, and then more of them; returns what the table
/// allocates meanwhile.
fn assert_no_allocation(out: &mut impl Observer) -> u64 {
    let mut table = table();
    ingest(&mut table, &records(0..BEFORE), out);
    let mut measure = |time| {
        let first = BEFORE + time * MEASURED;
        let events = records(first..first + MEASURED);
        let mut metered = Metered { out: &mut *out, shown: 3, allocations: 0 };
        let before = ALLOCATIONS.get();
        ingest(&mut table, &events, &mut metered);
        (metered.allocations, ALLOCATIONS.get() - before)
    };
    let measured: Vec<(u64, u64)> = (0..TIMES).map(&mut measure).collect();
    let steady = measured.iter().find(|(lines, _)| *lines == 0);
    let &(_, table) = steady.unwrap_or_else(|| panic!("{measured:?} for {MEASURED} connections"));
    table
}

/// Writes lines and throws them away in pieces, as the output does.
struct Lines<F> {
    format: F,
    bytes: Vec<u8>,
    written: usize,
}

impl<F: Format> Observer for Lines<F> {
    fn observe(&mut self, update: Update<'_>) {
        self.format.update(&update, context(), &mut self.bytes);
        if self.bytes.len() > 64 << 10 {
            self.written += self.bytes.len();
            self.bytes.clear();
        }
    }
}

fn assert_lines_without_allocation(format: impl Format) {
    let mut lines = Lines { format, bytes: Vec::with_capacity(1 << 17), written: 0 };
    assert_no_allocation(&mut lines);
    assert!(lines.written > 1 << 20, "{} bytes", lines.written);
}

fn text(stories: Stories) -> Text {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    Text::new(Palette::PLAIN, None, times, stories)
}

#[test]
fn an_allocation_would_be_counted() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(before)));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn the_table_allocates_for_times_and_not_for_events() {
    let mut updates = Count::default();
    let allocations = assert_no_allocation(&mut updates);
    assert!(allocations < 10 * MEASURED / 40, "{allocations} in {} events", 10 * MEASURED);
    assert!(updates.0 > 10 * (BEFORE + MEASURED));
}

#[test]
fn json_allocates_nothing() {
    assert_lines_without_allocation(Json::default());
}

#[test]
fn text_allocates_nothing() {
    assert_lines_without_allocation(text(Stories::Steps));
}

#[test]
fn lines_of_whole_connections_allocate_nothing() {
    assert_lines_without_allocation(text(Stories::Only));
}

/// As `--summary-only` counts them.
#[test]
fn a_summary_allocates_nothing() {
    struct Counted(Summary);

    impl Observer for Counted {
        fn observe(&mut self, update: Update<'_>) {
            self.0.count(&update);
        }
    }

    assert_no_allocation(&mut Counted(Summary::default()));
}

#[test]
fn metrics_allocate_nothing() {
    struct Measured(Measuring);

    impl Observer for Measured {
        fn observe(&mut self, update: Update<'_>) {
            self.0.update(&update, context());
        }
    }

    assert_no_allocation(&mut Measured(Measuring::new(Shared::default(), || ())));
}

/// What looking for problems allocates the second time, with so many sockets in TIME_WAIT.
fn allocations_of_a_judgement(sockets: u64) -> u64 {
    let in_time_wait = |index| Record {
        kind: kind::TIME_WAIT_SOCKET,
        new_state: State::TimeWait as u8,
        ..life(index)[8]
    };
    let records: Vec<Record> = (0..sockets).map(in_time_wait).collect();
    let begun = records.iter().map(|record| record.time_ns).max().unwrap_or_default();
    let snapshot = Snapshot { begun, records, namespaces: vec![NETNS], ..Snapshot::default() };
    let look = HostSnapshot { snapshot, ..HostSnapshot::default() };
    let mut table = table();
    table.merge(&look.snapshot, &mut Count::default());
    assert_eq!(table.len() as u64, sockets);
    let filter = Filter::default();
    let scope = Scope { filter: &filter, enricher: &*HOST, table: &table };
    let mut watch = Watch::new(Ticks::default());
    assert!(watch.look(&look, scope).is_none(), "nothing to compare with");
    let before = ALLOCATIONS.get();
    assert!(watch.look(&look, scope).is_some());
    ALLOCATIONS.get() - before
}

#[test]
fn looking_for_problems_allocates_nothing_for_a_socket() {
    let [few, many] = [1_000, 10_000].map(allocations_of_a_judgement);
    // Tables that double.
    assert!(many < few + 100, "{few} for 1,000 sockets, {many} for 10,000");
}
