//! How connections begin, or do not.

use super::Scenario;
use crate::{
    error::{During as _, Result},
    network::{Fate, Way, which},
    options::set_tcp,
    sockets::{
        CLIENT_PORT, Path, State, accept, act_as, bound, client_socket, connect, listen, receive,
        send, start_connecting, until,
    },
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "handshake", steps: &["connect"], play: handshake },
    Scenario { name: "data", steps: &["connect", "request", "response", "close"], play: data },
    Scenario { name: "simultaneous-open", steps: &["syns", "cross"], play: simultaneous_open },
    Scenario { name: "self-connect", steps: &["connect"], play: self_connect },
    Scenario { name: "fast-open", steps: &["connect"], play: fast_open },
    Scenario { name: "refused", steps: &["connect"], play: refused },
    Scenario { name: "unreachable", steps: &["connect"], play: unreachable },
];

fn handshake(stage: &Stage<'_>) -> Result<()> {
    let pair = stage.connected()?;
    stage.keep(pair);
    Ok(())
}

fn data(stage: &Stage<'_>) -> Result<()> {
    let mut pair = stage.connected()?;
    stage.step("request")?;
    send(&mut pair.client, &pair.server, b"GET /\r\n")?;
    receive(&mut pair.server)?;
    stage.step("response")?;
    send(&mut pair.server, &pair.client, b"hello, world\n")?;
    receive(&mut pair.client)?;
    stage.close(pair)
}

fn simultaneous_open(stage: &Stage<'_>) -> Result<()> {
    let network = stage.network()?;
    network.hold_both(which::syn);
    stage.step("syns")?;
    let client = client_socket(Path::Network)?;
    let other = bound(Path::Network, Path::Network.server())?;
    start_connecting(&client, Path::Network.server())?;
    act_as("server");
    start_connecting(&other, Path::Network.client())?;
    network.wait_for(Way::ToServer, which::syn, 1, "the client's SYN")?;
    network.wait_for(Way::ToClient, which::syn, 1, "the server's SYN")?;
    stage.step("cross")?;
    network.release()?;
    until(CLIENT_PORT, State::Established)?;
    stage.keep((client, other));
    Ok(())
}

fn self_connect(stage: &Stage<'_>) -> Result<()> {
    stage.step("connect")?;
    let address = Path::Loopback.client();
    let socket = bound(Path::Loopback, address)?;
    socket.connect(&address.into()).during("connect")?;
    stage.keep(socket);
    Ok(())
}

/// `tcp_fastopen`: client, server, neither with a cookie.
const FAST_OPEN: i32 = 0x1 | 0x2 | 0x4 | 0x200;

fn fast_open(stage: &Stage<'_>) -> Result<()> {
    stage.set("tcp_fastopen", &FAST_OPEN.to_string())?;
    let listener = listen(Path::Loopback)?;
    set_tcp(&listener, libc::TCP_FASTOPEN, 16).during("set TCP_FASTOPEN")?;
    stage.step("connect")?;
    let client = client_socket(Path::Loopback)?;
    let to = Path::Loopback.server().into();
    client.send_to_with_flags(b"GET /\r\n", &to, libc::MSG_FASTOPEN).during("send with the SYN")?;
    let mut server = accept(&listener)?;
    receive(&mut server)?;
    stage.keep((listener, client, server));
    Ok(())
}

fn refused(stage: &Stage<'_>) -> Result<()> {
    stage.step("connect")?;
    // Fails with ECONNREFUSED.
    let _ = connect(Path::Loopback);
    Ok(())
}

fn unreachable(stage: &Stage<'_>) -> Result<()> {
    let network = stage.network()?;
    network.treat(Way::ToServer, which::syn, Fate::Unreachable, u32::MAX);
    stage.step("connect")?;
    // Fails with EHOSTUNREACH.
    let _ = connect(Path::Network);
    Ok(())
}
