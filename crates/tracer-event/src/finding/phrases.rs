//! What the sentences of several findings have in other languages (`sentences.ftl`).

use crate::{
    duration::{duration, grouped},
    finding::{
        connections::Connections,
        parts::Listener,
        words::{and_more, end, programs, service},
    },
    phrase::{Phrase, Value},
};

pub(super) fn peers(of: &Connections) -> Value {
    match of.peers.as_slice() {
        [] => Phrase::new("a-peer").into(),
        [(peer, _), more @ ..] => and_more(&[end(*peer)], more.len()).into(),
    }
}

pub(super) fn connections(of: &Connections) -> Phrase {
    Phrase::new(if of.is_held() { "connections-of" } else { "connections-closed-by" })
        .with("who", programs(&of.holders))
        .with("count", grouped(of.sockets))
        .with("service", service(of.service))
}

pub(super) fn with_queue(phrase: Phrase, from: &Listener) -> Phrase {
    phrase.with("queue", from.queue.to_string()).with("backlog", from.backlog.to_string())
}

pub(super) fn least(at_least: bool, time: u64) -> String {
    format!("{}{}", if at_least { "≥ " } else { "" }, duration(time))
}
