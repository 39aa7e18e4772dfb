//! What becomes of minisockets: no tracepoint reports their ends.

use std::{
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{
    options::set_tcp,
    segment::flag::{ACK, FIN, RST, SYN},
    sockets::{self, End},
};

use crate::{
    stage::{Accepted, Driven, Stage, known, localhost, port},
    table::{Row, rows},
};

pub(crate) const ROWS: &[Row] = rows![
    "RST to an orphan in FIN_WAIT2",
        "close(), the peer acknowledges the FIN, then sends RST", reset_in_fin_wait2,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
            CLOSED(snapshot)", "unknown, local", ""];
    "data to an orphan in FIN_WAIT2",
        "close(), the peer acknowledges the FIN, then sends data", data_in_fin_wait2,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
            CLOSED(inferred)", "reset_sent_data_after_close, local", "RST sent in FIN_WAIT2"];
    "orphan in FIN_WAIT2 gives up",
        "close() with TCP_LINGER2 1; the peer acknowledges the FIN and is silent", fin_timeout,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
            CLOSED(timer, snapshot)", "fin_wait2_timeout, local", ""];
    "RST in TIME_WAIT", "close(), the peer's FIN, then its RST", reset_in_time_wait,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
            CLOSED(snapshot)", "graceful, local", ""];
    "TIME_WAIT reused",
        "the server closes first; the peer connects again from the same port", reused,
        ["server", "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
            CLOSED(inferred)", "graceful, local", ""],
        ["server", "LISTEN SYN_RECV ESTABLISHED", "", ""];
    "TIME_WAIT of a connection to an MPTCP listener",
        "a client of plain TCP; the server shuts down first, then the client closes", mptcp,
        ["server", "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)", "", ""],
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED", "graceful, peer", ""];
    "end of TIME_WAIT", "nothing for 60 s", |_| Err("takes more than a minute".to_owned()),
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
            CLOSED(timer, snapshot)", "graceful, local", ""];
    "orphan in FIN_WAIT2 for more than 60 s becomes a minisocket",
        "close() with TCP_LINGER2 61: after 1 s a minisocket, whose end is not waited for",
        long_linger_timeout,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED)", "", ""];
    "no minisocket left",
        "tcp_max_tw_buckets 0; close(), the peer's FIN: TIME_WAIT is left at once", no_bucket,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
            CLOSED(snapshot)", "graceful, local", ""];
];

fn reset_in_fin_wait2(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close_to_fin_wait2(stage);
    called.far.send(RST);
    called.told()
}

fn data_in_fin_wait2(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close_to_fin_wait2(stage);
    called.far.send_data(ACK, b"too late");
    called.far.wait_for("an RST", RST);
    called.told()
}

fn fin_timeout(stage: &Stage<'_>) -> Driven {
    stage
        .connected_with(|socket| set_tcp(socket, libc::TCP_LINGER2, 1))?
        .close_to_fin_wait2(stage)
        .told()
}

fn long_linger_timeout(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected_with(|socket| set_tcp(socket, libc::TCP_LINGER2, 61))?.close();
    called.far.send(ACK);
    called.told()
}

fn reset_in_time_wait(stage: &Stage<'_>) -> Driven {
    let mut called = stage.in_time_wait()?;
    called.far.send(RST);
    called.told()
}

fn reused(stage: &Stage<'_>) -> Driven {
    let Accepted { listener, socket, end, mut far } = stage.accepted()?;
    drop(socket);
    far.wait_for_fin();
    far.send(FIN | ACK);
    stage.until(&end, "FIN_WAIT2", "TIME_WAIT");
    // Beyond what the minisocket expects next (RFC 1122, section 4.2.2.13).
    far.next = far.next.wrapping_add(1_000_000);
    far.send(SYN);
    far.wait_for("a SYN+ACK", SYN | ACK);
    far.send(ACK);
    let again = sockets::accept(&listener);
    let second = End::of(&again);
    stage.keep((listener, again));
    known(&[end, second])
}

fn no_bucket(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_max_tw_buckets", "0");
    stage.in_time_wait()?.told()
}

/// What came of an MPTCP listener has another `sk_prot`, by which no helper of the kernel takes it
/// for TCP's: looks must show it all the same.
fn mptcp(stage: &Stage<'_>) -> Driven {
    /// `include/uapi/linux/in.h`
    const IPPROTO_MPTCP: i32 = 262;
    if !Path::new("/proc/sys/net/mptcp/enabled").exists() {
        return Err("this kernel lacks MPTCP".to_owned());
    }
    stage.namespace.set("net/mptcp/enabled", "1");
    let protocol = Some(Protocol::from(IPPROTO_MPTCP));
    let listener = Socket::new(Domain::IPV4, Type::STREAM, protocol).expect("a socket");
    listener.bind(&localhost(0).into()).expect("a bound socket");
    listener.listen(8).expect("a listener");
    let listener = TcpListener::from(listener);
    let client = TcpStream::connect(localhost(port(&listener))).expect("a connection");
    let server = sockets::accept(&listener);
    let ends = [&server, &client].map(End::of);
    server.shutdown(Shutdown::Write).expect("a half-close");
    stage.until(&ends[0], "FIN_WAIT1", "FIN_WAIT2");
    drop(client);
    stage.until(&ends[0], "FIN_WAIT2", "TIME_WAIT");
    // For as long as it takes to look again.
    thread::sleep(Duration::from_millis(1_500));
    stage.keep((listener, server));
    known(&ends)
}
