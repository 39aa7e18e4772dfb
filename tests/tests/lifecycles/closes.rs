//! Orderly teardowns: both ends send FIN.

use std::net::Shutdown;

use tracer_tests::{
    options::set_tcp,
    segment::flag::{ACK, FIN},
};

use crate::{
    stage::{Called, Driven, Stage, pause, wait_for_data},
    table::{Row, told},
};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "active close",
        done: "close(); the peer acknowledges the FIN, later sends its own",
        drive: active,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
             TIME_WAIT(snapshot)",
            "",
            "",
        )],
    },
    Row {
        name: "active close, FIN and ACK in one segment",
        done: "close(); the peer answers the FIN with its own",
        drive: active_at_once,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
            "",
            "",
        )],
    },
    Row {
        name: "active close at the second FIN",
        done: "close(); the peer answers the second FIN only",
        drive: active_again,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
            "",
            "FIN again 1",
        )],
    },
    Row {
        name: "half close",
        done: "shutdown(SHUT_WR); the peer still sends data, then FIN",
        drive: half,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
            "",
            "",
        )],
    },
    Row {
        name: "half close, then close()",
        done: "shutdown(SHUT_WR), in FIN_WAIT2 close(); later the peer's FIN",
        drive: half_then_whole,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
             TIME_WAIT(snapshot)",
            "",
            "",
        )],
    },
    Row {
        name: "passive close",
        done: "the peer sends FIN, then close()",
        drive: passive,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            "graceful, peer",
            "",
        )],
    },
    Row {
        name: "passive close at the second FIN",
        done: "the same; the peer acknowledges the second FIN only",
        drive: passive_again,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            "graceful, peer",
            "FIN again 1",
        )],
    },
    Row {
        name: "simultaneous close",
        done: "close(); the FINs cross",
        drive: simultaneous,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT(CLOSED)",
            "",
            "",
        )],
    },
    Row {
        name: "orphan in FIN_WAIT2 for more than 60 s",
        done: "close() with TCP_LINGER2 120: the socket stays whole; the peer sends FIN",
        drive: long_linger,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
            "",
            "",
        )],
    },
];

fn active(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close_to_fin_wait2(stage);
    called.far.send(FIN | ACK);
    called.told()
}

fn active_at_once(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close();
    called.far.send(FIN | ACK);
    called.told()
}

fn active_again(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close();
    called.far.wait_for_fin();
    called.far.send(FIN | ACK);
    called.told()
}

/// shutdown(SHUT_WR), acknowledged.
fn half_closed<'a>(stage: &'a Stage<'_>) -> Result<Called<'a>, String> {
    let mut called = stage.connected()?;
    called.socket.shutdown(Shutdown::Write).expect("a half-closed socket");
    called.far.wait_for_fin();
    called.far.send(ACK);
    stage.until(&called.end, "FIN_WAIT1", "FIN_WAIT2");
    Ok(called)
}

fn half(stage: &Stage<'_>) -> Driven {
    let mut called = half_closed(stage)?;
    called.far.send_data(ACK, b"still there");
    wait_for_data(&called.socket);
    called.far.send(FIN | ACK);
    let told = called.told();
    stage.keep(called.socket);
    told
}

fn half_then_whole(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, mut far } = half_closed(stage)?;
    drop(socket);
    stage.until(&end, "FIN_WAIT2", "FIN_WAIT2");
    far.send(FIN | ACK);
    crate::stage::known(&[end])
}

/// The peer's FIN has come.
fn left<'a>(stage: &'a Stage<'_>) -> Result<Called<'a>, String> {
    let mut called = stage.connected()?;
    called.far.send(FIN | ACK);
    stage.until(&called.end, "ESTABLISHED", "CLOSE_WAIT");
    Ok(called)
}

fn passive(stage: &Stage<'_>) -> Driven {
    let mut called = left(stage)?.close();
    called.far.send(ACK);
    called.told()
}

fn passive_again(stage: &Stage<'_>) -> Driven {
    let mut called = left(stage)?.close();
    called.far.wait_for_fin();
    called.far.send(ACK);
    called.told()
}

fn simultaneous(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close();
    called.far.cross_fin();
    stage.until(&called.end, "FIN_WAIT1", "CLOSING");
    called.far.send(ACK);
    called.told()
}

fn long_linger(stage: &Stage<'_>) -> Driven {
    let mut called =
        stage.connected_with(|socket| set_tcp(socket, libc::TCP_LINGER2, 120))?.close();
    called.far.send(ACK);
    stage.until(&called.end, "FIN_WAIT1", "FIN_WAIT2");
    pause();
    called.far.send(FIN | ACK);
    called.told()
}
