//! Where a row of the table is played: a namespace, a tracer, and what both ends need.

use std::{
    any::Any,
    cell::{OnceCell, RefCell},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{
    far::Far,
    netns::Namespace,
    segment::{
        Segment,
        flag::{ACK, FIN},
    },
    sockets::{self, End, eventually},
    tracer::Tracer,
    wire::{HERE, THERE, Wire},
};

/// Port of the test's end of the wire.
pub(crate) const FAR: u16 = 7000;

/// A socket whose life is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// Known to the test.
    Known(End),
    /// Never seen by a process.
    Between(SocketAddr, SocketAddr),
}

/// The sockets, in the order in which the row lists them; or why this cannot be driven here.
pub(crate) type Driven = Result<Vec<Subject>, String>;

/// Where a row is played.
pub(crate) struct Stage<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) tracer: Tracer,
    wire: OnceCell<Wire>,
    kept: RefCell<Vec<Box<dyn Any>>>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(namespace: &'a Namespace) -> Self {
        Self {
            namespace,
            tracer: Tracer::start(namespace, &[]),
            wire: OnceCell::new(),
            kept: RefCell::default(),
        }
    }

    /// The wire, laid when first asked for.
    pub(crate) fn wire(&self) -> Result<&Wire, String> {
        if self.wire.get().is_none() {
            let wire = Wire::new(self.namespace);
            let wire = wire.map_err(|error| format!("there is no TUN device: {}", error.kind()))?;
            drop(self.wire.set(wire));
        }
        Ok(self.wire.get().expect("set above"))
    }

    /// What the kernel has sent over the wire.
    pub(crate) fn sent(&self) -> Option<Vec<Segment>> {
        self.wire.get().map(Wire::log)
    }

    /// Keeps something open until all is told.
    pub(crate) fn keep(&self, something: impl Any) {
        self.kept.borrow_mut().push(Box::new(something));
    }

    /// Waits until something is told.
    pub(crate) fn until(&self, end: &End, from: &str, to: &str) {
        self.tracer.wait_for_step(end, from, to);
    }

    pub(crate) fn set(&self, parameter: &str, value: &str) {
        self.namespace.set(&format!("net/ipv4/{parameter}"), value);
    }

    /// A socket that connects to the test's end of the wire, which has not answered yet.
    pub(crate) fn connecting(&self) -> Result<Called<'_>, String> {
        self.connecting_with(|_| ())
    }

    /// The same with options.
    pub(crate) fn connecting_with(
        &self,
        prepare: impl FnOnce(&Socket),
    ) -> Result<Called<'_>, String> {
        let wire = self.wire()?;
        let socket = tcp();
        prepare(&socket);
        let end = start_connecting(&socket, FAR);
        Ok(Called { socket, end, far: Far::called(wire, FAR) })
    }

    /// A socket that is connected to the test's end of the wire.
    pub(crate) fn connected(&self) -> Result<Called<'_>, String> {
        self.connected_with(|_| ())
    }

    /// The same with options.
    pub(crate) fn connected_with(
        &self,
        prepare: impl FnOnce(&Socket),
    ) -> Result<Called<'_>, String> {
        let mut called = self.connecting_with(prepare)?;
        called.far.answer();
        self.until(&called.end, "SYN_SENT", "ESTABLISHED");
        called.socket.set_nonblocking(false).expect("a blocking socket");
        Ok(called)
    }

    /// The same, and the peer's FIN has come.
    pub(crate) fn left(&self) -> Result<Called<'_>, String> {
        let mut called = self.connected()?;
        called.far.send(FIN | ACK);
        self.until(&called.end, "ESTABLISHED", "CLOSE_WAIT");
        Ok(called)
    }

    /// shutdown(SHUT_WR), acknowledged.
    pub(crate) fn half_closed(&self) -> Result<Called<'_>, String> {
        let mut called = self.connected()?;
        called.socket.shutdown(Shutdown::Write).expect("a half-closed socket");
        called.far.wait_for_fin();
        called.far.send(ACK);
        self.until(&called.end, "FIN_WAIT1", "FIN_WAIT2");
        Ok(called)
    }

    /// Closed, with both FINs acknowledged.
    pub(crate) fn in_time_wait(&self) -> Result<Called<'_>, String> {
        let mut called = self.connected()?.close();
        called.far.send(FIN | ACK);
        self.until(&called.end, "FIN_WAIT2", "TIME_WAIT");
        Ok(called)
    }

    /// A listener on the wire.
    pub(crate) fn listener(&self) -> Result<TcpListener, String> {
        self.wire()?;
        Ok(TcpListener::bind((HERE, 0)).expect("a listener"))
    }

    /// A socket that the test's end of the wire has connected to, accepted.
    pub(crate) fn accepted(&self) -> Result<Accepted<'_>, String> {
        let listener = self.listener()?;
        let far = self.call(&listener)?;
        let socket = sockets::accept(&listener);
        let end = End::of(&socket);
        self.until(&end, "SYN_RECV", "ESTABLISHED");
        Ok(Accepted { listener, socket, end, far })
    }

    /// Connects to a listener.
    pub(crate) fn call(&self, listener: &TcpListener) -> Result<Far<'_>, String> {
        Ok(Far::calling(self.wire()?, FAR, port(listener)))
    }
}

/// A client of the wire's peer.
pub(crate) struct Called<'a> {
    pub(crate) socket: Socket,
    pub(crate) end: End,
    pub(crate) far: Far<'a>,
}

impl Called<'_> {
    /// Closes the socket and waits for its FIN.
    pub(crate) fn close(self) -> Self {
        // Closed by hand: what is left of the socket is a socket never used.
        let Self { socket, end, mut far } = self;
        drop(socket);
        far.wait_for_fin();
        Self { socket: tcp(), end, far }
    }

    /// The same, with the FIN acknowledged.
    pub(crate) fn close_to_fin_wait2(self, stage: &Stage<'_>) -> Self {
        let mut closed = self.close();
        closed.far.send(ACK);
        stage.until(&closed.end, "FIN_WAIT2", "FIN_WAIT2");
        closed
    }

    pub(crate) fn told(&self) -> Driven {
        known(&[self.end])
    }

    /// The same; the socket stays open until all is told.
    pub(crate) fn kept(self, stage: &Stage<'_>) -> Driven {
        stage.keep(self.socket);
        known(&[self.end])
    }
}

/// A server of the wire's peer.
pub(crate) struct Accepted<'a> {
    pub(crate) listener: TcpListener,
    pub(crate) socket: TcpStream,
    pub(crate) end: End,
    pub(crate) far: Far<'a>,
}

/// Both ends of a connection that no process has a descriptor of.
pub(crate) fn between(local: SocketAddr, peer: SocketAddr) -> Subject {
    Subject::Between(local, peer)
}

pub(crate) fn known(ends: &[End]) -> Driven {
    Ok(ends.iter().copied().map(Subject::Known).collect())
}

pub(crate) fn tcp() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket")
}

pub(crate) fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("an address").port()
}

/// The peer's address.
pub(crate) fn there(port: u16) -> SocketAddr {
    SocketAddr::from((THERE, port))
}

/// Starts to connect; what the socket is by then.
pub(crate) fn start_connecting(socket: &Socket, port: u16) -> End {
    socket.set_nonblocking(true).expect("a non-blocking socket");
    let error = socket.connect(&there(port).into()).expect_err("nobody has answered");
    assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "{error}");
    End { peer: there(port), ..End::of(socket) }
}

/// A loopback address.
pub(crate) fn localhost(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Waits until the kernel has read a segment from the wire: it has when the socket could be read.
pub(crate) fn wait_for_data(socket: &Socket) {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    eventually("data", || socket.peek(&mut byte).is_ok_and(|length| length > 0));
}

/// Long enough for the kernel to take what lies on the wire.
pub(crate) fn pause() {
    thread::sleep(Duration::from_millis(100));
}
