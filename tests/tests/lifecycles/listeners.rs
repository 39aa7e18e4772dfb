//! Listeners, and what waits in their queues.

use std::net::TcpListener;

use rustix::net::Shutdown;
use tracer_tests::{
    far::Far,
    segment::flag::{ACK, FIN, RST},
    sockets::{self, End, Path},
    wire::HERE,
};

use crate::{
    stage::{Driven, FAR, Stage, Subject, between, known, pause, port, tcp, there},
    table::{Row, rows},
};

pub(crate) const ROWS: &[Row] = rows![
    "listener", "listen(), close()", listener,
        ["listener", "CLOSED LISTEN CLOSED", "", ""];
    "shutdown() of a listener, then listen() again",
        "listen(), shutdown(SHUT_RD), listen(), close()", shut_down,
        ["listener", "CLOSED LISTEN CLOSED LISTEN CLOSED", "", ""];
    "AF_UNSPEC on a listener, then listen() again",
        "listen(), connect() with AF_UNSPEC, listen(), close()", disconnected,
        ["listener", "CLOSED LISTEN CLOSED LISTEN CLOSED", "", ""];
    "listener closed before accept()",
        "the peer connects; nobody accepts; close() of the listener", unaccepted,
        ["server", "LISTEN SYN_RECV ESTABLISHED CLOSED",
            "reset_sent_unaccepted, local", "RST sent in CLOSED"];
    "listener closed before accept(), the peer gone",
        "the same after the peer's FIN", unaccepted_in_close_wait,
        ["server", "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSED",
            "reset_sent_unaccepted, peer", "RST sent in CLOSED"];
    "accept queue full",
        "backlog 0, two peers in the handshake: the ACK of the second is dropped",
        |stage| queue_full(stage, false),
        ["server", "LISTEN SYN_RECV ESTABLISHED", "", ""];
    "accept queue full, tcp_abort_on_overflow",
        "the same with tcp_abort_on_overflow 1: the second is answered with RST, which is told of the listener",
        |stage| queue_full(stage, true),
        ["server", "LISTEN SYN_RECV ESTABLISHED", "", ""],
        ["listener", "CLOSED LISTEN", "", "RST sent in LISTEN"];
];

fn listener(stage: &Stage<'_>) -> Driven {
    let listener = sockets::listen(Path::V4);
    let end = End::of(&listener);
    stage.until(&end, "CLOSED", "LISTEN");
    drop(listener);
    known(&[end])
}

fn shut_down(stage: &Stage<'_>) -> Driven {
    listen_twice(stage, |listener| {
        rustix::net::shutdown(listener, Shutdown::Read).expect("a shut listener");
    })
}

fn disconnected(stage: &Stage<'_>) -> Driven {
    listen_twice(stage, |listener| {
        rustix::net::connect_unspec(listener).expect("a disconnected listener");
    })
}

fn listen_twice(stage: &Stage<'_>, end_it: fn(&TcpListener)) -> Driven {
    // A port of its own, which it keeps.
    let socket = tcp();
    socket.bind(&crate::stage::localhost(5000).into()).expect("a free port");
    socket.listen(1).expect("a listener");
    let first = End::of(&socket);
    let listener = TcpListener::from(socket);
    end_it(&listener);
    stage.until(&first, "LISTEN", "CLOSED");
    rustix::net::listen(&listener, 1).expect("a listener again");
    drop(listener);
    known(&[first])
}

fn unaccepted(stage: &Stage<'_>) -> Driven {
    let listener = stage.listener()?;
    stage.call(&listener)?;
    let (local, peer) = (listener.local_addr().expect("an address"), there(FAR));
    sockets::eventually("a connection", || is_queued(&listener));
    drop(listener);
    Ok(vec![between(local, peer)])
}

fn unaccepted_in_close_wait(stage: &Stage<'_>) -> Driven {
    let listener = stage.listener()?;
    let mut far = stage.call(&listener)?;
    let (local, peer) = (listener.local_addr().expect("an address"), there(FAR));
    far.send(FIN | ACK);
    far.wait_for("the acknowledgement of the FIN", ACK);
    drop(listener);
    Ok(vec![between(local, peer)])
}

/// Whether a connection waits to be accepted.
fn is_queued(listener: &TcpListener) -> bool {
    let mut polled = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&now)).is_ok_and(|ready| ready == 1)
}

fn queue_full(stage: &Stage<'_>, abort: bool) -> Driven {
    stage.set("tcp_abort_on_overflow", if abort { "1" } else { "0" });
    let wire = stage.wire()?;
    let socket = tcp();
    let any = std::net::SocketAddr::from((HERE, 0));
    socket.bind(&any.into()).expect("a free port");
    // With room for both, until they are in the handshake.
    socket.listen(16).expect("a listener");
    let listener = TcpListener::from(socket);
    let mut fars = [FAR, FAR + 1].map(|own| Far::new(wire, own, port(&listener)));
    for far in &mut fars {
        far.half_open();
    }
    rustix::net::listen(&listener, 0).expect("a listener with less room");
    for far in &mut fars {
        far.send(ACK);
        sockets::eventually("a connection", || is_queued(&listener));
    }
    let local = listener.local_addr().expect("an address");
    let mut subjects = vec![between(local, there(FAR))];
    if abort {
        fars[1].wait_for("an RST", RST);
        subjects.push(Subject::Known(End::of(&listener)));
    } else {
        pause();
    }
    stage.keep(listener);
    Ok(subjects)
}
