//! Sockets that are there before the tracer: found, each once, as they are, and not told as new.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

use tracer_tests::{
    clock::Moment,
    crowd::{Crowd, UNACCEPTED},
    kernel::{self, States},
    netns::isolated,
    record::{Record, listing},
    recording::Recorder,
    shown::shown,
    slowness::{allowed, fewer},
    sockets::{self, End, Pair, Path},
    tracer::{Tracer, listed},
};

const CLOSE_WAIT: usize = 5_000;
const TIME_WAIT: usize = 20_000;
/// On a busy machine a crowd has been half-open for long when the last of it is there.
const QUIET: [&str; 2] = ["--linger", "close-wait=off,time-wait=off,syn-recv=off"];
/// How exact ages are, on a machine that has time.
const EXACT: Duration = Duration::from_millis(50);

/// Of states that begin with an acknowledgement the time since the last one is the least age.
#[test]
fn what_was_there_before_has_an_age() {
    isolated(|namespace| {
        let begun = Instant::now();
        let [open, half] = [Path::V4, Path::V6].map(Pair::over);
        half.client.shutdown(Shutdown::Write).unwrap();
        let states = || kernel::count(&kernel::states());
        sockets::eventually("a half-close", || {
            states().contains_key("FIN_WAIT2") && states().contains_key("CLOSE_WAIT")
        });
        let settled = Instant::now();
        thread::sleep(Duration::from_secs(2));
        let least = settled.elapsed();
        let records = listed(namespace);
        let most = begun.elapsed();
        let found = by_cookie(&records);
        let sockets = [
            (&open.client, "ESTABLISHED"),
            (&open.server, "ESTABLISHED"),
            (&half.client, "FIN_WAIT2"),
            (&half.server, "CLOSE_WAIT"),
        ];
        for (socket, state) in sockets {
            let record = found[&sockets::cookie(socket)];
            assert_eq!(record.at("/tcp/state"), state, "{record}");
            assert_eq!(record.at("/tcp/at_least"), true, "{record}");
            let age = Duration::from_nanos(record.number("/tcp/age_ns").unwrap());
            let tick = Duration::from_millis(20);
            assert!(age + tick >= least && age <= most + tick, "{least:?} to {most:?}: {record}");
        }
    });
}

fn by_cookie(records: &[Record]) -> BTreeMap<u64, &Record> {
    let mut sockets = BTreeMap::new();
    for record in records {
        assert_eq!(record.kind(), "socket", "{record}");
        let cookie = record.cookie().unwrap_or_else(|| panic!("no cookie: {record}"));
        let other = sockets.insert(cookie, record);
        assert!(other.is_none(), "listed twice:{}", listing([record, other.unwrap()]));
    }
    sockets
}

/// Each socket that the kernel has is listed in its state, and no other.
fn are_as_the_kernel_says(listed: &BTreeMap<u64, &Record>, kernel: &States) {
    for (cookie, record) in listed {
        let state = kernel.get(cookie).copied();
        assert_eq!(record.text("/tcp/state"), state, "ss says {state:?}: {record}");
    }
    let missing: Vec<_> =
        kernel.iter().filter(|(cookie, _)| !listed.contains_key(cookie)).collect();
    assert!(missing.is_empty(), "{} not listed, of them {:?}", missing.len(), missing[0]);
}

/// Each socket that this process holds is said to be held by it, the others by nobody.
fn are_held_by(crowd: &Crowd, listed: &BTreeMap<u64, &Record>) {
    let held: BTreeMap<u64, u64> = crowd.held().into_iter().collect();
    for (cookie, record) in listed {
        let processes = record.at("/processes").as_array().unwrap();
        let found: Vec<_> =
            processes.iter().map(|one| (one["pid"].as_u64(), one["fd"].as_u64())).collect();
        let pid = u64::from(std::process::id());
        let expected: Vec<_> =
            held.get(cookie).map(|&fd| (Some(pid), Some(fd))).into_iter().collect();
        assert_eq!(found, expected, "{record}");
    }
    let unaccepted = listed.values().filter(|record| record.at("/tcp/unaccepted") == true);
    assert_eq!(unaccepted.count(), UNACCEPTED);
    for record in listed.values().filter(|record| record.at("/tcp/state") == "TIME_WAIT") {
        assert_eq!(record.at("/tcp/orphaned"), true, "{record}");
    }
}

/// An age at `time` of what began between two moments.
fn is_exact(age: i64, time: Moment, began: [Moment; 2]) -> bool {
    let [oldest, youngest] = began.map(|began| time.since(began));
    let exact = i64::try_from(allowed(EXACT).as_nanos()).unwrap();
    (youngest - exact..=oldest + exact).contains(&age)
}

fn age(record: &Record) -> i64 {
    let age = record.number("/tcp/age_ns").unwrap_or_else(|| panic!("no age: {record}"));
    i64::try_from(age).unwrap()
}

/// The ages of TIME_WAIT sockets are what the clock says.
#[expect(single_use_lifetimes, reason = "anonymous lifetimes in impl Trait are unstable")]
fn have_exact_ages<'a>(crowd: &Crowd, records: impl IntoIterator<Item = &'a Record>) {
    let began: BTreeMap<u64, [Moment; 2]> =
        crowd.time_wait.iter().map(|(end, began)| (end.cookie, *began)).collect();
    let mut exact = 0;
    let mut wrong = Vec::new();
    for record in records {
        let began = began.get(&record.cookie().unwrap());
        exact += usize::from(began.is_some());
        let began = *began.unwrap_or(&crowd.time_waits);
        let time = Moment::parse(record.text("/time").unwrap());
        if !is_exact(age(record), time, began) {
            let off = time.since(began[1]) - age(record);
            wrong.push(format!("off by {off} ns: {record}"));
        }
    }
    assert_eq!(exact, crowd.time_wait.len());
    let first = wrong.first();
    assert!(wrong.is_empty(), "{} of {exact} and others have another age: {first:?}", wrong.len());
}

#[test]
fn each_socket_is_listed_once_as_it_is() {
    isolated(|namespace| {
        let crowd = Crowd::gather(namespace, fewer(CLOSE_WAIT), fewer(TIME_WAIT));
        let before = kernel::states();
        let records = listed(namespace);
        let after = kernel::states();
        let moved: Vec<_> = before.iter().filter(|one| after.get(one.0) != Some(one.1)).collect();
        assert!(
            moved.is_empty(),
            "the test needs a crowd that stays: {} {:?}",
            moved.len(),
            moved[0]
        );
        let counts = kernel::count(&after);
        println!("{counts:?}");
        assert!(
            counts["CLOSE_WAIT"] >= fewer(CLOSE_WAIT) && counts["TIME_WAIT"] >= fewer(TIME_WAIT)
        );
        assert_eq!(counts.len(), 6, "all states that last: {counts:?}");
        let listed = by_cookie(&records);
        are_as_the_kernel_says(&listed, &after);
        are_held_by(&crowd, &listed);
        let time_waits = listed.values().copied();
        let time_waits = time_waits.filter(|record| record.at("/tcp/state") == "TIME_WAIT");
        have_exact_ages(&crowd, time_waits);
        // Not exact: the kernel counts apart from its table.
        let minisockets = counts["TIME_WAIT"] + fewer(CLOSE_WAIT) + UNACCEPTED;
        let counted = kernel::minisockets();
        assert!(counted.abs_diff(minisockets) <= 5, "{counted}, listed are {minisockets}");
    });
}

#[test]
fn a_crowd_lingers_each_once_with_its_age() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        let crowd = Crowd::gather(namespace, fewer(CLOSE_WAIT), fewer(TIME_WAIT));
        let lingering = ["--linger", "close-wait=2s,time-wait=100ms,syn-recv=off"];
        let recorder = Recorder::start(namespace, directory.path(), &lingering);
        thread::sleep(Duration::from_secs(4));
        let kernel = kernel::states();
        let recording = recorder.finish();
        recording.steps(|step| panic!("told although nothing has happened: {step:?}"));
        let others = recording.others();
        // Findings are raised as well.
        let is_raised =
            |record: &&Record| record.kind() == "linger" && record.at("/status") == "raised";
        let mut raised = BTreeMap::new();
        for record in others.iter().filter(is_raised) {
            let other = raised.insert(record.cookie().unwrap(), record);
            assert!(other.is_none(), "raised twice:{}", listing([record, other.unwrap()]));
        }
        for (cookie, record) in &raised {
            assert_eq!(record.text("/tcp/state"), kernel.get(cookie).copied(), "{record}");
            let exact = record.at("/tcp/state") == "TIME_WAIT";
            assert_eq!(record.at("/tcp/at_least"), !exact, "{record}");
        }
        let counts = kernel::count(&kernel);
        assert_eq!(raised.len(), counts["CLOSE_WAIT"] + counts["TIME_WAIT"]);
        let time_waits = raised.into_values();
        let time_waits = time_waits.filter(|record| record.at("/tcp/state") == "TIME_WAIT");
        have_exact_ages(&crowd, time_waits);
    });
}

/// A story from the middle: each state with its duration, `?` where the beginning was not seen.
fn later(tracer: &Tracer, cookie: u64) -> Vec<String> {
    let about = |record: &Record| record.is_transition() && record.cookie() == Some(cookie);
    let records = tracer.so_far();
    let step = |record: &Record| {
        let [from, to, source] =
            ["/tcp/from", "/tcp/to", "/tcp/source"].map(|field| record.text(field).unwrap());
        let known = if record.at("/tcp/elapsed_ns").is_null() { "?" } else { "" };
        format!("{from}{known} {to} {source}")
    };
    records.iter().filter(|record| about(record)).map(step).collect()
}

/// From which state to which, however it is known.
fn edge<S: AsRef<str>>(step: &S) -> [String; 2] {
    let mut words = step.as_ref().split(' ').map(|word| word.trim_end_matches('?').to_owned());
    [(); 2].map(|()| words.next().unwrap())
}

/// What was told of some sockets, and what of it is known in another way than it should be.
#[derive(Default)]
struct Told {
    cookies: BTreeSet<u64>,
    wrong: Vec<String>,
}

impl Told {
    /// Waits until a socket's steps are told, however they are known.
    fn eventually(&mut self, tracer: &Tracer, cookie: u64, steps: &[&str]) {
        assert!(self.cookies.insert(cookie), "socket {cookie} twice");
        let deadline = Instant::now() + allowed(Duration::from_secs(30));
        let edges: Vec<_> = steps.iter().map(edge).collect();
        let told = loop {
            let told = later(tracer, cookie);
            if told.iter().map(edge).eq(edges.iter().cloned()) {
                break told;
            }
            assert!(Instant::now() < deadline, "socket {cookie}: told {told:#?}, not {steps:#?}");
            thread::sleep(Duration::from_millis(20));
        };
        if told != steps {
            self.wrong.push(format!("socket {cookie}: told {told:#?}, not {steps:#?}"));
        }
    }

    /// All of it is known as it should be.
    fn is_right(&self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

/// The kernel kills a TIME_WAIT without a word; its age is known all the same.
fn a_killed_time_wait_is_found_out(
    tracer: &Tracer,
    told: &mut Told,
    (end, began): &(End, [Moment; 2]),
) {
    let killed = Moment::now();
    kernel::kill_time_wait(end);
    told.eventually(tracer, end.cookie, &["TIME_WAIT CLOSED snapshot"]);
    let record = tracer.wait_for_step(end, "TIME_WAIT", "CLOSED");
    let time = Moment::parse(record.text("/time").unwrap());
    let elapsed = i64::try_from(record.number("/tcp/elapsed_ns").unwrap()).unwrap();
    assert!(is_exact(elapsed, time, *began), "began at {began:?}: {record}");
    println!("found out {} ms after it was killed", time.since(killed) / 1_000_000);
    assert!(
        time.is_within(killed - Duration::from_secs(1), killed + allowed(Duration::from_secs(10)))
    );
}

/// Some of a crowd moves.
fn some_move(tracer: &Tracer, crowd: &mut Crowd, told: &mut Told) {
    let server = crowd.close_wait.pop().unwrap();
    let cookie = sockets::cookie(&server);
    drop(server);
    let ends = ["CLOSE_WAIT? LAST_ACK tracepoint", "LAST_ACK CLOSED tracepoint"];
    told.eventually(tracer, cookie, &ends);

    let (client, server) = crowd.established.pop().unwrap();
    let cookies = [&client, &server].map(sockets::cookie);
    client.shutdown(Shutdown::Write).unwrap();
    let closes = ["ESTABLISHED? FIN_WAIT1 tracepoint", "FIN_WAIT1 FIN_WAIT2 tracepoint"];
    told.eventually(tracer, cookies[0], &closes);
    told.eventually(tracer, cookies[1], &["ESTABLISHED? CLOSE_WAIT tracepoint"]);

    let (client, server) = crowd.half_closed.pop().unwrap();
    let cookies = [&client, &server].map(sockets::cookie);
    drop(server);
    told.eventually(tracer, cookies[1], &ends);
    told.eventually(tracer, cookies[0], &["FIN_WAIT2? TIME_WAIT tracepoint"]);
}

/// Nothing is told of a crowd that was there before, until some of it moves.
#[test]
fn nothing_is_told_as_new_and_what_happens_later_is_told() {
    shown(|namespace| {
        let mut crowd = Crowd::gather(namespace, fewer(CLOSE_WAIT), fewer(TIME_WAIT));
        let kernel = kernel::states();
        let tracer = Tracer::start(namespace, &QUIET);
        thread::sleep(Duration::from_secs(3));
        let early: Vec<Record> = tracer.so_far().split_off(1);
        let early = early.iter().filter(|record| record.kind() != "retransmit");
        assert_eq!(listing(early), "", "told although nothing has happened");
        let mut told = Told::default();
        some_move(&tracer, &mut crowd, &mut told);
        assert!(told.cookies.iter().all(|cookie| kernel.contains_key(cookie)));
        let killed = crowd.time_wait.pop().unwrap();
        a_killed_time_wait_is_found_out(&tracer, &mut told, &killed);
        let trace = tracer.finish();
        told.is_right();
        let cookies: BTreeSet<u64> = trace.transitions().filter_map(Record::cookie).collect();
        // The orphaned client of the first one.
        let orphans = cookies.difference(&told.cookies).filter_map(|cookie| kernel.get(cookie));
        assert_eq!(orphans.collect::<Vec<_>>(), [&"FIN_WAIT2"]);
    });
}

/// A request socket becomes a full one with the same cookie: what was half-open before is let
/// through.
#[test]
fn a_connection_that_was_half_open_is_told_when_it_is_made() {
    shown(|namespace| {
        let crowd = Crowd::gather(namespace, 10, 10);
        let half_open: States =
            kernel::states().into_iter().filter(|(_, state)| *state == "SYN_RECV").collect();
        assert_eq!(half_open.len(), crowd.waiting.len());
        let tracer = Tracer::start(namespace, &QUIET);
        Crowd::let_through();
        let mut told = Told::default();
        for &cookie in half_open.keys() {
            let steps = ["LISTEN? SYN_RECV tracepoint", "SYN_RECV ESTABLISHED tracepoint"];
            told.eventually(&tracer, cookie, &steps);
        }
        let trace = tracer.finish();
        told.is_right();
        assert_eq!(trace.transitions().count(), 2 * told.cookies.len());
    });
}
