//! An RST or an ICMP error comes, in each state.

use std::net::Shutdown;

use tracer_tests::{
    far::Far,
    segment::flag::{ACK, FIN, RST, SYN},
};

use crate::{
    stage::{Called, Driven, FAR, Stage, known, pause, port},
    table::{Row, told},
};

const RECEIVED: &str = "reset_received, peer";
const RECEIVED_CLOSING: &str = "reset_received, local";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "connection refused",
        done: "the peer answers the SYN with RST",
        drive: refused,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT CLOSED",
            "refused, peer",
            "RST received in SYN_SENT",
        )],
    },
    Row {
        name: "RST received in SYN_RECV",
        done: "the SYNs cross, then the peer sends RST",
        drive: in_syn_recv,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT SYN_RECV CLOSED",
            RECEIVED,
            "RST received in SYN_RECV",
        )],
    },
    Row {
        name: "RST received in ESTABLISHED",
        done: "the peer sends RST",
        drive: in_established,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            RECEIVED,
            "RST received in ESTABLISHED",
        )],
    },
    Row {
        name: "RST received in FIN_WAIT1",
        done: "close(), the peer answers the FIN with RST",
        drive: in_fin_wait1,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSED",
            RECEIVED_CLOSING,
            "RST received in FIN_WAIT1",
        )],
    },
    Row {
        name: "RST received in FIN_WAIT2",
        done: "shutdown(SHUT_WR), the peer acknowledges the FIN, then sends RST",
        drive: in_fin_wait2,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSED",
            RECEIVED_CLOSING,
            "RST received in FIN_WAIT2",
        )],
    },
    Row {
        name: "RST received in CLOSE_WAIT",
        done: "the peer sends FIN, then RST",
        drive: in_close_wait,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            RECEIVED,
            "RST received in CLOSE_WAIT",
        )],
    },
    Row {
        name: "RST received in LAST_ACK",
        done: "the peer sends FIN; close(); the peer answers the FIN with RST",
        drive: in_last_ack,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            RECEIVED,
            "RST received in LAST_ACK",
        )],
    },
    Row {
        name: "RST received in CLOSING",
        done: "both FINs cross, then the peer sends RST",
        drive: in_closing,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING CLOSED",
            RECEIVED_CLOSING,
            "RST received in CLOSING",
        )],
    },
    Row {
        name: "RST to a request socket",
        done: "the peer sends SYN to a listener, gets SYN+ACK, sends RST",
        drive: to_request,
        lives: &[],
    },
    Row {
        name: "ICMP host unreachable in SYN_SENT",
        done: "the SYN is answered with ICMP \"host unreachable\"",
        drive: |stage| unreachable(stage, 1),
        lives: &[told(
            "client",
            "CLOSED SYN_SENT CLOSED",
            "unreachable, network (icmp 3/1, EHOSTUNREACH)",
            "",
        )],
    },
    Row {
        name: "ICMP network unreachable in SYN_SENT",
        done: "the SYN is answered with ICMP \"network unreachable\"",
        drive: |stage| unreachable(stage, 0),
        lives: &[told(
            "client",
            "CLOSED SYN_SENT CLOSED",
            "unreachable, network (icmp 3/0, ENETUNREACH)",
            "",
        )],
    },
    Row {
        name: "ICMP port unreachable in SYN_SENT",
        done: "the SYN is answered with ICMP \"port unreachable\"",
        drive: |stage| unreachable(stage, 3),
        lives: &[told(
            "client",
            "CLOSED SYN_SENT CLOSED",
            "unreachable, network (icmp 3/3, ECONNREFUSED)",
            "",
        )],
    },
];

fn refused(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connecting()?;
    called.far.reset();
    let told = called.told();
    stage.keep(called.socket);
    told
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
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn in_established(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.connected()?)
}

fn in_fin_wait1(stage: &Stage<'_>) -> Driven {
    broken_off(stage, stage.connected()?.close())
}

fn in_fin_wait2(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?;
    called.socket.shutdown(Shutdown::Write).expect("a half-closed socket");
    called.far.wait_for_fin();
    called.far.send(ACK);
    stage.until(&called.end, "FIN_WAIT1", "FIN_WAIT2");
    broken_off(stage, called)
}

/// The peer has sent its FIN.
fn left<'a>(stage: &'a Stage<'_>) -> Result<Called<'a>, String> {
    let mut called = stage.connected()?;
    called.far.send(FIN | ACK);
    stage.until(&called.end, "ESTABLISHED", "CLOSE_WAIT");
    Ok(called)
}

fn in_close_wait(stage: &Stage<'_>) -> Driven {
    broken_off(stage, left(stage)?)
}

fn in_last_ack(stage: &Stage<'_>) -> Driven {
    broken_off(stage, left(stage)?.close())
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
    let told = called.told();
    stage.keep(called.socket);
    told
}
