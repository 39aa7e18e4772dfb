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
    table::{Row, rows},
};

pub(crate) const ROWS: &[Row] = rows![
    "connect timeout", "connect() with TCP_SYNCNT 1; the peer is silent", connect_timeout,
        ["client", "CLOSED SYN_SENT CLOSED", "connect_timeout, kernel", "SYN again 1, SYN again 2"];
    "timeout after a simultaneous open",
        "the SYNs cross, then the peer is silent", timeout_in_syn_recv,
        ["client", "CLOSED SYN_SENT SYN_RECV CLOSED",
            "retransmit_timeout, kernel", "SYN+ACK again 1"];
    "retransmit timeout",
        "data sent with TCP_USER_TIMEOUT 0.5 s; the peer is silent", retransmit_timeout,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED", "retransmit_timeout, kernel", ""];
    "retransmit timeout, ICMP error meanwhile",
        "the same; the peer's host is said to be unreachable", soft_error,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED", "retransmit_timeout, kernel", ""];
    "zero-window timeout, probes unanswered",
        "data sent with TCP_USER_TIMEOUT 0.5 s; the peer has closed its window and is silent",
        zero_window_silent,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED", "zero_window_timeout, kernel", ""];
    "zero-window timeout, probes answered",
        "the same; the peer answers probes, its window stays closed", zero_window_answered,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED", "zero_window_timeout, kernel", ""];
    "keepalive timeout",
        "TCP_KEEPIDLE 1, TCP_KEEPINTVL 1, TCP_KEEPCNT 1; the peer is silent", keepalive,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "keepalive_timeout, kernel", "RST sent in ESTABLISHED"];
    "keepalive timeout in CLOSE_WAIT", "the same after the peer's FIN", keepalive_in_close_wait,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            "keepalive_timeout, peer", "RST sent in CLOSE_WAIT"];
    "orphan in FIN_WAIT1 gives up",
        "close() with tcp_orphan_retries 1; the peer is silent", orphan_in_fin_wait1,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "retransmit_timeout, local", "FIN again 1, FIN again 2"];
    "orphan in LAST_ACK gives up", "the peer's FIN, then the same", orphan_in_last_ack,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            "retransmit_timeout, peer", "FIN again 1, FIN again 2"];
    "orphan in CLOSING gives up",
        "both FINs cross; the peer never acknowledges ours", orphan_in_closing,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING CLOSED",
            "retransmit_timeout, local", "FIN again 1, FIN again 2"];
    "half-closed, the FIN unanswered",
        "shutdown(SHUT_WR) with TCP_USER_TIMEOUT 0.5 s; the peer is silent", half_closed,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "retransmit_timeout, local", "FIN again 1, FIN again 2"];
    "orphan with unsent data and a closed window gives up",
        "close() with data that the peer's closed window holds back, tcp_orphan_retries 1",
        orphan_at_zero_window,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            "zero_window_timeout, local", ""];
    "SYN+ACK unanswered", "a SYN to a listener with tcp_synack_retries 1, then silence", half_open,
        ["", "", "", "SYN+ACK again 1"];
];

fn user_timeout(socket: &Socket) {
    socket.set_tcp_user_timeout(Some(Duration::from_millis(500))).expect("TCP_USER_TIMEOUT");
}

fn connect_timeout(stage: &Stage<'_>) -> Driven {
    let called = stage.connecting_with(|socket| set_tcp(socket, libc::TCP_SYNCNT, 1))?;
    called.kept(stage)
}

fn timeout_in_syn_recv(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connecting_with(|socket| set_tcp(socket, libc::TCP_SYNCNT, 1))?;
    called.far.send(SYN);
    called.kept(stage)
}

fn retransmit_timeout(stage: &Stage<'_>) -> Driven {
    let called = stage.connected_with(user_timeout)?;
    (&called.socket).write_all(b"unanswered").expect("bytes for the kernel");
    called.kept(stage)
}

fn soft_error(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected_with(user_timeout)?;
    (&called.socket).write_all(b"unanswered").expect("bytes for the kernel");
    called.far.wait_for("data", ACK);
    stage.wire()?.unreachable(1, &called.far.last);
    called.kept(stage)
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
    called.kept(stage)
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
    called.kept(stage)
}

fn keep_alive(socket: &Socket) {
    let second = Duration::from_secs(1);
    let often = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(1);
    socket.set_tcp_keepalive(&often).expect("SO_KEEPALIVE");
}

fn keepalive(stage: &Stage<'_>) -> Driven {
    let called = stage.connected_with(keep_alive)?;
    called.kept(stage)
}

fn keepalive_in_close_wait(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected_with(keep_alive)?;
    called.far.send(FIN | ACK);
    called.kept(stage)
}

fn orphan_in_fin_wait1(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_orphan_retries", "1");
    stage.connected()?.close().told()
}

fn orphan_in_last_ack(stage: &Stage<'_>) -> Driven {
    stage.set("tcp_orphan_retries", "1");
    stage.left()?.close().told()
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
    called.kept(stage)
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
