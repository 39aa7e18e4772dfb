//! States that last.

use std::{net::TcpListener, thread, time::Duration};

use super::Scenario;
use crate::{
    error::Result,
    sockets::{CLIENT_PORT, Pair, Path, State, accept, connect, finish, until, until_gone},
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "close-wait", steps: &["connect", "close", "leak"], play: close_wait },
    Scenario { name: "time-wait", steps: &["connect", "close", "wait"], play: time_wait },
    Scenario {
        name: "time-wait-reuse",
        steps: &["connect", "close", "again"],
        play: time_wait_reuse,
    },
    Scenario { name: "orphan", steps: &["connect", "close", "wait"], play: orphan },
];

fn close_wait(stage: &Stage<'_>) -> Result<()> {
    let Pair { listener, client, server } = stage.connected()?;
    stage.step("close")?;
    finish(&client)?;
    until(CLIENT_PORT, State::FinWait2)?;
    stage.step("leak")?;
    // Longer than the threshold of the demonstration.
    thread::sleep(Duration::from_millis(2_500));
    stage.keep((listener, client, server));
    Ok(())
}

/// Both ends closed, the client first.
fn closed(stage: &Stage<'_>) -> Result<TcpListener> {
    let Pair { listener, client, server } = stage.connected()?;
    stage.step("close")?;
    finish(&client)?;
    until(CLIENT_PORT, State::FinWait2)?;
    drop(server);
    until(CLIENT_PORT, State::TimeWait)?;
    // It holds nothing any more: the kernel has replaced the socket by a smaller one.
    drop(client);
    Ok(listener)
}

fn time_wait(stage: &Stage<'_>) -> Result<()> {
    let listener = closed(stage)?;
    stage.step("wait")?;
    until_gone(CLIENT_PORT)?;
    stage.settle_timer();
    stage.keep(listener);
    Ok(())
}

fn time_wait_reuse(stage: &Stage<'_>) -> Result<()> {
    stage.set("tcp_tw_reuse", "1")?;
    let listener = closed(stage)?;
    // The time stamps of the two connections must differ, in seconds.
    thread::sleep(Duration::from_millis(1_500));
    stage.step("again")?;
    let client = connect(Path::Loopback)?;
    let server = accept(&listener)?;
    stage.keep((listener, client, server));
    Ok(())
}

fn orphan(stage: &Stage<'_>) -> Result<()> {
    stage.set("tcp_fin_timeout", "2")?;
    let Pair { listener, client, server } = stage.connected()?;
    stage.step("close")?;
    drop(client);
    until(CLIENT_PORT, State::FinWait2)?;
    stage.step("wait")?;
    until_gone(CLIENT_PORT)?;
    stage.settle_timer();
    stage.keep((listener, server));
    Ok(())
}
