//! One end of a connection, in a process with a name of its own.
//!
//! `peer NAME connect ADDRESS`, `peer NAME await ADDRESS` (connects when a line comes from standard
//! input), `peer NAME share ADDRESS` (the program `sleep` holds the socket too), `peer NAME serve ADDRESS`
//! (prints its address, takes one connection) and `peer NAME spin` (keeps a CPU busy). All but the
//! last print their connection as `COOKIE LOCAL PEER`, and close it and end when standard input
//! ends.

use std::{
    env,
    ffi::CString,
    hint,
    io::{self, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
};

use rustix::io::FdFlags;
use tracer_tests::sockets::End;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, command @ ..] = &arguments[..] else { panic!("usage: peer NAME COMMAND") };
    rustix::thread::set_name(&CString::new(*name)?)?;
    match command {
        ["connect", address] => {
            let address: SocketAddr = address.parse().expect("an address");
            hold(&TcpStream::connect(address)?)
        }
        ["await", address] => {
            let address: SocketAddr = address.parse().expect("an address");
            io::stdin().read_line(&mut String::new())?;
            hold(&TcpStream::connect(address)?)
        }
        ["share", address] => {
            let address: SocketAddr = address.parse().expect("an address");
            let stream = TcpStream::connect(address)?;
            rustix::io::fcntl_setfd(&stream, FdFlags::empty())?;
            let mut sleep = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn()?;
            let held = hold(&stream);
            sleep.kill()?;
            sleep.wait()?;
            held
        }
        ["serve", address] => {
            let listener = TcpListener::bind(address)?;
            println!("{}", listener.local_addr()?);
            let (stream, _) = listener.accept()?;
            hold(&stream)
        }
        ["spin"] => loop {
            hint::spin_loop();
        },
        _ => panic!("unknown command: {command:?}"),
    }
}

/// Keeps the connection until standard input ends; the caller closes it.
fn hold(stream: &TcpStream) -> io::Result<()> {
    let End { cookie, local, peer, ordinal: _ } = End::of(stream);
    println!("{cookie} {local} {peer}");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
