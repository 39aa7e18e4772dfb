//! Ends by order of others, and sockets of other protocols.

use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
};

use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{
    peer::Peer,
    segment::flag::{ACK, FIN},
    sockets::{self, End, Path},
};

use crate::{
    stage::{Called, Driven, FAR, Stage, between, known, localhost},
    table::{Row, told},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "ss -K of a connection",
        done: "SOCK_DESTROY in ESTABLISHED",
        drive: kill,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSED",
            "killed, local",
            "RST sent in ESTABLISHED",
        )],
    },
    Row {
        name: "ss -K in SYN_SENT",
        done: "SOCK_DESTROY before the peer has answered",
        drive: kill_in_syn_sent,
        lives: &[told("client", "CLOSED SYN_SENT CLOSED", "killed, local", "")],
    },
    Row {
        name: "ss -K in CLOSE_WAIT",
        done: "SOCK_DESTROY after the peer's FIN",
        drive: kill_in_close_wait,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT CLOSED",
            "killed, peer",
            "RST sent in CLOSE_WAIT",
        )],
    },
    Row {
        name: "ss -K of a listener",
        done: "SOCK_DESTROY of a listener",
        drive: kill_listener,
        lives: &[told("listener", "CLOSED LISTEN CLOSED", "", "")],
    },
    Row {
        name: "ss -K in TIME_WAIT",
        done: "SOCK_DESTROY of a minisocket",
        drive: kill_time_wait,
        lives: &[told(
            "client",
            "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED) CLOSED(snapshot)",
            "graceful, local",
            "",
        )],
    },
    Row {
        name: "SIGKILL",
        done: "the client's process is killed; the server closes",
        drive: sigkill,
        lives: &[
            told(
                "client",
                "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
                 TIME_WAIT(inferred)",
                "",
                "",
            ),
            told(
                "server",
                "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED",
                "graceful, peer",
                "",
            ),
        ],
    },
    Row {
        name: "MPTCP",
        done: "a connection of IPPROTO_MPTCP over loopback: its subflow, and nothing else",
        drive: mptcp,
        lives: &[
            told("client", "CLOSED SYN_SENT ESTABLISHED", "", ""),
            told("server", "LISTEN SYN_RECV ESTABLISHED", "", ""),
        ],
    },
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
    let mut called = stage.connected()?;
    called.far.send(FIN | ACK);
    stage.until(&called.end, "ESTABLISHED", "CLOSE_WAIT");
    killed(stage, called)
}

fn killed(stage: &Stage<'_>, called: Called<'_>) -> Driven {
    destroy(&["dport", "=", &format!(":{FAR}")])?;
    let told = called.told();
    stage.keep(called.socket);
    told
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
    let mut called = stage.connected()?.close();
    called.far.send(FIN | ACK);
    stage.until(&called.end, "FIN_WAIT2", "TIME_WAIT");
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
