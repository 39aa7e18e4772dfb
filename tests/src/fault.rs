//! Servers with faults: runs the program `fault` of this package.

use std::net::{SocketAddr, TcpStream};

use crate::{kernel, peer::Peer, sockets::eventually};

/// Starts `program` (`env!("CARGO_BIN_EXE_fault")`) under another name; it, and the address on
/// which it listens.
pub fn server(program: &str, name: &str, arguments: &[&str]) -> (Peer, SocketAddr) {
    let mut server = Peer::start(program, name, arguments);
    let address = server.answer().parse().expect("the address of the listener");
    (server, address)
}

/// Clients that come and go; returns when the server's ends are in CLOSE_WAIT.
pub fn come_and_go(address: SocketAddr, count: usize) {
    let before = close_waits();
    let connect = |_| TcpStream::connect(address).expect("a connection");
    let clients: Vec<TcpStream> = (0..count).map(connect).collect();
    drop(clients);
    eventually("all in CLOSE_WAIT", || close_waits() == before + count);
}

/// Sockets in CLOSE_WAIT of the calling thread's namespace.
pub fn close_waits() -> usize {
    kernel::sockets().iter().filter(|socket| socket.state == "CLOSE_WAIT").count()
}

/// Descriptors of a process's sockets in CLOSE_WAIT, as `ss` tells them.
pub fn descriptors(name: &str) -> Vec<u64> {
    let text = kernel::ss(&["-tnpH", "state", "close-wait"]);
    let of_process = text.lines().filter(|line| line.contains(&format!("\"{name}\"")));
    let fd = |line: &str| line.split("fd=").nth(1)?.split(')').next()?.parse().ok();
    let mut fds: Vec<u64> = of_process.filter_map(fd).collect();
    fds.sort_unstable();
    fds
}
