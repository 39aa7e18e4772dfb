//! What happens to hosts and to the tracer itself, and what is promised all the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};
use tracer_tests::{
    clock::Moment,
    load,
    loaded::Loaded,
    netns::{Namespace, isolated},
    record::Record,
    recording::Recorder,
    slowness::allowed,
    sockets::{self, End, Pair, Path, eventually, free_port},
    tracer::{Trace, Tracer, WITH_TRACEFS, program, wait},
};

/// Transitions of the tracepoint, by socket and connection, in order.
fn steps(trace: &Trace) -> BTreeMap<(u64, u64), Vec<(String, String)>> {
    let mut steps = BTreeMap::<_, Vec<_>>::new();
    for record in trace.transitions().filter(|one| one.at("/tcp/source") == "tracepoint") {
        let of = (record.cookie().unwrap(), record.number("/socket/ordinal").unwrap());
        let text = |path| record.text(path).unwrap().to_owned();
        steps.entry(of).or_default().push((text("/tcp/from"), text("/tcp/to")));
    }
    steps
}

#[test]
fn two_tracers_at_once_tell_the_same() {
    const CONNECTIONS: usize = 300;
    isolated(|namespace| {
        let one = Tracer::start(namespace, &[]);
        let other = Tracer::start(namespace, &[]);
        load::connections(CONNECTIONS);
        // Each knows by itself that nothing is missing.
        let [one, other] = [one, other].map(|tracer| steps(&tracer.finish()));
        assert_eq!(one.len(), 2 * CONNECTIONS + 1, "both ends, and the listener");
        assert_eq!(one, other);
    });
}

/// One of them is killed: the other does not notice.
#[test]
fn a_tracer_that_is_killed_takes_nothing_from_another() {
    const CONNECTIONS: usize = 200;
    isolated(|namespace| {
        let one = Tracer::start(namespace, &[]);
        let other = Tracer::start(namespace, &[]);
        let pid = Pid::from_raw(one.pid().cast_signed()).unwrap();
        let made = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..CONNECTIONS {
                    drop(Pair::over(Path::V4));
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
            eventually("half of them are made", || made.load(Ordering::Relaxed) > CONNECTIONS / 2);
            kill_process(pid, Signal::KILL).unwrap();
        });
        drop(one);
        assert_eq!(steps(&other.finish()).len(), 3 * CONNECTIONS, "both ends and the listener");
    });
}

/// Namespaces come and go while the tracer looks into all that there are.
#[test]
fn namespaces_that_come_and_go_disturb_nothing() {
    const NAMESPACES: usize = 40;
    isolated(|_| {
        let port = free_port();
        let tracer = Tracer::launch(WITH_TRACEFS, &["--port", &port.to_string()]);
        let mut ends = BTreeSet::new();
        for _ in 0..NAMESPACES {
            ends.extend(isolated(|_| lives(port)).map(|end| end.cookie));
        }
        // A few looks more, of which none finds the namespaces.
        thread::sleep(Duration::from_secs(3));
        let trace = tracer.finish();
        let last = trace.transitions().map(|one| (one.cookie().unwrap(), one.text("/tcp/to")));
        let mut last: BTreeMap<u64, Option<&str>> = last.collect();
        last.retain(|cookie, _| ends.contains(cookie));
        assert_eq!(last.len(), ends.len());
        // The kernel removes minisockets with their namespace, and says nothing.
        let open = last.values().find(|state| !matches!(state, Some("CLOSED" | "TIME_WAIT")));
        assert_eq!(open, None);
        let established = trace.transitions().filter(|one| one.at("/tcp/to") == "ESTABLISHED");
        assert_eq!(established.count(), 2 * NAMESPACES);
    });
}

/// A connection in a namespace that ends with it: one end is left in TIME_WAIT.
fn lives(port: u16) -> [End; 2] {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (client, server) = sockets::connect(&listener, Path::V4);
    let ends = [End::of(&client), End::of(&server)];
    drop(client);
    drop(server);
    ends
}

/// Long enough for the ring buffer to overflow many times; a minute has been tried by hand.
const STOPPED: Duration = Duration::from_secs(12);

#[test]
fn a_tracer_that_was_stopped_counts_what_it_has_missed_and_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        let (loaded, left) =
            Loaded::with(namespace, directory.path(), &["--buffer-size", "64KiB"], |recorder| {
                stop_under_load(namespace, recorder)
            });
        loaded.agrees_but_for(0);
        drop(left);
        let summary = loaded.recording.summary();
        println!("{summary}");
        assert_eq!(summary.at("/complete"), false, "{summary}");
        let lost = summary.number("/lost/ring_buffer").unwrap();
        let losses = loaded.recording.others().into_iter();
        let told = losses.filter(|one| one.kind() == "loss" && one.at("/where") == "ring_buffer");
        let told: u64 = told.map(|one| one.number("/count").unwrap()).sum();
        assert!(lost > 0 && told == lost, "{told} told: {summary}");
        let lag = Duration::from_nanos(summary.number("/reader_lag_ns").unwrap());
        assert!(lag > STOPPED / 2, "what lay in the buffer was old: {summary}");
    });
}

/// Connections all the while; those that are left stay open.
fn stop_under_load(namespace: &Namespace, recorder: &Recorder) -> Vec<Pair> {
    load::prepare(namespace);
    let before: Vec<Pair> = (0..20).map(|_| Pair::over(Path::V4)).collect();
    thread::sleep(Duration::from_millis(500));
    kill_process(recorder.pid(), Signal::STOP).unwrap();
    let begun = Instant::now();
    let mut left = Vec::new();
    while begun.elapsed() < STOPPED {
        load::connections(200);
        left.push(Pair::over(Path::V6));
        thread::sleep(Duration::from_millis(200));
    }
    drop(before);
    kill_process(recorder.pid(), Signal::CONT).unwrap();
    left
}

/// Thousands of processes, each of which lives for one connection.
#[test]
fn in_a_storm_of_processes_each_connection_has_its_own() {
    const PROCESSES: usize = 2_000;
    isolated(|namespace| {
        load::prepare(namespace);
        // Over the loopback the kernel uses a port again that was left more than a second ago.
        namespace.set("net/ipv4/tcp_tw_reuse", "0");
        let listener = sockets::listen(Path::V4);
        let address = listener.local_addr().unwrap();
        let tracer = Tracer::launch(WITH_TRACEFS, &[namespace.netns]);
        let begun = (Instant::now(), cpu(tracer.pid()));
        let made = storm(&listener, address, PROCESSES);
        let took = begun.0.elapsed();
        eventually("all of them are told", || {
            tracer.so_far().iter().filter(|one| is_connect(one)).count() >= PROCESSES
        });
        let spent = cpu(tracer.pid()) - begun.1;
        println!("{PROCESSES} processes in {took:?}, the tracer's processor time {spent:?}");
        assert!(spent < took / 2 + Duration::from_secs(1), "{spent:?} of {took:?}");
        let trace = tracer.finish();
        for record in trace.transitions() {
            owner_is_right_or_a_guess(record, address, &made);
        }
        assert_eq!(trace.transitions().filter(|one| is_connect(one)).count(), PROCESSES);
    });
}

fn is_connect(record: &Record) -> bool {
    record.is_transition() && record.is_step("CLOSED", "SYN_SENT")
}

fn owner_is_right_or_a_guess(record: &Record, server: SocketAddr, made: &BTreeMap<u16, u64>) {
    let (local, peer) = (record.local().unwrap(), record.peer().unwrap());
    let owner = record.number("/process/pid");
    if peer == server {
        assert_eq!(owner, Some(made[&local.port()]), "{record}");
        assert_eq!(record.at("/process/evidence"), "connect", "{record}");
        assert_eq!(record.at("/process/name"), "storm", "{record}");
    } else if let Some(owner) = owner {
        assert_eq!(owner, u64::from(std::process::id()), "{record}");
    }
}

/// Makes processes that connect; which of them had which port.
fn storm(listener: &TcpListener, address: SocketAddr, count: usize) -> BTreeMap<u16, u64> {
    let mut storm = Command::new(env!("CARGO_BIN_EXE_peer"))
        .args(["storm", "storm", &address.to_string(), &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let answers = BufReader::new(storm.stdout.take().unwrap());
    let made = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..count {
                let (mut stream, _) = listener.accept().unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }
        });
        let one = |line: String| {
            let (pid, port) = line.split_once(' ').unwrap();
            (port.parse().unwrap(), pid.parse().unwrap())
        };
        answers.lines().map(|line| one(line.unwrap())).collect()
    });
    assert!(wait(&mut storm).success());
    made
}

/// Processor time of a process, in user mode and in the kernel.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(1000 * ticks / rustix::param::clock_ticks_per_second())
}

/// A container may have clocks of its own (`time_namespaces(7)`): those of events are the kernel's.
#[test]
fn in_a_time_namespace_times_and_processes_are_right() {
    isolated(|namespace| {
        let mut command = Command::new("unshare");
        // No clock can be set to before the boot, which may have been a moment ago.
        let back = (-(clock_gettime(ClockId::Boottime).tv_sec / 2)).to_string();
        let clocks = ["--time", "--monotonic", "500000", "--boottime", &back];
        command.args(clocks).args(["--fork", "--kill-child"]).arg(program());
        command.args(["--format", "json", namespace.netns, "--duration", "3s"]);
        let tracer = Tracer::run(&mut command);
        let begun = Moment::now();
        let pair = Pair::over(Path::V4);
        let step = tracer.wait_for_step(&pair.ends().0, "SYN_SENT", "ESTABLISHED");
        let tolerance = allowed(Duration::from_secs(2));
        assert!(step.moment().is_within(begun - tolerance, Moment::now() + tolerance), "{step}");
        let own = std::env::current_exe().unwrap();
        let server = pair.ends().1;
        // The client goes to TIME_WAIT.
        drop(pair);
        let story = tracer.wait_for("the whole connection", |one| {
            one.kind() == "connection" && server.is_told_by(one)
        });
        assert_eq!(story.text("/process/executable/path"), own.to_str(), "{story}");
        let trace = tracer.finish_by(None);
        let flagged = trace.records.iter().find(|one| one.kind() == "linger");
        assert!(flagged.is_none(), "nothing is old: {flagged:?}");
    });
}
