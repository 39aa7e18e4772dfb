//! The peer is silent.

use std::{io::Write as _, net::Shutdown, time::Duration};

use socket2::{Socket, TcpKeepalive};
use tracer_tests::{
    far::Far,
    options::set_tcp,
    record::Record,
    segment::{
        Segment,
        flag::{ACK, FIN, SYN},
    },
};

use crate::{
    stage::{Called, Driven, FAR, Stage, Subject, port, there, wait_for_data},
    table::{Row, told},
};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "connect timeout",
        done: "connect() with TCP_SYNCNT 1; the peer is silent",
        drive: connect_timeout,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT CLOSED",
            "connect_timeout, kernel",
            "SYN again 1, SYN again 2",
        )],
    },
    Row {
        name: "timeout after a simultaneous open",
        done: "the SYNs cross, then the peer is silent",
        drive: timeout_in_syn_recv,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT SYN_RECV CLOSED",
            "retransmit_timeout, kernel",
            "SYN+ACK again 1",
        )],
    },
    Row {
        name: "retransmit timeout",
        done: "data sent with TCP_USER_TIMEOUT 0.5 s; the peer is silent",
        drive: retransmit_timeout,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "retransmit_timeout, kernel",
            "",
        )],
    },
    Row {
        name: "retransmit timeout, ICMP error meanwhile",
        done: "the same; the peer's host is said to be unreachable",
        drive: soft_error,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "retransmit_timeout, kernel",
            "",
        )],
    },
    Row {
        name: "zero-window timeout, probes unanswered",
        done: "data sent with TCP_USER_TIMEOUT 0.5 s; the peer has closed its window and is silent",
        drive: zero_window_silent,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "zero_window_timeout, kernel",
            "",
        )],
    },
    Row {
        name: "zero-window timeout, probes answered",
        done: "the same; the peer answers probes, its window stays closed",
        drive: zero_window_answered,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "zero_window_timeout, kernel",
            "",
        )],
    },
    Row {
        name: "keepalive timeout",
        done: "TCP_KEEPIDLE 1, TCP_KEEPINTVL 1, TCP_KEEPCNT 1; the peer is silent",
        drive: keepalive,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "keepalive_timeout, kernel",
            "RST sent in ESTABLISHED",
        )],
    },
    Row {
        name: "keepalive timeout in CLOSE_WAIT",
        done: "the same after the peer's FIN",
        drive: keepalive_in_close_wait,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            "keepalive_timeout, peer",
            "RST sent in CLOSE_WAIT",
        )],
    },
    Row {
        name: "orphan in FIN_WAIT1 gives up",
        done: "close() with tcp_orphan_retries 1; the peer is silent",
        drive: orphan_in_fin_wait1,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "retransmit_timeout, local",
            "FIN again 1, FIN again 2",
        )],
    },
    Row {
        name: "orphan in LAST_ACK gives up",
        done: "the peer's FIN, then the same",
        drive: orphan_in_last_ack,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            "retransmit_timeout, peer",
            "FIN again 1, FIN again 2",
        )],
    },
    Row {
        name: "orphan in CLOSING gives up",
        done: "both FINs cross; the peer never acknowledges ours",
        drive: orphan_in_closing,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING CLOSED",
            "retransmit_timeout, local",
            "FIN again 1, FIN again 2",
        )],
    },
    Row {
        name: "half-closed, the FIN unanswered",
        done: "shutdown(SHUT_WR) with TCP_USER_TIMEOUT 0.5 s; the peer is silent",
        drive: half_closed,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "retransmit_timeout, local",
            "FIN again 1, FIN again 2",
        )],
    },
    Row {
        name: "orphan with unsent data and a closed window gives up",
        done: "close() with data that the peer's closed window holds back, tcp_orphan_retries 1",
        drive: orphan_at_zero_window,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "zero_window_timeout, local",
            "",
        )],
    },
    Row {
        name: "SYN+ACK unanswered",
        done: "a SYN to a listener with tcp_synack_retries 1, then silence",
        drive: half_open,
        lives: &[told("", "", "", "SYN+ACK again 1")],
    },
];

fn user_timeout(socket: &Socket) {
    socket.set_tcp_user_timeout(Some(Duration::from_millis(500))).expect("TCP_USER_TIMEOUT");
}

fn connect_timeout(stage: &Stage<'_>) -> Driven {
    let called = stage.connecting_with(|socket| set_tcp(socket, libc::TCP_SYNCNT, 1))?;
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn timeout_in_syn_recv(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connecting_with(|socket| set_tcp(socket, libc::TCP_SYNCNT, 1))?;
    called.far.send(SYN);
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn retransmit_timeout(stage: &Stage<'_>) -> Driven {
    let called = stage.connected_with(user_timeout)?;
    (&called.socket).write_all(b"unanswered").expect("bytes for the kernel");
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn soft_error(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected_with(user_timeout)?;
    (&called.socket).write_all(b"unanswered").expect("bytes for the kernel");
    called.far.wait_for("data", ACK);
    stage.wire()?.unreachable(1, &called.far.last);
    let told = called.told();
    stage.keep(called.socket);
    told
}

/// Connected to a peer that has closed its window, with data waiting for it.
fn blocked<'a>(stage: &'a Stage<'_>, prepare: fn(&Socket)) -> Result<Called<'a>, String> {
    let mut called = stage.connected_with(prepare)?;
    called.far.window = 0;
    // With data, which makes the new window known once it can be read.
    called.far.send_data(ACK, b"!");
    wait_for_data(&called.socket);
    (&called.socket).write_all(b"held back").expect("bytes for the kernel");
    Ok(called)
}

fn zero_window_silent(stage: &Stage<'_>) -> Driven {
    let called = blocked(stage, user_timeout)?;
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn zero_window_answered(stage: &Stage<'_>) -> Driven {
    let mut called = blocked(stage, user_timeout)?;
    let is_over =
        |record: &Record| called.end.is_told_by(record) && record.at("/tcp/to") == "CLOSED";
    let wire = stage.wire()?;
    for _ in 0..100 {
        // A probe is the last byte acknowledged, again.
        let is_probe = |s: &Segment| s.sequence.wrapping_add(1) == called.far.expected;
        if wire.listen(Duration::from_millis(20)).iter().any(is_probe) {
            called.far.send(ACK);
        }
        if stage.tracer.so_far().iter().any(is_over) {
            break;
        }
    }
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn keep_alive(socket: &Socket) {
    let second = Duration::from_secs(1);
    let often = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(1);
    socket.set_tcp_keepalive(&often).expect("SO_KEEPALIVE");
}

fn keepalive(stage: &Stage<'_>) -> Driven {
    let called = stage.connected_with(keep_alive)?;
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn keepalive_in_close_wait(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected_with(keep_alive)?;
    called.far.send(FIN | ACK);
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn orphan_in_fin_wait1(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_orphan_retries", "1");
    stage.connected()?.close().told()
}

fn orphan_in_last_ack(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_orphan_retries", "1");
    let mut called = stage.connected()?;
    called.far.send(FIN | ACK);
    stage.until(&called.end, "ESTABLISHED", "CLOSE_WAIT");
    called.close().told()
}

fn orphan_in_closing(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_orphan_retries", "1");
    let mut called = stage.connected()?.close();
    called.far.cross_fin();
    called.told()
}

fn half_closed(stage: &Stage<'_>) -> Driven {
    let called = stage.connected_with(user_timeout)?;
    called.socket.shutdown(Shutdown::Write).expect("a half-closed socket");
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn orphan_at_zero_window(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_orphan_retries", "1");
    let mut called = blocked(stage, |_| ())?;
    // Unread data would be answered with an RST.
    std::io::Read::read_exact(&mut called.socket, &mut [0]).expect("the byte that came");
    let told = called.told();
    drop(called.socket);
    told
}

fn half_open(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_synack_retries", "1");
    let listener = stage.listener()?;
    let mut far = Far::new(stage.wire()?, FAR, port(&listener));
    far.half_open();
    let [local, peer] = [listener.local_addr().expect("an address"), there(FAR)];
    stage.keep(listener);
    Ok(vec![Subject::Between(local, peer)])
}
