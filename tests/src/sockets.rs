//! Sockets in the situations that the tests need.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub use crate::end::End;
use crate::{
    netns::Namespace,
    slowness::allowed,
    tracer::{PATIENCE, Tracer},
};

/// How the two ends speak to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Both over IPv4.
    V4,
    /// Both over IPv6.
    V6,
    /// An IPv4 client of an IPv6 listener: its sockets have v4-mapped addresses.
    DualStack,
}

/// Cookie of a socket.
pub fn cookie(socket: &impl AsFd) -> u64 {
    SockRef::from(socket).cookie().expect("SO_COOKIE")
}

/// Both ends of a connection and the listener it came from.
#[derive(Debug)]
pub struct Pair {
    /// Where the server end came from.
    pub listener: TcpListener,
    /// The end that connected.
    pub client: TcpStream,
    /// The end that was accepted.
    pub server: TcpStream,
}

impl Pair {
    /// Connects.
    pub fn over(path: Path) -> Self {
        let listener = listen(path);
        let (client, server) = connect(&listener, path);
        Self { listener, client, server }
    }

    /// Connects, and slows the namespace down: what either end sends next is on its way for
    /// 20 ms at least.
    pub fn far_apart(namespace: &Namespace) -> Self {
        let mut pair = Self::over(Path::V4);
        namespace.slow_down();
        // Empties the bucket: 60 bytes and 66 of headers, then the acknowledgement.
        send(&mut pair.client, &pair.server, &[0; 60]);
        pair
    }

    /// The ends: client, server.
    pub fn ends(&self) -> (End, End) {
        (End::of(&self.client), End::of(&self.server))
    }
}

/// A listener on the loopback interface (a dual-stack one on all).
pub fn listen(path: Path) -> TcpListener {
    if path != Path::DualStack {
        let address = loopback(path, 0);
        return TcpListener::bind(address).expect("a listener");
    }
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_only_v6(false).expect("a dual-stack socket");
    socket.bind(&any.into()).expect("a bound socket");
    socket.listen(128).expect("a listener");
    socket.into()
}

/// Connects to a listener on this host: client, server.
pub fn connect(listener: &TcpListener, path: Path) -> (TcpStream, TcpStream) {
    let port = listener.local_addr().expect("an address").port();
    let client = TcpStream::connect(loopback(path, port)).expect("a connection");
    let server = accept(listener);
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(allowed(PATIENCE))).expect("a timeout");
    }
    (client, server)
}

/// Takes the next connection.
pub fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().expect("a connection to accept").0
}

/// The loopback address, as a client uses it.
pub fn loopback(path: Path, port: u16) -> SocketAddr {
    let address: IpAddr = match path {
        Path::V4 | Path::DualStack => Ipv4Addr::LOCALHOST.into(),
        Path::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(address, port)
}

/// A port of the loopback interface on which nobody listens.
pub fn free_port() -> u16 {
    listen(Path::V4).local_addr().expect("an address").port()
}

/// A port of this process's tests, below those from which the kernel chooses: for what watches all
/// namespaces, and would see the sockets of the same test in another run beside this one. The number
/// is the test's, below eight.
pub fn own_port(number: u16) -> u16 {
    let process = u16::try_from(std::process::id() % 1000).expect("below a thousand");
    10_000 + 8 * process + number
}

/// Makes close() send RST.
pub fn linger_zero(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

/// Sends some bytes and waits until the other end could read them.
pub fn send(from: &mut TcpStream, to: &TcpStream, bytes: &[u8]) {
    from.write_all(bytes).expect("sent bytes");
    let arrived = to.peek(&mut [0]).expect("received bytes");
    assert!(arrived > 0, "the connection ended instead");
}

/// Reads until the peer has sent its FIN.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("bytes to the end");
    bytes
}

/// Reads until the connection has ended in any way.
pub fn wait_for_end(stream: &mut TcpStream) {
    // An RST is an error of read().
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Both ends closed, the client first: waits for each step, so that the sequence is always the
/// same.
pub fn close_client_first(tracer: &Tracer, pair: Pair) -> TcpListener {
    let (client_end, _) = pair.ends();
    let Pair { listener, client, server } = pair;
    drop(client);
    tracer.wait_for_step(&client_end, "FIN_WAIT1", "FIN_WAIT2");
    drop(server);
    listener
}

/// Tries something until it holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + allowed(PATIENCE);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
