//! Programs with the faults that a diagnosis must find, in processes with names of their own.
//!
//! `fault NAME COMMAND …`; each prints a line when it is ready, and ends when standard input does.

use std::{
    env,
    ffi::CString,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use socket2::{Domain, Socket, Type};
use tracer_tests::options::set_tcp;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, command @ ..] = &arguments[..] else { panic!("usage: fault NAME COMMAND") };
    rustix::thread::set_name(&CString::new(*name)?)?;
    match command {
        ["keep"] => keep(),
        ["deaf", backlog] => deaf(backlog.parse().expect("a number")),
        ["shared-deaf", port] => shared(port.parse().expect("a port"), false),
        ["shared-keen", port] => shared(port.parse().expect("a port"), true),
        ["defer"] => defer(),
        ["apart"] => apart(),
        ["fork"] => fork(),
        ["download"] => download(),
        ["exhaust", address] => exhaust(address.parse().expect("an address")),
        ["bind-first", addresses @ ..] => {
            let addresses: Result<Vec<SocketAddr>, _> =
                addresses.iter().map(|text| text.parse()).collect();
            bind_first(&addresses.expect("addresses"))
        }
        _ => panic!("unknown command: {command:?}"),
    }
}

fn wait_for_end() -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn listener(backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(backlog)?;
    let listener = TcpListener::from(socket);
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// Accepts, and never closes.
fn keep() -> io::Result<()> {
    let listener = listener(128)?;
    thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
    });
    wait_for_end()
}

/// Never accepts.
fn deaf(backlog: i32) -> io::Result<()> {
    let _listener = listener(backlog)?;
    wait_for_end()
}

/// Listens on a port that others may share. One that is keen accepts, and closes what its peer has
/// closed.
fn shared(port: u16, keen: bool) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(128)?;
    let listener = TcpListener::from(socket);
    println!("{}", listener.local_addr()?);
    if keen {
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || stream?.read_to_end(&mut Vec::new()));
            }
        });
        return wait_for_end();
    }
    wait_for_end()?;
    drop(listener);
    Ok(())
}

/// Lets the kernel wait for the first data of its clients.
fn defer() -> io::Result<()> {
    let listener = listener(128)?;
    set_tcp(&listener, libc::TCP_DEFER_ACCEPT, 60);
    println!("deferring");
    wait_for_end()
}

/// Accepts, and never closes, in a thread with a descriptor table of its own.
fn apart() -> io::Result<()> {
    let work = || {
        // SAFETY: no descriptor that another thread has is used by this one but standard output.
        unsafe { unshare_unsafe(UnshareFlags::FILES) }?;
        let listener = listener(128)?;
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
        Ok::<_, io::Error>(())
    };
    thread::spawn(work);
    wait_for_end()
}

/// Accepts one, forks and closes its own copy; the child keeps the other and prints its number.
fn fork() -> io::Result<()> {
    let listener = listener(8)?;
    let (stream, _) = listener.accept()?;
    // SAFETY: this process has one thread; the child only waits.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", io::Error::last_os_error());
    if child == 0 {
        drop(listener);
        // Until the parent has ended, which holds the other end of the pipe's writer: the test.
        wait_for_end()?;
        drop(stream);
        return Ok(());
    }
    drop(stream);
    println!("{child}");
    wait_for_end()?;
    // SAFETY: the child has the same standard input: it ends as well.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    Ok(())
}

/// Accepts one, reads to its end, and goes on sending slowly.
fn download() -> io::Result<()> {
    let listener = listener(8)?;
    let (mut stream, _) = listener.accept()?;
    stream.read_to_end(&mut Vec::new())?;
    println!("sending");
    thread::spawn(move || {
        while stream.write_all(b"a little more\n").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    wait_for_end()
}

/// Connects until it fails, a few times more, and keeps the connections; prints their number.
fn exhaust(address: SocketAddr) -> io::Result<()> {
    let mut kept = Vec::new();
    while let Ok(stream) = TcpStream::connect(address) {
        kept.push(stream);
    }
    for _ in 0..4 {
        let error = TcpStream::connect(address).expect_err("no port is free");
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL), "{error}");
    }
    println!("{}", kept.len());
    wait_for_end()
}

/// Binds to a port of the kernel's choice before it connects, in turn to each address, until it
/// fails; prints the number of connections.
fn bind_first(addresses: &[SocketAddr]) -> io::Result<()> {
    let mut kept = Vec::new();
    for address in addresses.iter().cycle() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Err(error) = socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()) {
            assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE), "{error}");
            break;
        }
        socket.connect(&(*address).into())?;
        kept.push(socket);
    }
    println!("{}", kept.len());
    wait_for_end()
}
