//! Ends of connections in processes of their own: runs the program `peer` of this package.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{leashed::Leashed, sockets::End, tracer};

/// A running peer; killed when dropped.
#[derive(Debug)]
pub struct Peer {
    child: Leashed,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `program` (`env!("CARGO_BIN_EXE_peer")`) under another name.
    pub fn start(program: &str, name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.arg(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Leashed::start(&mut command);
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, orders, answers }
    }

    /// A client of `address`; returns when it is connected.
    pub fn client(program: &str, name: &str, address: SocketAddr) -> (Self, End) {
        let mut peer = Self::start(program, name, &["connect", &address.to_string()]);
        let end = peer.end();
        (peer, end)
    }

    /// A server that takes one connection; returns when it listens.
    pub fn server(program: &str, name: &str) -> (Self, SocketAddr) {
        Self::server_at(program, name, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same at an address.
    pub fn server_at(program: &str, name: &str, address: SocketAddr) -> (Self, SocketAddr) {
        let mut peer = Self::start(program, name, &["serve", &address.to_string()]);
        let address = peer.answer().parse().expect("the address of the listener");
        (peer, address)
    }

    /// A server that takes one connection by io_uring; returns when it listens.
    pub fn ring(program: &str, name: &str, address: SocketAddr) -> Self {
        let mut peer = Self::start(program, name, &["ring", &address.to_string()]);
        assert_eq!(peer.answer(), address.to_string());
        peer
    }

    /// One that holds both ends of `count` connections; returns when it does.
    pub fn crowd(program: &str, name: &str, count: usize) -> Self {
        let mut peer = Self::start(program, name, &["crowd", &count.to_string()]);
        assert_eq!(peer.answer(), count.to_string(), "the limit of descriptors is too low");
        peer
    }

    /// Its process id.
    pub fn pid(&self) -> u64 {
        u64::from(self.child.id())
    }

    /// The next socket that it reports.
    pub fn end(&mut self) -> End {
        let answer = self.answer();
        let fields: Vec<&str> = answer.split_whitespace().collect();
        let [cookie, local, peer] = fields[..] else { panic!("the peer says {answer:?}") };
        End {
            cookie: cookie.parse().expect("a cookie"),
            ordinal: 1,
            local: local.parse().expect("an address"),
            peer: peer.parse().expect("an address"),
        }
    }

    /// Lets one that waits go on.
    pub fn go(&mut self) {
        let orders = self.orders.as_mut().expect("not closed yet");
        orders.write_all(b"go\n").expect("a peer that waits");
    }

    /// Makes it close its connection and end.
    pub fn close(mut self) {
        drop(self.orders.take());
        let status = tracer::wait(&mut self.child);
        assert!(status.success(), "the peer ended with {status}");
    }

    /// The next line that it prints.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer of the peer");
        line.trim().to_owned()
    }
}
