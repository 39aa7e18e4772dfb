//! Abortive releases: RST.

use std::{io::Write as _, net::Shutdown};

use super::Scenario;
use crate::{
    error::{During as _, Result},
    network::{ELSEWHERE, Way},
    segment::{Segment, flag},
    sockets::{
        CLIENT_PORT, Pair, SERVER_PORT, State, linger_zero, receive, send, until, until_gone,
    },
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "rst-unread", steps: &["connect", "request", "close"], play: unread },
    Scenario { name: "rst-linger", steps: &["connect", "close"], play: linger },
    Scenario { name: "rst-after-close", steps: &["connect", "close", "data"], play: after_close },
    Scenario { name: "rst-peer", steps: &["connect", "abort"], play: peer },
    Scenario { name: "rst-nobody", steps: &["segment"], play: nobody },
];

fn unread(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, mut client, server } = stage.connected()?;
    stage.step("request")?;
    send(&mut client, &server, b"GET /\r\n")?;
    stage.step("close")?;
    drop(server);
    until_gone(CLIENT_PORT)?;
    stage.keep((listener, client));
    Ok(())
}

fn linger(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, client, server } = stage.connected()?;
    linger_zero(&client)?;
    stage.step("close")?;
    drop(client);
    until_gone(SERVER_PORT)?;
    stage.keep((listener, server));
    Ok(())
}

fn after_close(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, client, mut server } = stage.connected()?;
    stage.step("close")?;
    drop(client);
    until(CLIENT_PORT, State::FinWait2)?;
    stage.step("data")?;
    server.write_all(b"too late\n").during("send")?;
    until_gone(SERVER_PORT)?;
    stage.keep((listener, server));
    Ok(())
}

fn peer(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, mut client, server } = stage.connected()?;
    linger_zero(&server)?;
    stage.step("abort")?;
    drop(server);
    // Fails with ECONNRESET.
    let _ = receive(&mut client);
    let _ = client.shutdown(Shutdown::Both);
    stage.keep((listener, client));
    Ok(())
}

fn nobody(stage: &Stage<'_>) -> Result<()> {
    let network = stage.network()?;
    stage.step("segment")?;
    let segment = Segment {
        source: CLIENT_PORT,
        target: SERVER_PORT,
        sequence: 1_000,
        acknowledgement: 2_000,
        flags: flag::ACK | flag::PSH,
        window: 1_000,
        data: b"hello?".to_vec(),
    };
    network.forge(ELSEWHERE, &segment)?;
    network.wait_for(Way::ToClient, |segment| segment.is(flag::RST), 1, "the RST")
}
