//! Orderly teardowns: both ends send FIN.

use tracer_tests::{
    options::set_tcp,
    segment::flag::{ACK, FIN},
};

use crate::{
    stage::{Called, Driven, Stage, known, pause, wait_for_data},
    table::{Row, rows},
};

pub(crate) const ROWS: &[Row] = rows![
    "active close", "close(); the peer acknowledges the FIN, later sends its own", active,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
            TIME_WAIT(snapshot)", "", ""];
    "active close, FIN and ACK in one segment",
        "close(); the peer answers the FIN with its own", active_at_once,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)", "", ""];
    "active close at the second FIN", "close(); the peer answers the second FIN only", active_again,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)",
            "", "FIN again 1"];
    "half close", "shutdown(SHUT_WR); the peer still sends data, then FIN", half,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)", "", ""];
    "half close, then close()",
        "shutdown(SHUT_WR), in FIN_WAIT2 close(); later the peer's FIN", half_then_whole,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
            TIME_WAIT(snapshot)", "", ""];
    "passive close", "the peer sends FIN, then close()", passive,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED", "graceful, peer", ""];
    "passive close at the second FIN",
        "the same; the peer acknowledges the second FIN only", passive_again,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
            "graceful, peer", "FIN again 1"];
    "simultaneous close", "close(); the FINs cross", simultaneous,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT(CLOSED)", "", ""];
    "orphan in FIN_WAIT2 for more than 60 s",
        "close() with TCP_LINGER2 120: the socket stays whole; the peer sends FIN", long_linger,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)", "", ""];
];

fn active(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close_to_fin_wait2(stage);
    called.far.send(FIN | ACK);
    called.told()
}

fn active_at_once(stage: &Stage<'_>) -> Driven {
    stage.in_time_wait()?.told()
}

fn active_again(stage: &Stage<'_>) -> Driven {
    let mut called = stage.connected()?.close();
    called.far.wait_for_fin();
    called.far.send(FIN | ACK);
    called.told()
}

fn half(stage: &Stage<'_>) -> Driven {
    let mut called = stage.half_closed()?;
    called.far.send_data(ACK, b"still there");
    wait_for_data(&called.socket);
    called.far.send(FIN | ACK);
    called.kept(stage)
}

fn half_then_whole(stage: &Stage<'_>) -> Driven {
    let Called { socket, end, mut far } = stage.half_closed()?;
    drop(socket);
    stage.until(&end, "FIN_WAIT2", "FIN_WAIT2");
    far.send(FIN | ACK);
    known(&[end])
}

fn passive(stage: &Stage<'_>) -> Driven {
    let mut called = stage.left()?.close();
    called.far.send(ACK);
    called.told()
}

fn passive_again(stage: &Stage<'_>) -> Driven {
    let mut called = stage.left()?.close();
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
