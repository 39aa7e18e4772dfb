//! Many connections at full speed: one thread connects and closes, another accepts and closes.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::netns::Namespace;

/// Addresses to connect to: each gives as many connections as there are local ports.
const ADDRESSES: usize = 32;
/// Connections that may wait to be accepted.
const WAITING: usize = 256;
/// `TCP_DELACK_MIN`, include/net/tcp.h.
const DELAYED_ACK: Duration = Duration::from_millis(40);
/// After this a load is given up, or after that for each connection.
const LIMIT: Duration = Duration::from_secs(240);
const LIMIT_EACH: Duration = Duration::from_micros(400);

/// Allows as many descriptors as may be.
pub fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).expect("a limit");
}

/// Allows as many connections as a test may want.
pub fn prepare(namespace: &Namespace) {
    namespace.set("net/ipv4/ip_local_port_range", "1024 65535");
    namespace.set("net/ipv4/tcp_max_tw_buckets", "1000000");
}

/// Makes connections one after the other and closes them, the client first; how long it took.
///
/// Each goes through all states of an orderly open and close on both ends.
pub fn connections(count: usize) -> Duration {
    let begun = Instant::now();
    let listener = listener();
    let port = listener.local_addr().expect("an address").port();
    let accepted = AtomicUsize::new(0);
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, count, &accepted));
        for index in 0..count {
            wait_for_room(index, &accepted, begun, LIMIT.max(LIMIT_EACH * count as u32));
            drop(TcpStream::connect(address(index, port)).expect("a connection"));
        }
        server.join().expect("the server");
    });
    begun.elapsed()
}

/// A socket that has an address and is to listen there, and its port.
pub fn bound(address: Ipv4Addr) -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address");
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    (socket, local.expect("its address").port())
}

/// Makes `rounds` times `count` connections at once to a bound socket. Those of a round are closed by
/// the client first and half as long again as an ACK may be delayed later by the server: so the
/// timers of all fire together, whatever runs then.
pub fn delayed(socket: Socket, rounds: usize, count: usize) -> Duration {
    let begun = Instant::now();
    socket.listen(count as i32).expect("a listener");
    let listener = TcpListener::from(socket);
    let to = listener.local_addr().expect("an address");
    for _ in 0..rounds {
        let connect = |_| {
            let client = TcpStream::connect(to).expect("a connection");
            (client, listener.accept().expect("a connection to accept").0)
        };
        let (clients, servers): (Vec<_>, Vec<_>) = (0..count).map(connect).unzip();
        drop(clients);
        thread::sleep(DELAYED_ACK * 3 / 2);
        drop(servers);
    }
    begun.elapsed()
}

/// Makes connections that stay open, both ends in this process.
pub fn held(count: usize) -> Vec<(TcpStream, TcpStream)> {
    let listener = listener();
    let port = listener.local_addr().expect("an address").port();
    let connection = |index| {
        let client = TcpStream::connect(address(index, port)).expect("a connection");
        (client, listener.accept().expect("a connection to accept").0)
    };
    (0..count).map(connection).collect()
}

/// The address to which a connection goes.
fn address(index: usize, port: u16) -> SocketAddr {
    let last = u8::try_from(index % ADDRESSES).expect("a small number");
    SocketAddr::from(([127, 1, 0, last], port))
}

/// Listens on all addresses, with room for all that may wait.
fn listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    socket.bind(&any.into()).expect("an address");
    socket.listen(2 * WAITING as i32).expect("a listener");
    socket.into()
}

fn serve(listener: &TcpListener, count: usize, accepted: &AtomicUsize) {
    for _ in 0..count {
        let (mut stream, _) = listener.accept().expect("a connection to accept");
        let read = stream.read(&mut [0]).expect("the client's FIN");
        assert_eq!(read, 0, "a client sends nothing");
        accepted.fetch_add(1, Ordering::Relaxed);
    }
}

fn wait_for_room(made: usize, accepted: &AtomicUsize, begun: Instant, limit: Duration) {
    while made - accepted.load(Ordering::Relaxed) > WAITING {
        assert!(begun.elapsed() < limit, "{made} connections in {:?}", begun.elapsed());
        thread::yield_now();
    }
}

/// Keeps one processor busy while something is done.
pub fn beside_a_busy_thread<T>(work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
