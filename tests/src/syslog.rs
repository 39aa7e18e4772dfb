//! Receivers of syslog messages over TCP that are not as one would like.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::SockRef;

/// What a receiver does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Closes it after so many messages.
    CloseAfter(usize),
    /// Resets it after so many messages (SO_LINGER).
    ResetAfter(usize),
    /// Keeps it and reads nothing.
    NeverRead,
}

/// A receiver in the namespace of the thread that starts it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Receiver {
    /// Listens on a port of loopback.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&over);
        let thread = thread::spawn(move || serve(&listener, manner, &theirs));
        Self { address, over, thread }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; the messages that it has read as a whole, in order.
    pub fn finish(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        self.thread.join().expect("a receiver")
    }
}

fn serve(listener: &TcpListener, manner: Manner, over: &AtomicBool) -> Vec<String> {
    let (mut messages, mut kept) = (Vec::new(), Vec::new());
    loop {
        let (mut stream, _) = listener.accept().expect("a connection");
        if over.load(Ordering::Relaxed) {
            return messages;
        }
        match manner {
            Manner::NeverRead => kept.push(stream),
            Manner::CloseAfter(most) => messages.extend(read(&mut stream, most)),
            Manner::ResetAfter(most) => {
                let some = read(&mut stream, most);
                if some.len() >= most {
                    let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    linger.expect("a socket");
                }
                messages.extend(some);
            }
        }
    }
}

/// Reads until there are so many messages (RFC 6587, octet counting), or the end.
fn read(stream: &mut TcpStream, most: usize) -> Vec<String> {
    let (mut bytes, mut messages) = (Vec::new(), Vec::new());
    let mut piece = [0; 2000];
    while messages.len() < most {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
        while let Some(space) = bytes.iter().position(|&byte| byte == b' ') {
            let digits = str::from_utf8(&bytes[..space]).expect("a number");
            let end = space + 1 + digits.parse::<usize>().expect("a number");
            if bytes.len() < end {
                break;
            }
            let message: Vec<u8> = bytes.drain(..end).skip(space + 1).collect();
            messages.push(String::from_utf8(message).expect("text"));
        }
    }
    messages
}
