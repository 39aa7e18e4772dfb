//! An RST or an ICMP error comes, in each state.

use tracer_tests::{
    far::Far,
    segment::flag::{ACK, RST, SYN},
};

use crate::{
    stage::{Called, Driven, FAR, Stage, known, pause, port},
    table::{Row, rows},
};

const RECEIVED: &str = "reset_received, peer";
const RECEIVED_CLOSING: &str = "reset_received, local";

pub(crate) const ROWS: &[Row] = rows![
    "connection refused", "the peer answers the SYN with RST", refused,
        ["client", "CLOSED SYN_SENT CLOSED", "refused, peer", "RST received in SYN_SENT"];
    "RST received in SYN_RECV", "the SYNs cross, then the peer sends RST", in_syn_recv,
        ["client", "CLOSED SYN_SENT SYN_RECV CLOSED", RECEIVED, "RST received in SYN_RECV"];
    "RST received in ESTABLISHED", "the peer sends RST", in_established,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED", RECEIVED, "RST received in ESTABLISHED"];
    "RST received in FIN_WAIT1", "close(), the peer answers the FIN with RST", in_fin_wait1,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            RECEIVED_CLOSING, "RST received in FIN_WAIT1"];
    "RST received in FIN_WAIT2",
        "shutdown(SHUT_WR), the peer acknowledges the FIN, then sends RST", in_fin_wait2,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSED",
            RECEIVED_CLOSING, "RST received in FIN_WAIT2"];
    "RST received in CLOSE_WAIT", "the peer sends FIN, then RST", in_close_wait,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            RECEIVED, "RST received in CLOSE_WAIT"];
    "RST received in LAST_ACK",
        "the peer sends FIN; close(); the peer answers the FIN with RST", in_last_ack,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            RECEIVED, "RST received in LAST_ACK"];
    "RST received in CLOSING", "both FINs cross, then the peer sends RST", in_closing,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING CLOSED",
            RECEIVED_CLOSING, "RST received in CLOSING"];
    "RST to a request socket",
        "the peer sends SYN to a listener, gets SYN+ACK, sends RST", to_request;
    "ICMP host unreachable in SYN_SENT",
        "the SYN is answered with ICMP \"host unreachable\"", |stage| unreachable(stage, 1),
        ["client", "CLOSED SYN_SENT CLOSED", "unreachable, network (icmp 3/1, EHOSTUNREACH)", ""];
    "ICMP network unreachable in SYN_SENT",
        "the SYN is answered with ICMP \"network unreachable\"", |stage| unreachable(stage, 0),
        ["client", "CLOSED SYN_SENT CLOSED", "unreachable, network (icmp 3/0, ENETUNREACH)", ""];
    "ICMP port unreachable in SYN_SENT",
        "the SYN is answered with ICMP \"port unreachable\"", |stage| unreachable(stage, 3),
        ["client", "CLOSED SYN_SENT CLOSED", "unreachable, network (icmp 3/3, ECONNREFUSED)", ""];
];

fn refused(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.connecting()?)
}

fn in_syn_recv(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connecting()?;
    called.far.send(SYN);
    called.far.wait_for("a SYN+ACK", SYN | ACK);
    broken_off(stage, called)
}

/// The peer sends RST.
fn broken_off(stage: &Stage<'_>, mut called: Called<'_>) -> Driven {
    called.far.reset();
    called.kept(stage)
}

fn in_established(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.connected()?)
}

fn in_fin_wait1(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.connected()?.close())
}

fn in_fin_wait2(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.half_closed()?)
}

fn in_close_wait(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.left()?)
}

fn in_last_ack(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.left()?.close())
}

fn in_closing(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close();
    called.far.cross_fin();
    stage.until(&called.end, "FIN_WAIT1", "CLOSING");
    broken_off(stage, called)
}

fn to_request(stage: &Stage<'_>) -> Driven {
    let listener = stage.listener()?;
    let mut far = Far::new(stage.wire()?, FAR, port(&listener));
    far.half_open();
    far.send(RST);
    pause();
    stage.keep(listener);
    known(&[])
}

fn unreachable(stage: &Stage<'_>, code: u8) -> Driven {
    let called = stage.connecting()?;
    stage.wire()?.unreachable(code, &called.far.last);
    called.kept(stage)
}
