//! Thousands of sockets that a tracer finds when it starts.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    clock::Moment,
    kernel, load,
    netns::{Namespace, Resident, run},
    slowness::allowed,
    sockets::{self, End, Pair, Path, wait_for_end},
    tracer::PATIENCE,
};

/// Sockets in each state that lasts.
#[derive(Debug)]
pub struct Crowd {
    /// One of the connections was accepted from it.
    pub listener: TcpListener,
    /// Ends in CLOSE_WAIT; the others are orphans in FIN_WAIT2.
    pub close_wait: Vec<TcpStream>,
    /// Where connections wait that nobody accepts, their clients gone.
    pub unaccepted: TcpListener,
    /// Both ends of each.
    pub established: Vec<(TcpStream, TcpStream)>,
    /// Ends that shut down, in FIN_WAIT2; the others are in CLOSE_WAIT.
    pub half_closed: Vec<(TcpStream, TcpStream)>,
    /// Where connections are half-open: their clients' acknowledgements do not arrive.
    pub half_open: TcpListener,
    /// Clients of the half-open connections.
    pub waiting: Vec<TcpStream>,
    /// Ends in TIME_WAIT of which it is known exactly when they got there.
    pub time_wait: Vec<(End, [Moment; 2])>,
    /// When all other ends in TIME_WAIT got there.
    pub time_waits: [Moment; 2],
    _resident: Resident,
}

/// Connections that nobody accepts.
pub const UNACCEPTED: usize = 50;
const FEW: usize = 20;

impl Crowd {
    /// Makes so many sockets in CLOSE_WAIT and in TIME_WAIT, and some in other states.
    pub fn gather(namespace: &Namespace, close_wait: usize, time_wait: usize) -> Self {
        // A hard limit that is too low makes connections fail.
        load::allow_descriptors();
        load::prepare(namespace);
        // All of them shall last.
        namespace.set("net/ipv4/tcp_tw_reuse", "0");
        namespace.set("net/ipv4/tcp_rfc1337", "1");
        let begun = Moment::now();
        load::connections(time_wait);
        settle();
        let time_waits = [begun, Moment::now()];
        let listener = sockets::listen(Path::V4);
        let connect = || sockets::connect(&listener, Path::V4);
        let (half_open, waiting) = half_open();
        Self {
            close_wait: (0..close_wait).map(|_| left(connect())).collect(),
            unaccepted: unaccepted(),
            established: (0..FEW).map(|_| connect()).collect(),
            half_closed: (0..FEW).map(|_| half_closed(connect())).collect(),
            half_open,
            waiting,
            time_wait: (0..FEW).map(|_| closed(connect())).collect(),
            time_waits,
            listener,
            // A namespace is found by its processes.
            _resident: Resident::settle(),
        }
    }

    /// Lets the acknowledgements arrive that complete the half-open connections.
    pub fn let_through() {
        run("nft", &["flush", "ruleset"]);
    }

    /// Cookies of all sockets that this process holds, with their descriptors.
    pub fn held(&self) -> Vec<(u64, u64)> {
        let streams = self.close_wait.iter().chain(&self.waiting);
        let pairs = self.established.iter().chain(&self.half_closed);
        let streams = streams.chain(pairs.flat_map(|(one, other)| [one, other]));
        let held = streams.map(|stream| (sockets::cookie(stream), stream.as_raw_fd()));
        let listeners = [&self.listener, &self.unaccepted, &self.half_open];
        let listeners = listeners.map(|socket| (sockets::cookie(socket), socket.as_raw_fd()));
        let numbers = held.chain(listeners).map(|(cookie, fd)| (cookie, fd.unsigned_abs().into()));
        numbers.collect()
    }
}

/// Waits for the connections whose FIN got lost among so many.
fn settle() {
    let deadline = Instant::now() + allowed(PATIENCE);
    loop {
        let sockets = kernel::sockets();
        let Some(other) = sockets.iter().find(|socket| socket.state != "TIME_WAIT") else {
            return;
        };
        assert!(Instant::now() < deadline, "not in TIME_WAIT yet: {}", other.line);
        thread::sleep(Duration::from_millis(50));
    }
}

/// The end whose peer has gone.
fn left((client, mut server): (TcpStream, TcpStream)) -> TcpStream {
    drop(client);
    wait_for_end(&mut server);
    server
}

fn half_closed((client, mut server): (TcpStream, TcpStream)) -> (TcpStream, TcpStream) {
    client.shutdown(std::net::Shutdown::Write).expect("an open connection");
    wait_for_end(&mut server);
    (client, server)
}

/// The client closes first; the kernel counts its TIME_WAIT from the server's FIN.
fn closed((client, server): (TcpStream, TcpStream)) -> (End, [Moment; 2]) {
    let end = End::of(&client);
    let server = left((client, server));
    let before = Moment::now();
    drop(server);
    (end, [before, Moment::now()])
}

fn unaccepted() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("an address");
    socket.listen(UNACCEPTED as i32).expect("a listener");
    let listener: TcpListener = socket.into();
    let address = listener.local_addr().expect("an address");
    (0..UNACCEPTED).for_each(|_| drop(TcpStream::connect(address).expect("a connection")));
    listener
}

fn half_open() -> (TcpListener, Vec<TcpStream>) {
    let Pair { listener, .. } = Pair::over(Path::V4);
    let address = listener.local_addr().expect("an address");
    let port = address.port().to_string();
    run("nft", &["add", "table", "inet", "tests"]);
    let hook = ["{", "type", "filter", "hook", "input", "priority", "0", ";", "}"];
    run("nft", &[&["add", "chain", "inet", "tests", "input"], &hook[..]].concat());
    let bare = ["tcp", "dport", &port, "tcp", "flags", "&", "(syn | ack)", "==", "ack", "drop"];
    run("nft", &[&["add", "rule", "inet", "tests", "input"], &bare[..]].concat());
    let connect = |_| TcpStream::connect(address).expect("a client that has got its SYN+ACK");
    let waiting = (0..FEW).map(connect).collect();
    (listener, waiting)
}
