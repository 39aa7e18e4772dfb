//! What a network does to segments: it loses them, or delivers them late.

use super::Scenario;
use crate::{
    error::Result,
    network::{Fate, Network, Way, which},
    sockets::{
        CLIENT_PORT, Pair, Path, SERVER_PORT, State, accept, connect, finish, listen, receive,
        send, until, until_gone, wait,
    },
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "syn-lost", steps: &["connect"], play: syn_lost },
    Scenario { name: "syn-ack-lost", steps: &["connect"], play: syn_ack_lost },
    Scenario { name: "data-lost", steps: &["connect", "request", "close"], play: data_lost },
    Scenario { name: "last-ack-lost", steps: &["connect", "close", "lost"], play: last_ack_lost },
    Scenario { name: "late-segment", steps: &["connect", "close", "late"], play: late_segment },
];

fn syn_lost(stage: &Stage<'_>) -> Result<()> {
    opened(stage, |network| network.lose(Way::ToServer, which::syn, 1))
}

fn syn_ack_lost(stage: &Stage<'_>) -> Result<()> {
    opened(stage, |network| network.lose(Way::ToClient, which::syn_ack, 1))
}

fn opened(stage: &Stage<'_>, trouble: fn(&Network)) -> Result<()> {
    let network = stage.network()?;
    trouble(network);
    let listener = listen(Path::Network)?;
    stage.step("connect")?;
    let client = connect(Path::Network)?;
    let server = accept(&listener)?;
    stage.keep((listener, client, server));
    Ok(())
}

fn data_lost(stage: &Stage<'_>) -> Result<()> {
    let (network, mut pair) = stage.connected_over_network()?;
    network.lose(Way::ToServer, which::data, 1);
    stage.step("request")?;
    send(&mut pair.client, &pair.server, b"GET /\r\n")?;
    receive(&mut pair.server)?;
    stage.close(pair)
}

fn last_ack_lost(stage: &Stage<'_>) -> Result<()> {
    let (network, Pair { listener, client, server }) = stage.connected_over_network()?;
    stage.step("close")?;
    finish(&client)?;
    until(CLIENT_PORT, State::FinWait2)?;
    network.lose(Way::ToServer, which::ack, 1);
    stage.step("lost")?;
    drop(server);
    network.wait_for(Way::ToClient, which::fin, 2, "the FIN again")?;
    until_gone(SERVER_PORT)?;
    stage.keep((listener, client));
    Ok(())
}

/// The server closes first: the end that meets the late segment is in TIME_WAIT.
fn late_segment(stage: &Stage<'_>) -> Result<()> {
    let (network, mut pair) = stage.connected_over_network()?;
    network.treat(Way::ToServer, which::data, Fate::Copied, 1);
    send(&mut pair.client, &pair.server, b"GET /\r\n")?;
    receive(&mut pair.server)?;
    stage.step("close")?;
    let Pair { listener, client, server } = pair;
    finish(&server)?;
    until(SERVER_PORT, State::FinWait2)?;
    drop(client);
    until(SERVER_PORT, State::TimeWait)?;
    stage.step("late")?;
    // Nobody is there any more to take the answer.
    network.lose(Way::ToClient, which::any, u32::MAX);
    let before = network.passed().len();
    network.repeat()?;
    wait("the answer to the late segment", || Ok(network.passed().len() > before))?;
    stage.keep((listener, server));
    Ok(())
}
