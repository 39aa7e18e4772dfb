//! Graceful releases: both ends send a FIN.

use super::Scenario;
use crate::{
    error::Result,
    network::{Way, which},
    sockets::{CLIENT_PORT, Pair, SERVER_PORT, State, finish, receive, send, until},
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "teardown", steps: &["connect", "close", "close-too"], play: teardown },
    Scenario { name: "teardown-three", steps: &["connect", "close"], play: teardown_three },
    Scenario {
        name: "half-close",
        steps: &["connect", "shutdown", "data", "close"],
        play: half_close,
    },
    Scenario {
        name: "simultaneous-close",
        steps: &["connect", "fins", "cross"],
        play: simultaneous_close,
    },
];

fn teardown(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, client, server } = stage.connected()?;
    stage.step("close")?;
    finish(&client)?;
    // The ACK comes by itself, after its delay.
    until(CLIENT_PORT, State::FinWait2)?;
    stage.step("close-too")?;
    drop(server);
    until(CLIENT_PORT, State::TimeWait)?;
    stage.keep((listener, client));
    Ok(())
}

fn teardown_three(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, client, mut server } = stage.connected()?;
    stage.step("close")?;
    drop(client);
    // At once, while the ACK is delayed.
    receive(&mut server)?;
    drop(server);
    until(CLIENT_PORT, State::TimeWait)?;
    stage.keep(listener);
    Ok(())
}

fn half_close(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, mut client, mut server } = stage.connected()?;
    stage.step("shutdown")?;
    finish(&client)?;
    until(CLIENT_PORT, State::FinWait2)?;
    stage.step("data")?;
    send(&mut server, &client, b"the answer, after the client's FIN\n")?;
    receive(&mut client)?;
    stage.step("close")?;
    drop(server);
    until(CLIENT_PORT, State::TimeWait)?;
    stage.keep((listener, client));
    Ok(())
}

fn simultaneous_close(stage: &Stage<'_>) -> Result<()> {
    let (network, Pair { listener, client, server }) = stage.connected_over_network()?;
    network.hold_both(which::fin);
    stage.step("fins")?;
    drop(client);
    drop(server);
    network.wait_for(Way::ToServer, which::fin, 1, "the client's FIN")?;
    network.wait_for(Way::ToClient, which::fin, 1, "the server's FIN")?;
    stage.step("cross")?;
    network.release()?;
    until(CLIENT_PORT, State::TimeWait)?;
    until(SERVER_PORT, State::TimeWait)?;
    stage.keep(listener);
    Ok(())
}
