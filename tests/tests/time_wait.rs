//! The ends of minisockets (TIME_WAIT and orphaned FIN_WAIT2), of which the kernel tells nobody:
//! by the timer, to the last, and before it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{
    clock::Moment,
    far::Far,
    kernel,
    netns::{Namespace, Resident, isolated},
    options::set_tcp,
    record::{Record, listing},
    segment::flag::{ACK, FIN},
    slowness::allowed,
    sockets::{self, End, Pair, Path, close_client_first, eventually, wait_for_end},
    tracer::{PATIENCE, Trace, Tracer},
    wire::{THERE, Wire},
};

/// What is reported of a silent end may be this much late or early.
const TOLERANCE: Duration = Duration::from_secs(1);
/// `TCP_TIMEWAIT_LEN`, and what the kernel's timer wheel adds at most.
const TIME_WAIT: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(68)];
/// `tcp_fin_timeout` of the namespace.
const FIN_TIMEOUT: Duration = Duration::from_secs(3);

/// There before the tracer.
const EARLY: &str = "early";

/// A minisocket whose end is waited for.
struct Minisocket {
    name: &'static str,
    end: End,
    state: &'static str,
    /// The other end, whose FIN would take an orphan into TIME_WAIT.
    _open: Option<TcpStream>,
    /// When the kernel still listed it.
    listed: Moment,
    /// When it did no longer.
    gone: Option<(Moment, Instant)>,
}

impl Minisocket {
    fn new(name: &'static str, end: End, state: &'static str) -> Self {
        Self { name, end, state, _open: None, listed: Moment::now(), gone: None }
    }

    /// With the other end kept open.
    fn beside(open: TcpStream, name: &'static str, end: End, state: &'static str) -> Self {
        Self { _open: Some(open), ..Self::new(name, end, state) }
    }
}

/// Waits until the kernel has removed all of them, and notes when.
fn watch(minisockets: &mut [Minisocket]) {
    let deadline = Instant::now() + TIME_WAIT[1] + allowed(PATIENCE);
    while minisockets.iter().any(|one| one.gone.is_none()) {
        assert!(Instant::now() < deadline, "the kernel keeps a minisocket for ever");
        thread::sleep(Duration::from_millis(20));
        let before = Moment::now();
        let listed = kernel::listed();
        let after = (Moment::now(), Instant::now());
        for one in minisockets.iter_mut().filter(|one| one.gone.is_none()) {
            if kernel::is_listed(&listed, &one.end) {
                one.listed = before;
            } else {
                one.gone = Some(after);
            }
        }
    }
}

/// The end is told when the kernel has removed it, with its reason and the time before it.
fn is_told_in_time(trace: &Trace, minisocket: &Minisocket) {
    let Minisocket { name, end, state, listed, gone, .. } = minisocket;
    let told = trace.life(end).step(state, "CLOSED");
    let (moment, instant) = gone.unwrap();
    let [first, last] = [*listed, moment].map(|at| told.moment().since(at) / 1_000_000);
    println!("{name}: {first} ms after the kernel listed it, {last} ms after it did not");
    assert!(told.moment().is_within(*listed - TOLERANCE, moment + TOLERANCE), "{name}: {told}");
    let late = told.arrived.saturating_duration_since(instant);
    assert!(late < allowed(TOLERANCE), "{name}: told {late:?} too late: {told}");
    assert_eq!(told.at("/tcp/source"), "timer", "{name}: {told}");
    let (reason, [least, most]) = match *state {
        "FIN_WAIT2" => ("fin_wait2_timeout", [FIN_TIMEOUT, 3 * FIN_TIMEOUT]),
        _ => ("graceful", TIME_WAIT),
    };
    assert_eq!(told.at("/tcp/close/reason"), reason, "{name}: {told}");
    // Who has closed is not known of one that was there before the tracer.
    let initiator = told.text("/tcp/close/initiator");
    assert!(*name == EARLY || initiator == Some("local"), "{name}: {told}");
    let elapsed = Duration::from_nanos(told.number("/tcp/elapsed_ns").unwrap());
    assert!(elapsed >= least && elapsed <= most, "{name}: {elapsed:?}: {told}");
}

/// A connection whose client shuts down first and keeps its descriptor.
fn shut_down(path: Path) -> (TcpListener, TcpStream, TcpStream) {
    let Pair { listener, client, mut server } = Pair::over(path);
    client.shutdown(Shutdown::Write).unwrap();
    wait_for_end(&mut server);
    (listener, client, server)
}

/// Ends in TIME_WAIT on this host, the transition seen by the tracepoint.
fn seen(tracer: &Tracer, name: &'static str, path: Path) -> Minisocket {
    let (_listener, client, server) = shut_down(path);
    let end = End::of(&client);
    drop(server);
    let told = tracer.wait_for_step(&end, "FIN_WAIT2", "TIME_WAIT");
    assert_eq!(told.at("/tcp/source"), "tracepoint", "{told}");
    assert_eq!(told.at("/tcp/kernel/to"), "CLOSED", "{told}");
    Minisocket::new(name, end, "TIME_WAIT")
}

/// The same, but an orphan, which no tracepoint shows entering TIME_WAIT.
fn inferred(tracer: &Tracer, path: Path) -> Minisocket {
    let pair = Pair::over(path);
    let (end, _) = pair.ends();
    close_client_first(tracer, pair);
    let told = tracer.wait_for_step(&end, "FIN_WAIT2", "TIME_WAIT");
    assert_eq!(told.at("/tcp/source"), "inferred", "{told}");
    Minisocket::new("inferred", end, "TIME_WAIT")
}

/// An orphan whose peer is on another host: only a look at the kernel's list tells.
fn looked_up(tracer: &Tracer, wire: &Wire) -> Minisocket {
    let (end, mut far) = orphan_far_away(tracer, wire, 10);
    let sent = Instant::now();
    far.send(FIN | ACK);
    let told = tracer.wait_for_step(&end, "FIN_WAIT2", "TIME_WAIT");
    assert_eq!(told.at("/tcp/source"), "snapshot", "{told}");
    let late = told.arrived.saturating_duration_since(sent);
    assert!(late < allowed(2 * TOLERANCE), "{late:?} after the FIN: {told}");
    Minisocket::new("looked up", end, "TIME_WAIT")
}

/// A client of the wire's peer, closed, its FIN acknowledged; it waits for so many seconds.
fn orphan_far_away<'a>(tracer: &Tracer, wire: &'a Wire, seconds: i32) -> (End, Far<'a>) {
    const PORT: u16 = 7;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    set_tcp(&socket, libc::TCP_LINGER2, seconds);
    socket.set_nonblocking(true).unwrap();
    let there = SocketAddr::from((THERE, PORT));
    drop(socket.connect(&there.into()));
    let end = End { peer: there, ..End::of(&socket) };
    let mut far = Far::called(wire, PORT);
    far.answer();
    tracer.wait_for_step(&end, "SYN_SENT", "ESTABLISHED");
    drop(socket);
    far.wait_for_fin();
    far.send(ACK);
    tracer.wait_for_step(&end, "FIN_WAIT2", "FIN_WAIT2");
    (end, far)
}

/// An orphan whose peer does not close.
fn given_up(tracer: &Tracer, path: Path) -> Minisocket {
    let Pair { client, server, .. } = Pair::over(path);
    let end = End::of(&client);
    drop(client);
    tracer.wait_for_step(&end, "FIN_WAIT2", "FIN_WAIT2");
    Minisocket::beside(server, "given up", end, "FIN_WAIT2")
}

/// The same after half a second as a full socket.
fn given_up_late(tracer: &Tracer) -> Minisocket {
    let (_listener, client, server) = shut_down(Path::V4);
    let end = End::of(&client);
    thread::sleep(Duration::from_millis(500));
    drop(client);
    tracer.wait_for_step(&end, "FIN_WAIT2", "FIN_WAIT2");
    Minisocket::beside(server, "given up late", end, "FIN_WAIT2")
}

/// There before the tracer.
fn early() -> Minisocket {
    let (_listener, client, server) = shut_down(Path::V4);
    let end = End::of(&client);
    drop(server);
    eventually("a TIME_WAIT", || kernel::states().get(&end.cookie) == Some(&"TIME_WAIT"));
    Minisocket::new(EARLY, end, "TIME_WAIT")
}

/// As many as are waited for at the same time: it takes a minute.
#[test]
fn an_end_by_the_timer_is_told_when_the_kernel_has_removed_the_minisocket() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_fin_timeout", &FIN_TIMEOUT.as_secs().to_string());
        let wire = Wire::new(namespace).unwrap();
        let early = early();
        // A namespace that is not seen in events is found by its processes.
        let _resident = Resident::settle();
        let tracer = Tracer::start(namespace, &[]);
        let mut minisockets = vec![
            given_up(&tracer, Path::V4),
            given_up(&tracer, Path::V6),
            given_up_late(&tracer),
            early,
            seen(&tracer, "seen, IPv4", Path::V4),
            seen(&tracer, "seen, IPv6", Path::V6),
            inferred(&tracer, Path::V4),
            inferred(&tracer, Path::DualStack),
            looked_up(&tracer, &wire),
        ];
        watch(&mut minisockets);
        for one in &minisockets {
            tracer.wait_for_step(&one.end, one.state, "CLOSED");
        }
        let trace = tracer.finish();
        for one in &minisockets {
            is_told_in_time(&trace, one);
        }
    });
}

#[test]
fn the_end_of_a_killed_time_wait_is_found_within_a_second() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let ends: Vec<_> = (0..5).map(|_| seen(&tracer, "to be killed", Path::V4).end).collect();
        let mut late: Vec<Duration> = Vec::new();
        for (index, end) in (0..).zip(&ends) {
            // At another time between two looks each time.
            thread::sleep(Duration::from_millis(130) * index);
            kernel::kill_time_wait(end);
            let killed = Instant::now();
            let told = tracer.wait_for_step(end, "TIME_WAIT", "CLOSED");
            assert_eq!(told.at("/tcp/source"), "snapshot", "{told}");
            late.push(told.arrived.saturating_duration_since(killed));
        }
        let trace = tracer.finish();
        for end in &ends {
            trace.life(end).closed("graceful", "local");
        }
        late.sort();
        println!("found after {late:?}");
        // A busy machine may be late once or twice.
        assert!(late[ends.len() / 2] < allowed(TOLERANCE), "found after {late:?}");
    });
}

#[test]
fn what_happened_since_the_last_look_is_found_when_the_trace_ends() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Minisocket { end, .. } = seen(&tracer, "to be killed", Path::V4);
        kernel::kill_time_wait(&end);
        let trace = tracer.finish();
        let told = trace.life(&end).step("TIME_WAIT", "CLOSED");
        assert_eq!(told.at("/tcp/source"), "snapshot", "{told}");
    });
}

/// A client of a listener from a port of its own choice. A TIME_WAIT does not keep the port from
/// it if that had SO_REUSEADDR too.
fn connect_from(local: SocketAddr, listener: &TcpListener) -> TcpStream {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&local.into()).unwrap();
    socket.connect(&listener.local_addr().unwrap().into()).unwrap();
    socket.into()
}

/// A connection with the addresses of one that is in TIME_WAIT ends that.
fn is_replaced(namespace: &Namespace, path: Path, client_first: bool) {
    // Which ends in TIME_WAIT may be replaced: those on this host, and after a second.
    namespace.set("net/ipv4/tcp_tw_reuse", "2");
    let tracer = Tracer::start(namespace, &[]);
    let listener = sockets::listen(path);
    let client = connect_from(sockets::loopback(path, 0), &listener);
    let server = sockets::accept(&listener);
    let ends = [&client, &server].map(End::of);
    let (first, mut second) = if client_first { (client, server) } else { (server, client) };
    let old = End::of(&first);
    drop(first);
    wait_for_end(&mut second);
    drop(second);
    tracer.wait_for_step(&old, "FIN_WAIT2", "TIME_WAIT");
    assert!(kernel::states().contains_key(&old.cookie));
    thread::sleep(Duration::from_millis(1_200));
    let before = Moment::now();
    let client = connect_from(ends[0].local, &listener);
    let server = sockets::accept(&listener);
    let after = Moment::now();
    let new = [&client, &server].map(End::of);
    assert_eq!(new.map(|end| (end.local, end.peer)), ends.map(|end| (end.local, end.peer)));
    assert!(!kernel::states().contains_key(&old.cookie), "the kernel has kept the old one");
    tracer.wait_for_step(&old, "TIME_WAIT", "CLOSED");
    tracer.wait_for_step(&new[1], "SYN_RECV", "ESTABLISHED");
    let trace = tracer.finish();
    let ended = *steps(&trace, &old).last().unwrap();
    assert!(ended.is_step("TIME_WAIT", "CLOSED"), "{ended}");
    assert_eq!(ended.at("/tcp/source"), "inferred", "{ended}");
    assert_eq!(ended.at("/tcp/close/reason"), "graceful", "{ended}");
    assert!(ended.moment().is_within(before, after), "{before:?} to {after:?}: {ended}");
    for (end, first) in new.iter().zip(["CLOSED", "LISTEN"]) {
        let steps = steps(&trace, end);
        assert_eq!(steps.len(), 2, "{}", listing(steps));
        assert_eq!(steps[0].at("/tcp/from"), first, "{}", steps[0]);
        assert_eq!(steps[1].at("/tcp/to"), "ESTABLISHED", "{}", steps[1]);
    }
}

/// The transitions of one socket of several with the same addresses.
fn steps<'a>(trace: &'a Trace, end: &End) -> Vec<&'a Record> {
    trace.transitions().filter(|record| end.is_told_by(record)).collect()
}

#[test]
fn a_client_that_connects_again_from_the_same_port_ends_its_time_wait() {
    isolated(|namespace| is_replaced(namespace, Path::V4, true));
}

#[test]
fn a_client_that_connects_again_from_the_same_port_ends_the_servers_time_wait() {
    isolated(|namespace| is_replaced(namespace, Path::V6, false));
}
