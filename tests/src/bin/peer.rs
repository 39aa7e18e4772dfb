//! One end of a connection, in a process with a name of its own.
//!
//! `peer NAME connect ADDRESS`, `peer NAME await ADDRESS` (connects when a line comes from standard
//! input), `peer NAME share ADDRESS` (the program `sleep` holds the socket too) and `peer NAME serve
//! ADDRESS` (prints its address, takes one connection; `later` does when a line comes) print their
//! connection as `COOKIE LOCAL PEER`, and close it and end when standard input ends. `peer NAME crowd COUNT` makes so many
//! connections with itself, prints the count and holds them as long. `peer NAME storm ADDRESS
//! COUNT` makes so many processes, one after the other, each of which connects, prints its number
//! and its port, closes and ends; `peer NAME spin` keeps a CPU busy; `peer NAME take` takes one
//! connection from the listener that is its standard input, closes it and ends; `peer NAME ring
//! ADDRESS` is `serve` by io_uring.

use std::{
    env,
    ffi::CString,
    hint,
    io::{self, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _},
    process::{Command, Stdio},
    ptr,
};

use io_uring::{IoUring, opcode, types};
use rustix::{
    io::FdFlags,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tracer_tests::sockets::End;

#[expect(clippy::too_many_lines, reason = "one arm a command")]
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
        ["crowd", count] => {
            let _crowd = crowd(count.parse().expect("a number"))?;
            println!("{count}");
            io::stdin().read_to_end(&mut Vec::new()).map(drop)
        }
        [when @ ("serve" | "later"), address] => {
            if *when == "later" {
                io::stdin().read_line(&mut String::new())?;
            }
            let listener = TcpListener::bind(address)?;
            println!("{}", listener.local_addr()?);
            let (stream, _) = listener.accept()?;
            hold(&stream)
        }
        ["ring", address] => {
            let listener = TcpListener::bind(address)?;
            println!("{}", listener.local_addr()?);
            hold(&accept_by_ring(&listener)?)
        }
        ["storm", address, count] => {
            let address: SocketAddr = address.parse().expect("an address");
            (0..count.parse().expect("a number")).try_for_each(|_| flash(address))
        }
        ["take"] => {
            let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
            listener.accept().map(drop)
        }
        ["spin"] => loop {
            hint::spin_loop();
        },
        _ => panic!("unknown command: {command:?}"),
    }
}

/// A process that lives for one connection.
fn flash(address: SocketAddr) -> io::Result<()> {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            let stream = TcpStream::connect(address)?;
            println!("{} {}", std::process::id(), stream.local_addr()?.port());
            drop(stream);
            std::process::exit(0);
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is a place to write to.
            let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!((ended, status), (child, 0), "fork: {}", io::Error::last_os_error());
            Ok(())
        }
    }
}

/// Without a system call that returns the connection.
fn accept_by_ring(listener: &TcpListener) -> io::Result<TcpStream> {
    let mut ring = IoUring::new(1)?;
    let (from, nowhere) = (types::Fd(listener.as_raw_fd()), ptr::null_mut());
    let accept = opcode::Accept::new(from, nowhere, ptr::null_mut()).build();
    // SAFETY: the listener is open until the ring has answered, and there is no address to write.
    unsafe { ring.submission().push(&accept) }.expect("room for one");
    ring.submit_and_wait(1)?;
    let answer = ring.completion().next().expect("an answer").result();
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(-answer));
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { TcpStream::from_raw_fd(answer) })
}

/// Both ends of so many connections.
fn crowd(count: usize) -> io::Result<Vec<TcpStream>> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut ends = Vec::with_capacity(2 * count);
    for _ in 0..count {
        ends.push(TcpStream::connect(address)?);
        ends.push(listener.accept()?.0);
    }
    Ok(ends)
}

/// Keeps the connection until standard input ends; the caller closes it.
fn hold(stream: &TcpStream) -> io::Result<()> {
    let End { cookie, local, peer, ordinal: _ } = End::of(stream);
    println!("{cookie} {local} {peer}");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
