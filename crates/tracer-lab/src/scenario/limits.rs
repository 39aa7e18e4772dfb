//! What a host runs out of.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use super::Scenario;
use crate::{
    error::{During as _, Result},
    segment::{Segment, flag},
    sockets::{
        CLIENT_PORT, Path, SERVER_PORT, State, accept, act_as, bound, connect, listen, listen_with,
        start_connecting, tcp, until,
    },
    stage::Stage,
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "backlog-full", steps: &["fill", "one-more"], play: backlog_full },
    Scenario { name: "syn-cookies", steps: &["flood", "connect"], play: syn_cookies },
    Scenario { name: "port-exhaustion", steps: &["use", "one-more"], play: port_exhaustion },
];

fn backlog_full(stage: &Stage<'_>) -> Result<()> {
    let listener = listen_with(Path::Loopback, 0)?;
    stage.step("fill")?;
    let first = connect(Path::Loopback)?;
    stage.step("one-more")?;
    let second = bound(Path::Loopback, SocketAddr::from((Ipv4Addr::LOCALHOST, CLIENT_PORT + 1)))?;
    start_connecting(&second, Path::Loopback.server())?;
    // One timeout of a SYN.
    thread::sleep(Duration::from_millis(1_300));
    stage.keep((listener, first, second));
    Ok(())
}

/// Half-open connections that the listener's queue takes.
const QUEUE: u8 = 4;

fn syn_cookies(stage: &Stage<'_>) -> Result<()> {
    stage.set("tcp_syncookies", "1")?;
    let network = stage.network()?;
    let listener = listen_with(Path::Network, QUEUE.into())?;
    stage.step("flood")?;
    for last in 0..2 * QUEUE {
        let syn = Segment {
            source: CLIENT_PORT,
            target: SERVER_PORT,
            sequence: 1_000,
            flags: flag::SYN,
            window: 1_000,
            ..Segment::default()
        };
        network.forge(Ipv4Addr::new(10, 0, 0, 100 + last), &syn)?;
    }
    stage.step("connect")?;
    let client = connect(Path::Network)?;
    let server = accept(&listener)?;
    stage.keep((listener, client, server));
    Ok(())
}

fn port_exhaustion(stage: &Stage<'_>) -> Result<()> {
    stage.set("ip_local_port_range", "40001 40002")?;
    let listener = listen(Path::Loopback)?;
    stage.step("use")?;
    let connect = || {
        act_as("client");
        let socket = tcp()?;
        socket.connect(&Path::Loopback.server().into()).during("connect")?;
        Ok(socket)
    };
    let pairs = [(); 2].map(|()| Ok((connect()?, accept(&listener)?)));
    let [first, second] = pairs;
    let open = (first?, second?);
    until(CLIENT_PORT, State::Established)?;
    stage.step("one-more")?;
    // Fails with EADDRNOTAVAIL.
    let _: Result<_> = connect();
    stage.keep((listener, open));
    Ok(())
}
