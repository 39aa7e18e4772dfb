//! Ends by order of others, and sockets of other protocols.

use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
};

use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{
    peer::Peer,
    sockets::{self, End, Path},
};

use crate::{
    stage::{Called, Driven, FAR, Stage, between, known, localhost},
    table::{Row, rows},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

pub(crate) const ROWS: &[Row] = rows![
    "ss -K of a connection", "SOCK_DESTROY in ESTABLISHED", kill,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "killed, local", "RST sent in ESTABLISHED"];
    "ss -K in SYN_SENT", "SOCK_DESTROY before the peer has answered", kill_in_syn_sent,
        ["client", "CLOSED SYN_SENT CLOSED", "killed, local", ""];
    "ss -K in CLOSE_WAIT", "SOCK_DESTROY after the peer's FIN", kill_in_close_wait,
        ["client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            "killed, peer", "RST sent in CLOSE_WAIT"];
    "ss -K of a listener", "SOCK_DESTROY of a listener", kill_listener,
        ["listener", "CLOSED LISTEN CLOSED", "", ""];
    "ss -K in TIME_WAIT", "SOCK_DESTROY of a minisocket", kill_time_wait,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) \
            CLOSED(snapshot)", "graceful, local", ""];
    "SIGKILL", "the client's process is killed; the server closes", sigkill,
        ["client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
            TIME_WAIT(inferred)", "", ""],
        ["server", "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED", "graceful, peer", ""];
    "MPTCP", "a connection of IPPROTO_MPTCP over loopback: its subflow, and nothing else", mptcp,
        ["client", "CLOSED SYN_SENT ESTABLISHED", "", ""],
        ["server", "LISTEN SYN_RECV ESTABLISHED", "", ""];
];

/// Kills the namespace's sockets that a filter of `ss` names.
fn destroy(filter: &[&str]) -> Result<(), String> {
    let mut command = Command::new("ss");
    let output = command.args(["-K", "-H", "-n", "-a", "-t"]).args(filter).output();
    let output = output.map_err(|error| format!("the command ss: {}", error.kind()))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    // What cannot be killed is not listed.
    if listed.trim().is_empty() { Err("SOCK_DESTROY: EOPNOTSUPP".to_owned()) } else { Ok(()) }
}

fn kill(stage: &Stage<'_>) -> Driven {
    killed(stage, stage.connected()?)
}

fn kill_in_syn_sent(stage: &Stage<'_>) -> Driven {
    killed(stage, stage.connecting()?)
}

fn kill_in_close_wait(stage: &Stage<'_>) -> Driven {
    killed(stage, stage.left()?)
}

fn killed(stage: &Stage<'_>, called: Called<'_>) -> Driven {
    destroy(&["dport", "=", &format!(":{FAR}")])?;
    called.kept(stage)
}

fn kill_listener(stage: &Stage<'_>) -> Driven {
    let listener = sockets::listen(Path::V4);
    let end = End::of(&listener);
    stage.until(&end, "CLOSED", "LISTEN");
    destroy(&["sport", "=", &format!(":{}", end.local.port())])?;
    stage.keep(listener);
    known(&[end])
}

fn kill_time_wait(stage: &Stage<'_>) -> Driven {
    let called = stage.in_time_wait()?;
    destroy(&["dport", "=", &format!(":{FAR}")])?;
    called.told()
}

fn sigkill(stage: &Stage<'_>) -> Driven {
    let listener = sockets::listen(Path::V4);
    let address = listener.local_addr().expect("an address");
    let (peer, client) = Peer::client(PEER, "victim", address);
    let server = sockets::accept(&listener);
    let server_end = End::of(&server);
    // By SIGKILL.
    drop(peer);
    stage.until(&client, "FIN_WAIT2", "FIN_WAIT2");
    drop(server);
    stage.keep(listener);
    known(&[client, server_end])
}

fn mptcp(stage: &Stage<'_>) -> Driven {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP));
    let listener = socket().map_err(|error| format!("IPPROTO_MPTCP: {}", error.kind()))?;
    listener.bind(&localhost(0).into()).expect("a free port");
    listener.listen(1).expect("a listener");
    let listener = TcpListener::from(listener);
    let client = socket().expect("a second socket");
    let address: SocketAddr = listener.local_addr().expect("an address");
    client.connect(&address.into()).expect("a connection");
    let server = sockets::accept(&listener);
    let [one, other] = [End::of(&client), End::of(&server)];
    assert_eq!((one.local, one.peer), (other.peer, other.local));
    stage.keep((listener, client, server));
    Ok(vec![between(one.local, one.peer), between(other.local, other.peer)])
}
