//! What a change of state means, with the figures that belong to it.

use std::borrow::Cow;

use super::{bytes, duration};
use crate::{
    model::{
        state::State,
        update::{Close, Role, Transition},
    },
    sink::step,
};

/// What it means, with the figures that belong to it.
pub(in crate::sink) fn meaning(transition: &Transition) -> Cow<'static, str> {
    let mut words = with_error(step::meaning(transition), transition.close);
    if transition.sent == Some(false)
        && transition.to != State::SynSent
        && let Some(sequence) = transition.sequence
    {
        words = match sequence.unsent() {
            0 => format!("{words}: the peer's window is full"),
            unsent => format!("{words}: {} unsent before it", bytes(unsent.into())),
        }
        .into();
    }
    if let Some(handshake) = transition.handshake {
        let mut figures = Vec::new();
        if transition.subject.role != Some(Role::Server) {
            figures.extend(handshake.duration_ns.map(|ns| format!("handshake {}", duration(ns))));
        }
        figures.extend(handshake.rtt_ns.map(|ns| format!("RTT {}", duration(ns))));
        match handshake.syn_retransmits {
            Some(1) => figures.push("1 retransmission".into()),
            Some(n) if n > 1 => figures.push(format!("{n} retransmissions")),
            _ => {}
        }
        if !figures.is_empty() {
            words = format!("{words}: {}", figures.join(", ")).into();
        }
    }
    match step::source(transition) {
        "" => words,
        source => format!("{words}{source}").into(),
    }
}

/// With what the application was told, where that is known.
pub(super) fn with_error(words: &'static str, close: Option<Close>) -> Cow<'static, str> {
    match close.and_then(|close| close.error) {
        Some(error) => format!("{words} ({})", error.name()).into(),
        None => words.into(),
    }
}
