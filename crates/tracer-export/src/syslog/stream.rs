//! Messages over TCP, each delivered or known to be lost.
//!
//! What the peer's kernel acknowledges, its program need not have read. It has if the peer closes
//! in order: a socket that is closed with unread data sends RST instead (RFC 2525, section 2.17).
//! So messages are remembered until that is proven, or so much has been acknowledged after them
//! that no receive buffer holds them any more. What is not proven when a connection ends is sent
//! again, and may arrive twice. After an RST, fewer messages are sent on a connection before the
//! peer is asked for proof, by closing this direction: a receiver that resets each connection after
//! some messages would otherwise get the same ones for ever. Left out: TLS.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    ioctl::{Getter, ioctl},
    net::sockopt::set_tcp_user_timeout,
};

use super::pause::{Pause, SHORTEST};

/// Bytes that wait to be written; more are not taken.
const ROOM: usize = 64 << 10;
/// After this many further acknowledged bytes a message has been read: no receive buffer holds more, unless
/// its owner has asked for a larger one.
const UNREAD: u64 = 1 << 20;
/// A peer that acknowledges nothing for so long is gone (TCP_USER_TIMEOUT), milliseconds.
const GONE: u32 = 30_000;
/// Interval between two checks of what has been acknowledged, at the end.
const LOOK: Duration = Duration::from_millis(20);
/// Messages on a connection after one that was reset; half of them after each further one.
const CAUTIOUS: usize = 16;
/// The number doubles after this many connections that were closed in order, up to the one below.
const TRUST: u32 = 8;
const TRUSTED: usize = 1 << 12;

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// The peer has read all that it acknowledged.
    InOrder,
    /// Nobody knows what it has read.
    Reset(io::Error),
}

/// One connection. Messages are counted from the first of [`Stream::messages`].
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Messages that are written as a whole, and bytes of the next one.
    whole: usize,
    part: usize,
    /// Messages that are acknowledged as a whole.
    acknowledged: usize,
    /// Bytes written; those of acknowledged messages; those of messages that are forgotten.
    written: u64,
    acknowledged_bytes: u64,
    forgotten_bytes: u64,
    /// Messages written, the forgotten ones included.
    sent: usize,
    /// Nothing more is sent: the peer is asked for proof.
    is_shut: bool,
}

/// A stream of messages to one receiver.
pub(super) struct Stream {
    connect: Box<dyn Fn() -> io::Result<TcpStream> + Send>,
    connection: Option<Connection>,
    pause: Pause,
    /// Framed, in order; what is proven to be read is forgotten.
    messages: VecDeque<Box<[u8]>>,
    /// Messages on a connection before proof is asked for, where connections have been reset.
    batch: Option<usize>,
    /// Connections since that grew.
    proofs: u32,
}

impl Stream {
    /// Connects.
    pub(super) fn open(
        connect: impl Fn() -> io::Result<TcpStream> + Send + 'static,
    ) -> io::Result<Self> {
        let connection = Some(Connection::new(connect()?)?);
        let (pause, messages) = (Pause::none(), VecDeque::new());
        let connect = Box::new(connect);
        Ok(Self { connect, connection, pause, messages, batch: None, proofs: 0 })
    }

    /// Takes a message, or fails with `WouldBlock` where it has to be retried.
    pub(super) fn push(&mut self, message: &[u8]) -> io::Result<()> {
        self.advance()?;
        if self.unwritten() >= ROOM {
            self.wait(SHORTEST);
            self.advance()?;
            if self.unwritten() >= ROOM {
                return Err(io::Error::new(ErrorKind::WouldBlock, "it takes no more messages"));
            }
        }
        // RFC 6587, section 3.4.1: octet counting.
        let length = format!("{} ", message.len());
        self.messages.push_back([length.as_bytes(), message].concat().into());
        // The message is taken; what is wrong is said with the next one.
        let _ = self.advance();
        Ok(())
    }

    /// Nothing more comes for now.
    pub(super) fn rest(&mut self) -> io::Result<()> {
        if self.is_idle() {
            return Ok(());
        }
        self.advance()?;
        if self.batch.is_some() {
            self.ask_for_proof();
        }
        Ok(())
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_idle(&self) -> bool {
        let acknowledged = self.connection.as_ref().map_or(0, |one| one.acknowledged);
        self.messages.len() == acknowledged && (self.batch.is_none() || acknowledged == 0)
    }

    /// Waits for proof that all has been read; how many messages there is none for.
    pub(super) fn settle(&mut self, deadline: Instant) -> u64 {
        while !self.messages.is_empty() && Instant::now() < deadline {
            if self.advance().is_ok() {
                self.ask_for_proof();
            }
            if !self.messages.is_empty() {
                self.wait(LOOK);
            }
        }
        let lost = self.messages.len() as u64;
        if lost > 0 {
            self.messages.clear();
            self.connection = None;
        }
        lost
    }

    /// Connects if that is due, writes, and handles what the peer has sent.
    fn advance(&mut self) -> io::Result<()> {
        loop {
            let connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.reconnect()?,
            };
            let connection = self.connection.insert(connection);
            match connection.exchange(&mut self.messages, self.batch) {
                Ok(()) => return Ok(()),
                Err(end) => self.ended(end)?,
            }
            if self.messages.is_empty() {
                return Ok(());
            }
        }
    }

    fn reconnect(&mut self) -> io::Result<Connection> {
        self.pause.is_over()?;
        (self.connect)().and_then(Connection::new).map_err(|error| self.pause.failed(&error))
    }

    /// What is proven is forgotten, the rest sent again: at once if the connection was of use.
    fn ended(&mut self, end: End) -> io::Result<()> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        match end {
            End::InOrder if connection.acknowledged > 0 => {
                self.messages.drain(..connection.acknowledged);
                self.pause = Pause::none();
                self.proofs += 1;
                if self.proofs >= TRUST {
                    self.proofs = 0;
                    self.batch = self.batch.map(|few| few * 2).filter(|few| *few <= TRUSTED);
                }
                Ok(())
            }
            End::InOrder => {
                let error = io::Error::new(ErrorKind::ConnectionAborted, "it closes connections");
                Err(self.pause.failed(&error))
            }
            End::Reset(error) => {
                let most = self.batch.unwrap_or(2 * CAUTIOUS).min(connection.sent);
                if most > 0 {
                    self.batch = Some((most / 2).max(1));
                    self.proofs = 0;
                }
                Err(self.pause.failed(&error))
            }
        }
    }

    fn ask_for_proof(&mut self) {
        if let Some(connection) = &mut self.connection
            && connection.whole == self.messages.len()
        {
            connection.shut();
        }
    }

    fn unwritten(&self) -> usize {
        let whole = self.connection.as_ref().map_or(0, |connection| connection.whole);
        self.messages.iter().skip(whole).map(|message| message.len()).sum()
    }

    /// Until something happens on the connection.
    fn wait(&self, time: Duration) {
        let Some(Connection { stream, is_shut, .. }) = &self.connection else {
            return thread::sleep(time);
        };
        let writes = !is_shut && self.unwritten() > 0;
        let flags = if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        // Interrupted: the caller looks again.
        let _ = poll(&mut [PollFd::new(stream, flags)], Some(&time));
    }
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        set_tcp_user_timeout(&stream, GONE)?;
        Ok(Self {
            stream,
            whole: 0,
            part: 0,
            acknowledged: 0,
            written: 0,
            acknowledged_bytes: 0,
            forgotten_bytes: 0,
            sent: 0,
            is_shut: false,
        })
    }

    fn exchange(
        &mut self,
        messages: &mut VecDeque<Box<[u8]>>,
        batch: Option<usize>,
    ) -> Result<(), End> {
        // A FIN acknowledges as well, so it is looked for first.
        let end = self.end();
        self.look(messages).map_err(End::Reset)?;
        if let Some(end) = end {
            return Err(end);
        }
        if let Err(error) = self.write(messages, batch) {
            let end = Self::ended_by(error);
            self.look(messages).map_err(End::Reset)?;
            return Err(end);
        }
        if batch.is_some_and(|most| self.sent >= most) {
            self.shut();
        }
        Ok(())
    }

    /// How the peer has ended it. What comes after a FIN does not hide that: once the kernel has
    /// seen it, reading ends (`SOCK_DONE`) also where an RST has followed.
    fn end(&mut self) -> Option<End> {
        // Nobody is asked anything: what comes is passed over, but not for ever.
        for _ in 0..64 {
            match self.stream.read(&mut [0; 512]) {
                Ok(0) => return Some(End::InOrder),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => return Some(End::Reset(error)),
            }
        }
        None
    }

    /// The same after an error of write(), which takes the socket's error: reading would then show
    /// the end of the data, whatever it was. EPIPE is of a FIN, also of one before an RST
    /// (tcp_reset() in net/ipv4/tcp_input.c).
    fn ended_by(error: io::Error) -> End {
        if error.kind() == ErrorKind::BrokenPipe { End::InOrder } else { End::Reset(error) }
    }

    fn write(&mut self, messages: &VecDeque<Box<[u8]>>, batch: Option<usize>) -> io::Result<()> {
        while !self.is_shut
            && batch.is_none_or(|most| self.sent < most)
            && let Some(message) = messages.get(self.whole)
        {
            match self.stream.write(&message[self.part..]) {
                Ok(count) => {
                    self.written += count as u64;
                    self.part += count;
                    if self.part == message.len() {
                        self.part = 0;
                        self.whole += 1;
                        self.sent += 1;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Notes what is acknowledged, and forgets what must have been read.
    fn look(&mut self, messages: &mut VecDeque<Box<[u8]>>) -> io::Result<()> {
        // SAFETY: SIOCOUTQ, which has the number of TIOCOUTQ, writes an int (tcp_ioctl() in
        // net/ipv4/tcp.c).
        let queued =
            unsafe { ioctl(&self.stream, Getter::<{ libc::TIOCOUTQ as _ }, libc::c_int>::new())? };
        // A FIN takes a sequence number.
        let queued = u64::try_from(queued).unwrap_or(0).saturating_sub(self.is_shut.into());
        let acknowledged = self.written.saturating_sub(queued);
        while self.acknowledged < self.whole {
            let next = self.acknowledged_bytes + messages[self.acknowledged].len() as u64;
            if next > acknowledged {
                break;
            }
            self.acknowledged += 1;
            self.acknowledged_bytes = next;
        }
        while self.acknowledged_bytes - self.forgotten_bytes > UNREAD
            && let Some(message) = messages.pop_front()
        {
            self.forgotten_bytes += message.len() as u64;
            self.acknowledged -= 1;
            self.whole -= 1;
        }
        Ok(())
    }

    /// Sends FIN after what has been written.
    fn shut(&mut self) {
        if !self.is_shut {
            // Where it has ended already, that shows next.
            let _ = self.stream.shutdown(Shutdown::Write);
            self.is_shut = true;
        }
    }
}

#[cfg(test)]
mod tests;
