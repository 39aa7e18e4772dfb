//! Another tracer sees the same: bpftrace on the same tracepoint, event for event.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::Signal;
use tracer_tests::{
    leashed::Leashed,
    netns::{Namespace, isolated},
    sockets::{self, End, eventually, linger_zero, send, wait_for_end},
    tracer::{Trace, Tracer, WITH_TRACEFS, read_all},
};

/// They lie outside the range from which the kernel chooses.
const PORT: u16 = 20_021;
const SENTINEL: u16 = 20_022;
const CONNECTIONS: usize = 300;

/// Source port, destination port, old state, new state; how often.
type Events = BTreeMap<[u16; 4], usize>;

struct Bpftrace {
    child: Leashed,
    lines: Arc<Mutex<Vec<[u16; 4]>>>,
}

impl Bpftrace {
    /// Of this namespace, as the tracer: in another one the same test may run beside this.
    fn start(namespace: &Namespace) -> Self {
        let inode = namespace.inode;
        let program = format!(
            "tracepoint:sock:inet_sock_set_state /args->protocol == 6 && (args->sport == {PORT} \
             || args->dport == {PORT} || args->sport == {SENTINEL}) && \
             ((struct sock *)args->skaddr)->__sk_common.skc_net.net->ns.inum == {inode}/ \
             {{ printf(\"%d %d %d %d\\n\", \
             args->sport, args->dport, args->oldstate, args->newstate); }}"
        );
        let script = format!(r#"{WITH_TRACEFS} && exec "$0" "$@""#);
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &script, "bpftrace", "-B", "line", "-e", &program])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = Leashed::start(&mut command);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                let events = output.lines().map_while(Result::ok).filter_map(|line| event(&line));
                events.for_each(|event| lines.lock().unwrap().push(event));
            }
        });
        let mut bpftrace = Self { child, lines };
        bpftrace.wait_until_attached();
        bpftrace
    }

    fn wait_until_attached(&mut self) {
        eventually("an event seen by bpftrace", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                let errors = read_all(self.child.stderr.take().unwrap()).join().unwrap();
                panic!("this test needs bpftrace, which ended with {status}: {errors}");
            }
            drop(TcpListener::bind(("127.0.0.1", SENTINEL)).unwrap());
            !self.lines.lock().unwrap().is_empty()
        });
    }

    /// What it has seen of the connections, once it is as much as expected or it is not getting
    /// more.
    fn finish(mut self, expected: usize) -> Events {
        let seen = || count(self.lines.lock().unwrap().iter().copied());
        let mut patience = 400;
        eventually("the output of bpftrace", || {
            patience -= 1;
            seen().values().sum::<usize>() >= expected || patience == 0
        });
        // With another bpftrace beside it, one signal was not always enough.
        eventually("the end of bpftrace", || {
            self.child.signal(Signal::INT);
            self.child.try_wait().unwrap().is_some()
        });
        let errors = read_all(self.child.stderr.take().unwrap()).join().unwrap();
        assert!(!errors.contains("Lost"), "bpftrace: {errors}");
        seen()
    }
}

fn event(line: &str) -> Option<[u16; 4]> {
    let numbers: Vec<u16> = line.split(' ').map_while(|number| number.parse().ok()).collect();
    numbers.try_into().ok()
}

/// Counts the changes of state of the connections.
fn count(events: impl Iterator<Item = [u16; 4]>) -> Events {
    let mut counts = Events::new();
    let ours =
        events.filter(|&[sport, dport, old, new]| (sport == PORT || dport == PORT) && old != new);
    for event in ours {
        *counts.entry(event).or_default() += 1;
    }
    counts
}

/// What the tracer said of the tracepoint, in the tracepoint's terms.
fn told(trace: &Trace) -> Events {
    let seen = trace.transitions().filter(|record| record.at("/tcp/source") == "tracepoint");
    count(seen.map(|record| {
        let state = |field: &str| {
            let name = record.text(&format!("/tcp/kernel/{field}"));
            number(name.or(record.text(&format!("/tcp/{field}"))).unwrap())
        };
        let port = |end: &str| {
            let port = record.number(&format!("/network/{end}/port")).unwrap_or(0);
            u16::try_from(port).unwrap()
        };
        let states = [state("from"), state("to")];
        // The kernel chooses the port after the event; the tracer waits for it.
        let sport = if states == [7, 2] { 0 } else { port("local") };
        [sport, port("peer"), states[0], states[1]]
    }))
}

/// include/net/tcp_states.h
fn number(state: &str) -> u16 {
    let names = [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSED",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
    ];
    names.iter().position(|name| *name == state).unwrap_or_else(|| panic!("{state}")) as u16 + 1
}

/// Ends in all ways that a client and a server of one thread can bring about.
fn one_connection(listener: &TcpListener, kind: usize) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = sockets::accept(listener);
    match kind % 5 {
        0 => {
            drop(client);
            wait_for_end(&mut server);
        }
        1 => {
            drop(server);
            wait_for_end(&mut client);
        }
        2 => {
            linger_zero(&client);
            drop(client);
            wait_for_end(&mut server);
        }
        3 => {
            send(&mut client, &server, b"unread");
            drop(server);
            wait_for_end(&mut client);
        }
        _ => {
            client.shutdown(std::net::Shutdown::Write).unwrap();
            drop(server);
            wait_for_end(&mut client);
        }
    }
}

#[test]
fn bpftrace_sees_the_same_events() {
    isolated(|namespace| {
        let bpftrace = Bpftrace::start(namespace);
        let tracer = Tracer::start(namespace, &[]);
        let listener = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
        (0..CONNECTIONS).for_each(|kind| one_connection(&listener, kind));
        let end = End::of(&listener);
        drop(listener);
        tracer.wait_for_step(&end, "LISTEN", "CLOSED");
        let told = told(&tracer.finish());
        let events = told.values().sum();
        let seen = bpftrace.finish(events);
        let also: usize = seen.values().sum();
        println!("{CONNECTIONS} connections: tracer told {events} events, bpftrace {also}");
        assert!(events > CONNECTIONS * 8, "too few events");
        assert_eq!(differences(&told, &seen), [""; 0], "tracer told {events}, bpftrace {also}");
    });
}

fn differences(told: &Events, seen: &Events) -> Vec<String> {
    let events = told.keys().chain(seen.keys());
    let times = |events: &Events, event| events.get(event).copied().unwrap_or(0);
    let mut differences: Vec<String> = events
        .map(|event| (event, times(told, event), times(seen, event)))
        .filter(|(_, told, seen)| told != seen)
        .map(|(event, told, seen)| format!("{event:?}: tracer {told}, bpftrace {seen}"))
        .collect();
    differences.dedup();
    differences
}
