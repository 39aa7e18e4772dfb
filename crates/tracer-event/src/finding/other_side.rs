//! The other side of connections that a process forwards, or that it answers when another server has
//! answered it, and what can be done about an end that does not close or does not answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Line, Program, Remedy, Service,
    remedies::{advice, stacks},
    words::{each_peer, end, line, programs, states},
};
use crate::{
    duration::duration,
    endpoint::Endpoint,
    phrase::{Wording, wording},
    state::State,
};

/// Where a process forwards to, or from where; whom it has asked.
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
    /// For how long the oldest question has had no answer, of `awaits_answer`.
    #[serde(default, rename = "unanswered_ns", skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<u64>,
}

super::counted!(by_peer: peer: Endpoint);

/// `10.0.0.5:8080`, with who that is.
pub(super) fn other_peers(side: Option<&OtherSide>) -> Wording {
    let Some(side) = side else {
        return wording!("other-peer", "the other side's peer");
    };
    let first = side.peers.first().map_or_else(String::new, |(peer, _)| end(*peer));
    let peers = match side.peers.len() {
        0 | 1 => first.into(),
        peers => {
            let more = (peers - 1).to_string();
            wording!("and-more", "{names} and {more} more", [more], names = first)
        }
    };
    match side.processes.as_slice() {
        [] => peers,
        processes => {
            let who = programs(processes);
            wording!("held-by", "{address} ({who})", [who], address = peers)
        }
    }
}

pub(super) fn of_other_side(side: &OtherSide) -> Line {
    let first = side.peers.get(..3).unwrap_or(&side.peers);
    let (peers, states) = (each_peer(first, 3), states(&side.states));
    let words = if let Some(time) = side.unanswered {
        wording!("side-silent", "{peers}: no answer for {time}", [peers], time = duration(time))
    } else if side.states.contains_key(&State::Established) {
        wording!("side-open", "{peers}: {states}", [peers, states])
    } else {
        wording!("side-closed", "{peers}, FIN sent: {states}", [peers, states])
    };
    line("other side", words)
}

/// Who ends it: a time-out of the proxy, where the end that does not close cannot be changed.
pub(super) fn half_close(
    holders: &[Program],
    service: &Service,
    other_side: Option<&OtherSide>,
) -> Vec<Remedy> {
    // The side that is closed by its peer is the one in CLOSE_WAIT.
    let server_side = matches!(service, Service::Here(_));
    let name = holders.first().map_or(&[][..], |program| program.process.name());
    let timeout = match name {
        b"haproxy" if server_side => "timeout server-fin".into(),
        b"haproxy" => "timeout client-fin".into(),
        b"nginx" => "proxy_timeout".into(),
        b"envoy" => wording!("idle-timeout-of-proxy", "idle_timeout of tcp_proxy"),
        b"socat" => "-t".into(),
        _ => wording!(
            "its-half-close",
            "its half-close time-out (haproxy timeout client-fin and server-fin, nginx \
             proxy_timeout, envoy idle_timeout, socat -t)"
        ),
    };
    vec![
        advice(wording!(
            "remedy-proxy-timeout",
            "{who} ends both sides after {timeout}: set it to what a peer may need",
            [timeout],
            who = programs(holders)
        )),
        advice(wording!(
            "remedy-other-peer",
            "{who} should close when its peer has: it has read the end of file, or waits for \
             something else",
            who = other_peers(other_side),
        )),
    ]
}

/// Who has to answer, and that one need not wait for ever.
pub(super) fn await_less(who: Wording, other_side: Option<&OtherSide>) -> Vec<Remedy> {
    let mut remedies = vec![advice(wording!(
        "remedy-must-answer",
        "{peers} has to answer: see what it waits for (a slow query, a lock, a server of its own)",
        peers = other_peers(other_side),
    ))];
    let here = other_side.and_then(|side| side.processes.first());
    remedies.extend(here.map(|program| stacks(program.process.pid)));
    remedies.push(advice(wording!(
        "remedy-wait-less",
        "{who} should wait no longer than its clients do: a time-out for the answer (nginx \
         proxy_read_timeout, haproxy timeout server), or an end when the client has gone (nginx \
         proxy_ignore_client_abort off)",
        [who]
    )));
    remedies
}
