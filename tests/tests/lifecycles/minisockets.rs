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
    stage::{Accepted, Called, Driven, Stage, known, localhost, port},
    table::{Row, told},
};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "RST to an orphan in FIN_WAIT2",
        done: "close(), the peer acknowledges the FIN, then sends RST",
        drive: reset_in_fin_wait2,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) CLOSED(snapshot)",
            "unknown, local",
            "",
        )],
    },
    Row {
        name: "data to an orphan in FIN_WAIT2",
        done: "close(), the peer acknowledges the FIN, then sends data",
        drive: data_in_fin_wait2,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) CLOSED(inferred)",
            "reset_sent_data_after_close, local",
            "RST sent in FIN_WAIT2",
        )],
    },
    Row {
        name: "orphan in FIN_WAIT2 gives up",
        done: "close() with TCP_LINGER2 1; the peer acknowledges the FIN and is silent",
        drive: fin_timeout,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
             CLOSED(timer, snapshot)",
            "fin_wait2_timeout, local",
            "",
        )],
    },
    Row {
        name: "RST in TIME_WAIT",
        done: "close(), the peer's FIN, then its RST",
        drive: reset_in_time_wait,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) CLOSED(snapshot)",
            "graceful, local",
            "",
        )],
    },
    Row {
        name: "TIME_WAIT reused",
        done: "the server closes first; the peer connects again from the same port",
        drive: reused,
        lives: &[
            told(
                "server",
                "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
                 CLOSED(inferred)",
                "graceful, local",
                "",
            ),
            told("server", "LISTEN SYN_RECV ESTABLISHED", "", ""),
        ],
    },
    Row {
        name: "TIME_WAIT of a connection to an MPTCP listener",
        done: "a client of plain TCP; the server shuts down first, then the client closes",
        drive: mptcp,
        lives: &[
            told(
                "server",
                "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
                "",
                "",
            ),
            told(
                "client",
                "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
                "graceful, peer",
                "",
            ),
        ],
    },
    Row {
        name: "end of TIME_WAIT",
        done: "nothing for 60 s",
        drive: |_| Err("takes more than a minute".to_owned()),
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
             CLOSED(timer, snapshot)",
            "graceful, local",
            "",
        )],
    },
    Row {
        name: "orphan in FIN_WAIT2 for more than 60 s becomes a minisocket",
        done: "close() with TCP_LINGER2 61: after 1 s a minisocket, whose end is not waited for",
        drive: long_linger_timeout,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED)",
            "",
            "",
        )],
    },
    Row {
        name: "no minisocket left",
        done: "tcp_max_tw_buckets 0; close(), the peer's FIN: TIME_WAIT is left at once",
        drive: no_bucket,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) CLOSED(snapshot)",
            "graceful, local",
            "",
        )],
    },
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

/// Closed, with both FINs acknowledged.
fn in_time_wait<'a>(stage: &'a Stage<'_>) -> Result<Called<'a>, String> {
    let mut called = stage.connected()?.close();
    called.far.send(FIN | ACK);
    stage.until(&called.end, "FIN_WAIT2", "TIME_WAIT");
    Ok(called)
}

fn reset_in_time_wait(stage: &Stage<'_>) -> Driven {
    let mut called = in_time_wait(stage)?;
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
    in_time_wait(stage)?.told()
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
