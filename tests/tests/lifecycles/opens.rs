//! How connections begin.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use socket2::Socket;
use tracer_tests::{
    far::Far,
    options::set_tcp,
    segment::flag::{ACK, FIN, SYN},
    sockets::{self, End},
};

use crate::{
    stage::{Accepted, Driven, FAR, Stage, between, known, localhost, port, tcp, there},
    table::{Row, rows},
};

const CLIENT: &str = "CLOSED SYN_SENT ESTABLISHED";
const SERVER: &str = "LISTEN SYN_RECV ESTABLISHED";

pub(crate) const ROWS: &[Row] = rows![
    "active open", "connect(), the peer answers", active,
        ["client", CLIENT, "", ""];
    "active open at the second SYN",
        "connect(), the peer answers the second SYN only", active_again,
        ["client", CLIENT, "", "SYN again 1"];
    "passive open", "the peer connects to a listener", passive,
        ["server", SERVER, "", ""];
    "passive open at the second SYN+ACK",
        "the peer acknowledges the second SYN+ACK only", passive_again,
        ["server", SERVER, "", "SYN+ACK again 1"];
    "passive open with a SYN cookie", "the same as passive open, with tcp_syncookies 2", syn_cookie,
        ["server", SERVER, "", ""];
    "simultaneous open, SYN+ACK",
        "the SYNs cross; the peer answers ours with SYN+ACK",
        |stage| simultaneous(stage, SYN | ACK),
        ["client", "CLOSED SYN_SENT SYN_RECV ESTABLISHED", "", ""];
    "simultaneous open, ACK",
        "the SYNs cross; the peer acknowledges our SYN+ACK", |stage| simultaneous(stage, ACK),
        ["client", "CLOSED SYN_SENT SYN_RECV ESTABLISHED", "", ""];
    "self connect", "connect() to the own address and port; close()", self_connect,
        ["client", "CLOSED SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT(CLOSED)",
            "", ""];
    "Fast Open, server",
        "a SYN with data to a listener with TCP_FASTOPEN; accept() before the ACK",
        fast_open_server,
        ["server", SERVER, "", ""];
    "Fast Open, server closed before the ACK",
        "the same; close() before the peer has acknowledged the SYN+ACK", fast_open_closed,
        ["server", "LISTEN SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)", "", ""];
    "Fast Open, client",
        "TCP_FASTOPEN_CONNECT: connect(), and later the first write, which sends the SYN",
        fast_open_client,
        ["client", CLIENT, "", ""];
    "Fast Open, both ends", "sendto() with MSG_FASTOPEN over loopback", fast_open_both,
        ["client", CLIENT, "", ""],
        ["server", SERVER, "", ""];
];

fn active(stage: &Stage<'_>) -> Driven {
    let called = stage.connected()?;
    called.kept(stage)
}

fn active_again(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connecting()?;
    called.far.wait_for("a second SYN", SYN);
    called.far.answer();
    called.kept(stage)
}

fn passive(stage: &Stage<'_>) -> Driven {
    let Accepted { listener, socket, end, .. } = stage.accepted()?;
    stage.keep((listener, socket));
    known(&[end])
}

fn passive_again(stage: &Stage<'_>) -> Driven {
    let listener = stage.listener()?;
    let mut far = Far::new(stage.wire()?, FAR, port(&listener));
    far.half_open();
    far.wait_for("a second SYN+ACK", SYN | ACK);
    far.send(ACK);
    let socket = sockets::accept(&listener);
    let end = End::of(&socket);
    stage.keep((listener, socket));
    // The SYN+ACK is reported before there is a socket, hence without its cookie.
    Ok(vec![between(end.local, end.peer)])
}

fn syn_cookie(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_syncookies", "2");
    passive(stage)
}

fn simultaneous(stage: &Stage<'_>, answer: u8) -> Driven {
    let mut called = stage.connecting()?;
    called.far.send(SYN);
    called.far.wait_for("a SYN+ACK", SYN | ACK);
    if answer & SYN != 0 {
        // The SYN again, now with an acknowledgement.
        called.far.next = called.far.next.wrapping_sub(1);
    }
    called.far.send(answer);
    called.kept(stage)
}

fn self_connect(stage: &Stage<'_>) -> Driven {
    let socket = tcp();
    let address = localhost(5000);
    socket.bind(&address.into()).expect("a free port");
    socket.connect(&address.into()).expect("a connection with itself");
    let end = End::of(&socket);
    stage.until(&end, "SYN_RECV", "ESTABLISHED");
    drop(socket);
    known(&[end])
}

/// A listener that takes data with the SYN, without asking for a cookie.
fn fast_listener(stage: &Stage<'_>) -> Result<TcpListener, String> {
    // Client, server, neither with a cookie.
    stage.set("tcp_fastopen", &(0x1 | 0x2 | 0x4 | 0x200).to_string());
    let listener = stage.listener()?;
    set_tcp(&listener, libc::TCP_FASTOPEN, 16);
    Ok(listener)
}

/// Accepted with the SYN.
fn fast_opened<'a>(stage: &'a Stage<'_>) -> Result<Accepted<'a>, String> {
    let listener = fast_listener(stage)?;
    let mut far = Far::new(stage.wire()?, FAR, port(&listener));
    far.send_data(SYN, b"early");
    far.wait_for("a SYN+ACK", SYN | ACK);
    let mut socket = sockets::accept(&listener);
    socket.read_exact(&mut [0; 5]).expect("the data of the SYN");
    let end = End::of(&socket);
    Ok(Accepted { listener, socket, end, far })
}

fn fast_open_server(stage: &Stage<'_>) -> Driven {
    let Accepted { listener, socket, end, mut far } = fast_opened(stage)?;
    stage.until(&end, "LISTEN", "SYN_RECV");
    far.send(ACK);
    stage.keep((listener, socket));
    known(&[end])
}

fn fast_open_closed(stage: &Stage<'_>) -> Driven {
    let Accepted { listener, socket, end, mut far } = fast_opened(stage)?;
    drop(socket);
    far.wait_for_fin();
    far.send(FIN | ACK);
    stage.keep(listener);
    known(&[end])
}

fn fast_open_client(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_fastopen", &(0x1 | 0x4).to_string());
    let wire = stage.wire()?;
    let mut socket = tcp();
    set_tcp(&socket, libc::TCP_FASTOPEN_CONNECT, 1);
    socket.connect(&there(FAR).into()).expect("a connect() that waits for data");
    let end = End { peer: there(FAR), ..End::of(&socket) };
    stage.until(&end, "CLOSED", "SYN_SENT");
    let sent = wire.log();
    assert!(sent.is_empty(), "sent before the first write: {sent:?}");
    socket.set_nonblocking(true).expect("a non-blocking socket");
    socket.write_all(b"early").expect("bytes for the kernel");
    let mut far = Far::called(wire, FAR);
    assert_eq!(far.last.data, b"early");
    far.send(SYN | ACK);
    stage.keep(socket);
    known(&[end])
}

fn fast_open_both(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_fastopen", &(0x1 | 0x2 | 0x4 | 0x200).to_string());
    let listener = TcpListener::bind(localhost(0)).expect("a listener");
    set_tcp(&listener, libc::TCP_FASTOPEN, 16);
    let client: Socket = tcp();
    let address = localhost(port(&listener));
    client
        .send_to_with_flags(b"early", &address.into(), libc::MSG_FASTOPEN)
        .expect("a connection with data");
    let server = sockets::accept(&listener);
    let ends = [End::of(&client), End::of(&server)];
    stage.keep((listener, client, server));
    known(&ends)
}
