//! The other side of connections that a process forwards, and what a proxy can do about an end that
//! does not close.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Line, Program, Remedy, Service,
    words::{advice, end, line, programs, states},
};
use crate::{duration::grouped, endpoint::Endpoint, state::State};

/// Where a process forwards to, or from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OtherSide {
    /// What its connections have in common.
    pub service: Service,
    /// Their peers, and how many sockets each has, most first.
    #[serde(with = "by_peer")]
    #[schemars(with = "Vec<by_peer::Counted>")]
    pub peers: Vec<(Endpoint, u64)>,
    /// States of the process's sockets on that side.
    pub states: BTreeMap<State, u64>,
    /// Who holds the peers, where these are on this host.
    pub processes: Vec<Program>,
}

super::counted!(by_peer: peer: Endpoint);

/// `10.0.0.5:8080`, with who that is.
pub(super) fn other_peers(side: Option<&OtherSide>) -> String {
    let Some(side) = side else { return "the other side's peer".into() };
    let first = side.peers.first().map_or_else(String::new, |(peer, _)| end(*peer));
    let more = match side.peers.len() {
        0 | 1 => String::new(),
        peers => format!(" and {} more", peers - 1),
    };
    let who = match side.processes.as_slice() {
        [] => String::new(),
        processes => format!(" ({})", programs(processes)),
    };
    format!("{first}{more}{who}")
}

pub(super) fn of_other_side(side: &OtherSide) -> Line {
    let peers: Vec<String> = side
        .peers
        .iter()
        .take(3)
        .map(|&(peer, sockets)| format!("{} × {}", end(peer), grouped(sockets)))
        .collect();
    let sent = if side.states.contains_key(&State::Established) { "" } else { ", FIN sent" };
    line("other side", format!("{}{sent}: {}", peers.join(", "), states(&side.states)))
}

/// Who ends it: a time-out of the proxy, where the end that does not close cannot be changed.
pub(super) fn half_close(
    holders: &[Program],
    service: &Service,
    other_side: Option<&OtherSide>,
) -> Vec<Remedy> {
    let who = programs(holders);
    // The side that is closed by its peer is the one in CLOSE_WAIT.
    let server_side = matches!(service, Service::Here(_));
    let name = holders.first().map_or(&[][..], |program| program.process.name());
    let timeout = match name {
        b"haproxy" if server_side => "timeout server-fin".to_owned(),
        b"haproxy" => "timeout client-fin".to_owned(),
        b"nginx" => "proxy_timeout".to_owned(),
        b"envoy" => "idle_timeout of tcp_proxy".to_owned(),
        b"socat" => "-t".to_owned(),
        _ => "its half-close time-out (haproxy timeout client-fin and server-fin, nginx \
              proxy_timeout, envoy idle_timeout, socat -t)"
            .to_owned(),
    };
    vec![
        advice(format!("{who} ends both sides after {timeout}: set it to what a peer may need")),
        advice(format!(
            "{} should close when its peer has: it has read the end of file, or waits for something \
             else",
            other_peers(other_side)
        )),
    ]
}
