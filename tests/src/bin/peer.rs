//! One end of a connection, in a process with a name of its own.
//!
//! `peer NAME connect ADDRESS`, `peer NAME serve` (prints its address, takes one connection) and
//! `peer NAME spin` (keeps a CPU busy). The first two print their connection as
//! `COOKIE LOCAL PEER`, and close it and end when standard input ends.

use std::{
    env,
    ffi::CString,
    hint,
    io::{self, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

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
        ["serve"] => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
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
