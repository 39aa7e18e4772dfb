//! Sockets of a scenario, and what the kernel says of them.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::set_name;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{
    error::{During as _, Error, Result},
    network::{CLIENT, DEVICE, SERVER},
};

/// The client's port.
pub const CLIENT_PORT: u16 = 40_001;
/// The server's port.
pub const SERVER_PORT: u16 = 80;

const PAUSE: Duration = Duration::from_millis(2);
/// How long a state that must come may take: TIME_WAIT lasts a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Over `lo`.
    Loopback,
    /// Over the [`network`](crate::network).
    Network,
}

impl Path {
    /// The client's own address.
    pub fn client(self) -> SocketAddr {
        let address = if self == Self::Loopback { Ipv4Addr::LOCALHOST } else { CLIENT };
        (address, CLIENT_PORT).into()
    }

    /// The server's own address.
    pub fn server(self) -> SocketAddr {
        let address = if self == Self::Loopback { Ipv4Addr::LOCALHOST } else { SERVER };
        (address, SERVER_PORT).into()
    }

    /// Binds a socket to an address; over the network, also to its device.
    fn bind(self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        if self == Self::Network {
            socket.bind_device(Some(DEVICE.as_bytes()))?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    }
}

/// A connection, both ends of which are here.
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
    /// Connects, with the handshake.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses.
    pub fn over(path: Path) -> Result<Self> {
        let listener = listen(path)?;
        let client = connect(path)?;
        let server = accept(&listener)?;
        Ok(Self { listener, client, server })
    }
}

/// A new socket.
///
/// # Errors
///
/// Where descriptors have run out.
pub fn tcp() -> Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).during("make a socket")
}

/// The server's listener.
///
/// # Errors
///
/// Where its port is taken.
pub fn listen(path: Path) -> Result<TcpListener> {
    listen_with(path, 16)
}

/// The same with a queue of a length.
///
/// # Errors
///
/// Where its port is taken.
pub fn listen_with(path: Path, backlog: i32) -> Result<TcpListener> {
    act_as("server");
    let socket = tcp()?;
    path.bind(&socket, path.server()).during("bind the server's port")?;
    socket.listen(backlog).during("listen")?;
    Ok(socket.into())
}

/// A socket bound to the client's port.
///
/// # Errors
///
/// Where that is taken.
pub fn client_socket(path: Path) -> Result<Socket> {
    bound(path, path.client())
}

/// A client's socket with that address.
///
/// # Errors
///
/// Where that is taken.
pub fn bound(path: Path, address: SocketAddr) -> Result<Socket> {
    act_as("client");
    let socket = tcp()?;
    path.bind(&socket, address).during("bind a port")?;
    Ok(socket)
}

/// Connects the client to the server.
///
/// # Errors
///
/// Where that fails.
pub fn connect(path: Path) -> Result<TcpStream> {
    let socket = client_socket(path)?;
    socket.connect(&path.server().into()).during("connect")?;
    Ok(socket.into())
}

/// Begins to connect, without waiting.
///
/// # Errors
///
/// Where that fails at once.
pub fn start_connecting(socket: &Socket, to: SocketAddr) -> Result<()> {
    socket.set_nonblocking(true).during("set O_NONBLOCK")?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
            Err(error).during("connect")
        }
        _ => Ok(()),
    }
}

/// Takes the next connection.
///
/// # Errors
///
/// Where that fails.
pub fn accept(listener: &TcpListener) -> Result<TcpStream> {
    act_as("server");
    Ok(listener.accept().during("accept")?.0)
}

/// Writes, and waits until the other end could read it.
///
/// # Errors
///
/// Where the connection is over.
pub fn send(from: &mut TcpStream, to: &TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes).during("send")?;
    to.peek(&mut [0]).during("receive")?;
    Ok(())
}

/// Reads what has come.
///
/// # Errors
///
/// Where the connection has been aborted.
pub fn receive(at: &mut TcpStream) -> Result<usize> {
    at.read(&mut [0; 1 << 16]).during("receive")
}

/// Ends the direction of an end that goes on reading: its FIN is sent, and the socket stays a
/// process's, so that each of its states is reported by an event.
///
/// # Errors
///
/// Where the connection is over.
pub fn finish(stream: &TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write).during("shut down")
}

/// Makes close() send RST.
///
/// # Errors
///
/// Where the kernel refuses it.
pub fn linger_zero(stream: &TcpStream) -> Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).during("set SO_LINGER")
}

/// The name by which the tracer shows whoever acts.
pub fn act_as(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        // For show alone.
        let _ = set_name(&name);
    }
}

/// State of TCP, as the kernel numbers it (include/net/tcp_states.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "those of RFC 9293")]
pub enum State {
    Established = 1,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Closed,
    CloseWait,
    LastAck,
}

/// Waits until a socket with this local port, and a peer, is in a state.
///
/// # Errors
///
/// Where it does not come to be.
pub fn until(port: u16, state: State) -> Result<()> {
    wait(&format!("a socket of port {port} in {state:?}"), || {
        Ok(states(port)?.contains(&(state as u8)))
    })
}

/// Waits until there is no socket with this local port and a peer.
///
/// # Errors
///
/// Where one stays.
pub fn until_gone(port: u16) -> Result<()> {
    wait(&format!("the end of the sockets of port {port}"), || Ok(states(port)?.is_empty()))
}

/// Waits for something.
///
/// # Errors
///
/// Where it does not come to be.
pub fn wait(what: &str, mut holds: impl FnMut() -> io::Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().during("read /proc/net/tcp")? {
        if Instant::now() > deadline {
            return Err(Error::in_vain(what));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// States of the sockets of a port that have a peer.
fn states(port: u16) -> io::Result<Vec<u8>> {
    let table = fs::read_to_string("/proc/thread-self/net/tcp")?;
    let own = format!(":{port:04X}");
    let state = |line: &str| {
        // sl, local address, peer's address, state, …
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, peer, state) = (words.next()?, words.next()?, words.next()?);
        let is_one = local.ends_with(&own) && !peer.ends_with(":0000");
        is_one.then(|| u8::from_str_radix(state, 16).ok())?
    };
    Ok(table.lines().skip(1).filter_map(state).collect())
}
