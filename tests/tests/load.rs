//! Many connections: nothing is lost without being counted, and what is known at the end is the
//! truth.
//!
//! At full speed the load takes both cores and the ring buffer may overflow: then every event must
//! be told or counted. Bursts that the ring buffer holds lose nothing there; what the kernel shows to
//! no program at all (see `is_complete_with`) must have been noticed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tracer_tests::{
    ftrace::Ftrace,
    kernel,
    load::{self, allow_descriptors, beside_a_busy_thread},
    loaded::{Loaded, smallest_buffer},
    netns::{Namespace, isolated},
    record::Record,
    recording::Recorder,
    sockets::{self, Path as Over, eventually},
    tracer::{command, wait},
};

/// Connections of a burst: 10,000 records of the 37,000 that the ring buffer holds.
const BURST: usize = 1_000;

fn load(namespace: &Namespace, directory: &Path, load: impl FnOnce() -> Duration) -> Loaded {
    Loaded::by(namespace, directory, &[], load).0
}

/// Every transition of `connections` and their listener was seen or made good.
fn is_complete(loaded: &Loaded, connections: usize) {
    is_complete_with(loaded, connections, 1);
}

fn is_complete_with(loaded: &Loaded, connections: usize, listeners: usize) {
    let mut sources: BTreeMap<String, usize> = BTreeMap::new();
    loaded.recording.steps(|step| match sources.get_mut(step.source) {
        Some(count) => *count += 1,
        None => drop(sources.insert(step.source.to_owned(), 1)),
    });
    let summary = loaded.recording.summary();
    println!("{sources:?}; {}", summary.value);
    let expected = 10 * connections + 2 * listeners;
    let seen = sources["tracepoint"];
    assert!(seen >= expected - expected / 200, "{seen} of {expected} transitions seen");
    is_what_the_kernel_did(&summary, expected);
    for (source, count) in sources {
        let told = summary.number(&format!("/transitions/{source}"));
        assert_eq!(told, Some(count as u64), "{source}: {summary}");
    }
}

/// No event is missing without being noticed; where none is lost, all is as it must be.
fn is_accounted_for(loaded: &Loaded, connections: usize) {
    let summary = loaded.recording.summary();
    println!("{}", summary.value);
    let number = |path: &str| summary.number(path).unwrap() as usize;
    let lost = number("/lost/ring_buffer") + number("/lost/recursion");
    let unwritten = number("/lost/output");
    assert_eq!(summary.value["complete"], lost + unwritten == 0, "{summary}");
    let mut written = 0;
    loaded.recording.lines(|_| written += 1);
    assert_eq!(written + unwritten, records(&summary), "{summary}");
    // A disk may be slower than the load: then the file does not have all that was told.
    if lost + unwritten == 0 {
        agrees_but_for(loaded, connections / 10_000);
        return is_complete(loaded, connections);
    }
    is_told_or_counted(&summary, 10 * connections + 2);
}

fn is_told_or_counted(summary: &Record, expected: usize) {
    let number = |path: &str| summary.number(path).unwrap() as usize;
    let lost = number("/lost/ring_buffer") + number("/lost/recursion");
    let seen = number("/transitions/tracepoint") + number("/lost/unseen");
    // What was lost may also have been resets and retransmissions; what left no trace may have hidden
    // as much of what was not seen.
    let told = seen + lost + expected / 200;
    assert!(seen <= expected && told >= expected, "{seen} seen, {lost} lost: {summary}");
}

/// All that was to be written, the first and the last line included.
fn records(summary: &Record) -> usize {
    let by_kind = summary.value["records"].as_object().expect("numbers of records");
    let records: u64 = by_kind.values().filter_map(Value::as_u64).sum();
    usize::try_from(records).unwrap() + 2
}

/// What is left is what the kernel has: orphans and the sockets of nobody.
fn agrees_but_for(loaded: &Loaded, few: usize) {
    loaded.agrees_but_for(few);
    loaded.counts_minisockets_but_for(few);
}

/// Bursts with pauses between, each of which the ring buffer holds as a whole.
fn bursts(count: usize) -> Duration {
    let begun = Instant::now();
    for _ in 0..count / BURST {
        load::connections(BURST);
        thread::sleep(Duration::from_millis(100));
    }
    begun.elapsed()
}

/// Each state change of the kernel is told or counted, once.
///
/// A hardened kernel may run no BPF program on top of a protected process, such as the init of a
/// micro-VM: a timer's softirq that happens to interrupt it (delayed ACKs of many sockets at once)
/// changes states unseen by every tracer, though ftrace sees them.
fn is_what_the_kernel_did(summary: &Record, expected: usize) {
    let number = |path: &str| summary.number(path).unwrap() as usize;
    for place in ["decode", "output", "table"] {
        assert_eq!(number(&format!("/lost/{place}")), 0, "{summary}");
    }
    let [seen, full, skipped, unseen] =
        ["transitions/tracepoint", "lost/ring_buffer", "lost/recursion", "lost/unseen"]
            .map(|path| number(&format!("/{path}")));
    let least = seen + full + unseen;
    println!("{seen} seen, {full} lost in the ring buffer, {unseen} unseen of {expected}");
    // What was skipped may have been of other namespaces.
    let possible = least..=least + skipped;
    assert!(possible.contains(&expected), "{expected} by the kernel's count: {summary}");
}

#[test]
fn what_bursts_lose_is_noticed_and_made_good() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        let loaded = load(namespace, directory.path(), || bursts(20_000));
        agrees_but_for(&loaded, 0);
        // Each burst has a listener of its own.
        is_complete_with(&loaded, 20_000, 20);
    });
}

/// Of this test alone: ftrace reports all namespaces.
fn own_address(number: u8) -> Ipv4Addr {
    let process = std::process::id();
    Ipv4Addr::new(127, 100 + (process / 256 % 100) as u8, (process % 256) as u8, number)
}

/// Timers of many sockets fire at once, and few ports are used again and again, also those of
/// TIME_WAITs of which no snapshot was taken: all that is hidden then must have been counted. The
/// sum is right whether or not something was.
#[test]
fn what_is_told_and_counted_is_what_ftrace_counts() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        namespace.set("net/ipv4/ip_local_port_range", "20000 29999");
        namespace.set("net/ipv4/tcp_tw_reuse", "1");
        allow_descriptors();
        let address = own_address(1);
        let (socket, port) = load::bound(address);
        let ftrace = Ftrace::start(port);
        let loaded = load(namespace, directory.path(), || load::delayed(socket, 40, 400));
        let changes = ftrace.changes(address);
        assert!(changes >= 10 * 40 * 400, "{changes} changes of state by ftrace's count");
        is_what_the_kernel_did(&loaded.recording.summary(), changes);
        agrees_but_for(&loaded, 0);
    });
}

/// A ring buffer for a dozen records: what it loses is counted there, and not once more when a
/// snapshot finds it out.
#[test]
fn what_a_full_ring_buffer_loses_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        allow_descriptors();
        let (address, options) = (own_address(2), ["--no-accept", &smallest_buffer()]);
        let (socket, port) = load::bound(address);
        let ftrace = Ftrace::start(port);
        let (loaded, _) =
            Loaded::by(namespace, directory.path(), &options, || load::delayed(socket, 10, 200));
        let summary = loaded.recording.summary();
        assert!(summary.number("/lost/ring_buffer").unwrap() > 0, "nothing lost: {summary}");
        is_what_the_kernel_did(&summary, ftrace.changes(address));
    });
}

#[test]
fn what_is_lost_at_full_speed_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        let loaded = load(namespace, directory.path(), || load::connections(100_000));
        is_accounted_for(&loaded, 100_000);
    });
}

#[test]
fn what_is_lost_while_the_other_core_is_busy_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        let loaded = load(namespace, directory.path(), || {
            beside_a_busy_thread(|| load::connections(300_000))
        });
        is_accounted_for(&loaded, 300_000);
    });
}

/// Ten times as many as the kernel keeps in TIME_WAIT: what is told and counted is what happened,
/// in memory that does not grow with it.
#[test]
#[ignore = "takes a quarter of an hour, and a gigabyte of memory and of /tmp"]
fn ten_million_connections_are_told_or_counted() {
    const CONNECTIONS: usize = 10_000_000;
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        let options = ["--rotate-size=256MiB", "--keep=2", "--max-sockets=1100000"];
        let recorder = Recorder::start(namespace, directory.path(), &options);
        let pid = recorder.pid();
        let mut memory = Vec::new();
        let mut took = Duration::ZERO;
        for _ in 0..10 {
            took += load::connections(CONNECTIONS / 10);
            memory.push(resident(pid));
            println!("{took:?}: {} MiB", memory[memory.len() - 1] >> 20);
        }
        let summary = recorder.finish().summary();
        // The summary says when.
        println!("{CONNECTIONS} connections in {took:?}; {summary}");
        is_told_or_counted(&summary, 10 * CONNECTIONS + 2 * 10);
        let [_, .., middle, _, _, last] = memory[..] else { panic!("{memory:?}") };
        assert!(last <= middle + middle / 8, "it grows: {memory:?}");
    });
}

/// Memory of a process, bytes.
fn resident(pid: Pid) -> usize {
    let pages = fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_nonzero())).unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

/// The kernel drops what is too much without a word: the tracer must find out.
#[test]
fn a_limit_on_time_wait_sockets_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        namespace.set("net/ipv4/tcp_max_tw_buckets", "1000");
        let loaded = load(namespace, directory.path(), || load::connections(3_000));
        assert!(kernel::count(&loaded.kernel)["TIME_WAIT"] <= 1000);
        agrees_but_for(&loaded, 0);
        is_complete(&loaded, 3_000);
    });
}

/// As of a pager in which somebody reads: the events go on, what it misses is counted.
#[test]
fn a_reader_that_stops_for_a_while_slows_nothing_else() {
    const CONNECTIONS: usize = 20_000;
    isolated(|namespace| {
        load::prepare(namespace);
        let arguments = ["--format", "json", namespace.netns];
        let mut tracer = command("", &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(tracer.stdout.take().unwrap()).lines();
        let hello = lines.next().unwrap().unwrap();
        println!("the load took {:?}", bursts(CONNECTIONS));
        let (mut read, mut last) = (1, hello);
        let unfinished = unfinished();
        kill_process(Pid::from_child(&tracer), Signal::INT).unwrap();
        for line in lines {
            last = line.unwrap();
            read += 1;
        }
        assert!(wait(&mut tracer).success());
        let summary = Record::parse(&last, Instant::now());
        let missed = summary.number("/lost/output").expect("a summary") as usize;
        println!("{read} lines read; {summary}");
        assert!(missed > CONNECTIONS, "nothing had to be left out: {summary}");
        assert_eq!(read + missed, records(&summary), "{summary}");
        // What was not shown was followed all the same.
        let lost = ["ring_buffer", "recursion", "unseen"]
            .map(|place| summary.number(&format!("/lost/{place}")).unwrap() as usize);
        let seen = summary.number("/transitions/tracepoint").unwrap() as usize;
        // None has more changes than these before it.
        let to_come = 5 * unfinished;
        let expected = 10 * CONNECTIONS + 2 * (CONNECTIONS / BURST) - to_come;
        assert!(lost[0] == 0 && seen + 2 * (lost[1] + lost[2]) >= expected, "{summary}");
    });
}

/// How many sockets are still closing after some patience: a lost ACK is sent again after a while,
/// and the more often it is lost, the later.
fn unfinished() -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = kernel::count(&kernel::states());
        left.remove("TIME_WAIT");
        if left.is_empty() || Instant::now() > deadline {
            println!("still closing: {left:?}");
            let count = left.values().sum();
            assert!(count < 20, "{left:?}");
            return count;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_is_lost_on_the_way_to_a_text() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        let recorder = Recorder::launch(namespace, directory.path(), &["--format", "text"]);
        eventually("the first line of a text", || {
            // A text has no first line of its own.
            drop(sockets::listen(Over::V4));
            fs::metadata(recorder.path()).is_ok_and(|file| file.len() > 0)
        });
        println!("the load took {:?}", bursts(20_000));
        let mut end = Vec::new();
        recorder.finish().lines(|line| {
            end.push(line.to_owned());
            end.drain(..end.len().saturating_sub(5));
        });
        let end = end.concat();
        println!("{end}");
        assert!(end.contains("; nothing lost"), "{end}");
    });
}
