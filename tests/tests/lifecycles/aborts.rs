//! This end breaks off.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::Socket;
use tracer_tests::{
    options::set_tcp,
    segment::flag::{ACK, FIN},
    sockets::{self, End, Path},
};

use crate::{
    stage::{Called, Driven, FAR, Stage, known, localhost, start_connecting, tcp, wait_for_data},
    table::{Row, rows},
};

const ABORTED: &str = "CLOSED SYN_SENT ESTABLISHED CLOSED";

pub(crate) const ROWS: &[Row] = rows![
    "SO_LINGER 0", "close() with SO_LINGER and a time of zero", linger_zero,
        ["client", ABORTED, "reset_sent_linger0, local", "RST sent in CLOSED"];
    "SO_LINGER 0 in CLOSE_WAIT", "the same after the peer's FIN", linger_zero_in_close_wait,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            "reset_sent_linger0, peer", "RST sent in CLOSED"];
    "close() with unread data", "data of the peer is not read before close()", unread,
        ["client", ABORTED, "reset_sent_unread_data, local", "RST sent in CLOSED"];
    "data after close()", "close(); the peer sends data, without acknowledging the FIN", late_data,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "reset_sent_data_after_close, local", "RST sent in CLOSED"];
    "TCP_LINGER2 below 0", "close() with TCP_LINGER2 -1; the peer acknowledges the FIN", no_linger2,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSED",
            "reset_sent_linger0, local", "RST sent in CLOSED"];
    "close() in SYN_SENT", "close() before the peer has answered", close_in_syn_sent,
        ["client", "CLOSED SYN_SENT CLOSED", "aborted_locally, local", ""];
    "no free local port", "connect() when all ports of ip_local_port_range are in use", no_port,
        ["client", "CLOSED SYN_SENT CLOSED", "no_local_port, local", ""];
    "no route", "connect() fails with ENETUNREACH", no_route;
    "AF_UNSPEC in ESTABLISHED, then connect() again",
        "connect() with AF_UNSPEC, then another connect() on the same socket", disconnect,
        ["client", ABORTED, "disconnected, local", "RST sent in CLOSED"],
        ["client", "CLOSED SYN_SENT ESTABLISHED", "", ""];
    "AF_UNSPEC in SYN_SENT",
        "connect() with AF_UNSPEC before the peer has answered", disconnect_in_syn_sent,
        ["client", "CLOSED SYN_SENT CLOSED", "disconnected, local", ""];
    "TCP_REPAIR", "close() in repair mode: nothing is sent", repair,
        ["client", ABORTED, "aborted_locally, local", ""];
];

fn never(socket: &Socket) {
    socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

fn linger_zero(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, .. } = stage.connected_with(never)?;
    drop(socket);
    known(&[end])
}

fn linger_zero_in_close_wait(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, mut far } = stage.connected_with(never)?;
    far.send(FIN | ACK);
    stage.until(&end, "ESTABLISHED", "CLOSE_WAIT");
    drop(socket);
    known(&[end])
}

fn unread(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, mut far } = stage.connected()?;
    far.send_data(ACK, b"never read");
    wait_for_data(&socket);
    drop(socket);
    known(&[end])
}

fn late_data(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close();
    // The FIN is still on its way for the peer.
    called.far.expected = called.far.last.sequence;
    called.far.send_data(ACK, b"too late");
    called.told()
}

fn no_linger2(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected_with(|socket| set_tcp(socket, libc::TCP_LINGER2, -1))?.close();
    called.far.send(ACK);
    called.told()
}

fn close_in_syn_sent(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, .. } = stage.connecting()?;
    drop(socket);
    known(&[end])
}

fn no_port(stage: &Stage<'_>) -> Driven {
    stage.set("ip_local_port_range", "40000 40000");
    let taken = tcp();
    taken.bind(&localhost(40_000).into()).expect("the only port");
    let listener = std::net::TcpListener::bind(localhost(5000)).expect("a listener");
    let socket = tcp();
    let error = socket.connect(&localhost(5000).into()).expect_err("no port is left");
    assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL), "{error}");
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let end = End { cookie: sockets::cookie(&socket), ordinal: 1, local, peer: localhost(5000) };
    stage.keep((taken, listener, socket));
    known(&[end])
}

fn no_route(stage: &Stage<'_>) -> Driven {
    let nowhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 80));
    let error = tcp().connect(&nowhere.into()).expect_err("no route leads there");
    assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH), "{error}");
    // What happens later is told later.
    let listener = sockets::listen(Path::V4);
    stage.until(&End::of(&listener), "CLOSED", "LISTEN");
    known(&[])
}

fn disconnect(stage: &Stage<'_>) -> Driven {
    let Called { socket, end: first, .. } = stage.connected()?;
    rustix::net::connect_unspec(&socket).expect("disconnected");
    let again = start_connecting(&socket, FAR).again(2);
    let mut far = tracer_tests::far::Far::called(stage.wire()?, FAR);
    far.answer();
    stage.keep(socket);
    known(&[first, again])
}

fn disconnect_in_syn_sent(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, .. } = stage.connecting()?;
    rustix::net::connect_unspec(&socket).expect("disconnected");
    stage.keep(socket);
    known(&[end])
}

fn repair(stage: &Stage<'_>) -> Driven {
    let Called { mut socket, end, .. } = stage.connected()?;
    socket.write_all(b"unacknowledged").expect("bytes for the kernel");
    set_tcp(&socket, libc::TCP_REPAIR, 1);
    drop(socket);
    known(&[end])
}
