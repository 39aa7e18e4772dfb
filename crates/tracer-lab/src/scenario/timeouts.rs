//! Waiting that comes to an end.

use std::{io::Write as _, time::Duration};

use socket2::{SockRef, TcpKeepalive};

use super::Scenario;
use crate::{
    error::{During as _, Result},
    network::{Way, which},
    options::set_tcp,
    sockets::{CLIENT_PORT, Pair, Path, client_socket, listen, receive, until_gone},
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "connect-timeout", steps: &["connect"], play: connect_timeout },
    Scenario { name: "read-timeout", steps: &["connect", "read", "close"], play: read_timeout },
    Scenario { name: "keepalive-timeout", steps: &["connect", "silence"], play: keepalive },
    Scenario { name: "retransmit-timeout", steps: &["connect", "send"], play: retransmit },
    Scenario { name: "zero-window", steps: &["connect", "fill"], play: zero_window },
];

fn connect_timeout(stage: &Stage<'_>) -> Result<()> {
    let network = stage.network()?;
    network.lose(Way::ToServer, which::any, u32::MAX);
    let listener = listen(Path::Network)?;
    let client = client_socket(Path::Network)?;
    set_tcp(&client, libc::TCP_SYNCNT, 1).during("set TCP_SYNCNT")?;
    stage.step("connect")?;
    // Fails with ETIMEDOUT.
    let _ = client.connect(&Path::Network.server().into());
    stage.keep((listener, client));
    Ok(())
}

fn read_timeout(stage: &Stage<'_>) -> Result<()> {
    let mut pair = stage.connected()?;
    pair.client.set_read_timeout(Some(Duration::from_millis(500))).during("set SO_RCVTIMEO")?;
    stage.step("read")?;
    // Fails with EAGAIN; the connection is as before.
    let _ = receive(&mut pair.client);
    stage.close(pair)
}

fn keepalive(stage: &Stage<'_>) -> Result<()> {
    let (network, pair) = stage.connected_over_network()?;
    let second = Duration::from_secs(1);
    let often = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(2);
    network.lose(Way::ToServer, which::any, u32::MAX);
    stage.step("silence")?;
    SockRef::from(&pair.client).set_tcp_keepalive(&often).during("set SO_KEEPALIVE")?;
    until_gone(CLIENT_PORT)?;
    stage.keep(pair);
    Ok(())
}

fn user_timeout(pair: &Pair) -> Result<()> {
    let timeout = Some(Duration::from_millis(800));
    SockRef::from(&pair.client).set_tcp_user_timeout(timeout).during("set TCP_USER_TIMEOUT")
}

fn retransmit(stage: &Stage<'_>) -> Result<()> {
    let (network, mut pair) = stage.connected_over_network()?;
    user_timeout(&pair)?;
    network.lose(Way::ToServer, which::any, u32::MAX);
    stage.step("send")?;
    pair.client.write_all(b"GET /\r\n").during("send")?;
    until_gone(CLIENT_PORT)?;
    stage.keep(pair);
    Ok(())
}

fn zero_window(stage: &Stage<'_>) -> Result<()> {
    let mut pair = stage.connected()?;
    user_timeout(&pair)?;
    stage.step("fill")?;
    pair.client.set_nonblocking(true).during("set O_NONBLOCK")?;
    // Until the server's window is closed and nothing more fits into the client's own buffer.
    while pair.client.write(&[0; 1 << 16]).is_ok() {}
    until_gone(CLIENT_PORT)?;
    stage.keep(pair);
    Ok(())
}
