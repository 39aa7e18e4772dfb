//! What anybody may ask, and that a scraper is answered whatever else is connected.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::OwnedFd,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use rstest::rstest;
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::*;

#[rstest]
#[case("9498", "127.0.0.1:9498")]
#[case(":9498", "127.0.0.1:9498")]
#[case("localhost:9498", "127.0.0.1:9498")]
#[case("0.0.0.0:9498", "0.0.0.0:9498")]
#[case("[::1]:9498", "[::1]:9498")]
fn a_port_alone_is_one_of_loopback(#[case] text: &str, #[case] address: &str) {
    assert_eq!(text.parse::<Listen>().unwrap().to_string(), address);
}

#[rstest]
#[case("")]
#[case("0")]
#[case("localhost")]
#[case("65536")]
#[case("example.org:9498")]
#[case("127.0.0.1")]
fn anything_else_is_an_error(#[case] text: &str) {
    assert!(text.parse::<Listen>().is_err());
}

fn started() -> (Endpoint, SocketAddr) {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    (
        Endpoint::start(
            Endpoint::listen(Listen(address)).unwrap(),
            Shared::default(),
            Web::default(),
        )
        .unwrap(),
        address,
    )
}

/// What is answered to `request`; what follows the answer is the end.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The peer may have had enough before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn pages_are_only_read_and_nothing_else_is_answered() {
    let (endpoint, address) = started();
    for (request, status) in [
        ("GET /metrics", "200 OK"),
        ("GET /", "200 OK"),
        ("GET /healthz", "200 OK"),
        // Nothing is traced yet.
        ("GET /readyz", "503 Service Unavailable"),
        ("GET /metrics/", "404 Not Found"),
        ("POST /metrics", "405 Method Not Allowed"),
    ] {
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = ask(address, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    }
    assert!(Endpoint::listen(Listen(address)).is_err(), "a taken port");
    endpoint.finish();
}

/// Those that take most of a process's descriptors, or of a processor, run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const KEEP_ALIVE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// Five scrapes, the fastest sooner than anybody loses patience: on a busy machine a scraper may wait for a processor
/// until others have had its place, and ask again.
fn scrapes_are_answered(address: SocketAddr) {
    let time = |_| {
        let asked = Instant::now();
        let mut answers = std::iter::repeat_with(|| ask(address, SCRAPE)).take(20);
        assert!(answers.any(|answer| answer.starts_with("HTTP/1.1 200 OK")), "no answer");
        asked.elapsed()
    };
    let times: Vec<Duration> = (0..5).map(time).collect();
    assert!(times.iter().any(|time| *time < PATIENCE / 2), "{times:?}");
}

/// A connection from an address of 127/8.
fn from(number: u32, to: SocketAddr) -> TcpStream {
    let source = SocketAddr::new(Ipv4Addr::from_bits(0x7f00_0001 + number).into(), 0);
    let (family, flags) = (AddressFamily::INET, SocketFlags::CLOEXEC);
    let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, None).unwrap();
    rustix::net::bind(&socket, &source).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

#[test]
fn whoever_sends_too_much_is_turned_away() {
    let (endpoint, address) = started();
    let large = [b"GET /metrics HTTP/1.1\r\nA: ".as_slice(), &vec![b'a'; 8 * HEAD]].concat();
    let answer = ask(address, &large);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    endpoint.finish();
}

/// Requests that never end, or answers that nobody takes.
#[rstest]
#[case::nothing(b"")]
#[case::slow(b"GET /metrics HTTP/1.1\r\nHost:")]
#[case::pipelined(&KEEP_ALIVE.repeat(200))]
#[case::idle(KEEP_ALIVE)]
fn connections_that_stay_hold_nobody_up(#[case] request: &[u8]) {
    let _alone = alone();
    let (endpoint, address) = started();
    let staying: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            // It may be closed already.
            let _ = stream.write_all(request);
            stream
        })
        .collect();
    scrapes_are_answered(address);
    drop(staying);
    endpoint.finish();
}

#[rstest]
#[case::from_one_address(1)]
#[case::from_as_many_addresses(10_000)]
fn ten_thousand_connections_hold_nobody_up(#[case] addresses: u32) {
    let _alone = alone();
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.map(|maximum| maximum.max(20_000));
    // Not every user may raise it.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = u32::try_from(descriptors / 2).unwrap_or(u32::MAX).min(10_000);
    let (endpoint, address) = started();
    let staying: Vec<TcpStream> =
        (0..count).map(|number| from(number % addresses, address)).collect();
    scrapes_are_answered(address);
    drop(staying);
    endpoint.finish();
}

/// Connections as fast as one thread makes them, with and without a request.
#[rstest]
#[case::of_connections(b"")]
#[case::of_requests(KEEP_ALIVE)]
fn a_flood_holds_nobody_up(#[case] request: &[u8]) {
    let _alone = alone();
    let (endpoint, address) = started();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            let mut last = std::collections::VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                number = (number + 1) % 60_000;
                let mut stream = from(number, address);
                let _ = stream.write_all(request);
                last.push_back(stream);
                if last.len() > 100 {
                    last.pop_front();
                }
            }
        });
        thread::sleep(Duration::from_millis(300));
        let outcome = std::panic::catch_unwind(|| scrapes_are_answered(address));
        over.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    endpoint.finish();
}

#[test]
fn whoever_does_not_take_his_answers_is_closed_after_seconds() {
    let (endpoint, address) = started();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let begun = Instant::now();
    loop {
        match stream.write(KEEP_ALIVE) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        assert!(begun.elapsed() < 5 * WHOLE, "it is still open");
    }
    assert!(begun.elapsed() >= PATIENCE, "{:?}: too soon for a slow reader", begun.elapsed());
    endpoint.finish();
}
