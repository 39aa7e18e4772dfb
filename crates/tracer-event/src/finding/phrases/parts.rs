//! What the sentences of several findings have.

use crate::{
    duration::{duration, grouped},
    finding::{
        connections::Connections,
        parts::{Listener, Program, Service},
        words::{end, listener as local_of, process as name},
    },
    phrase::{Phrase, Value},
    process::{Halt, Process},
};

/// `python3[812]` of each, the first three of them.
pub(super) fn programs(programs: &[Program]) -> Value {
    const SHOWN: usize = 3;
    let names = programs.iter().take(SHOWN).map(|program| name(&program.process));
    let names = names.collect::<Vec<_>>().join(", ");
    match programs.len() {
        0 => Phrase::new("a-process").into(),
        1..=SHOWN => names.into(),
        all => and_more(names, all - SHOWN),
    }
}

pub(super) fn and_more(names: String, more: usize) -> Value {
    Phrase::new("and-more").with("names", names).with("more", more.to_string()).into()
}

pub(super) fn a_process(known: Option<&Process>) -> Value {
    known.map_or_else(|| Phrase::new("a-process").into(), |known| name(known).into())
}

pub(super) fn peers(of: &Connections) -> Value {
    match of.peers.as_slice() {
        [] => Phrase::new("a-peer").into(),
        [(peer, _)] => end(*peer).into(),
        [(peer, _), more @ ..] => and_more(end(*peer), more.len()),
    }
}

pub(super) fn connections(of: &Connections) -> Phrase {
    Phrase::new(if of.is_held() { "connections-of" } else { "connections-closed-by" })
        .with("who", programs(&of.holders))
        .with("count", grouped(of.sockets))
        .with("service", service(of.service))
}

pub(super) fn service(service: Service) -> Value {
    match service {
        Service::Here(local) => Phrase::new("here").with("address", local_of(local)).into(),
        Service::There(peer) => peer.to_string().into(),
    }
}

/// A listener and who holds it; nothing where it is not known which one it is.
pub(super) fn whose(from: &Listener) -> Option<Value> {
    if from.candidates > 1 {
        return None;
    }
    let local = local_of(from.local);
    Some(match from.processes.as_slice() {
        [] => local.into(),
        processes => {
            Phrase::new("held-by").with("address", local).with("who", programs(processes)).into()
        }
    })
}

pub(super) fn with_queue(phrase: Phrase, from: &Listener) -> Phrase {
    phrase.with("queue", from.queue.to_string()).with("backlog", from.backlog.to_string())
}

/// Why a process cannot run.
pub(super) fn halted(halt: Halt) -> Phrase {
    Phrase::new(match halt {
        Halt::Stopped => "halted-stopped",
        Halt::Traced => "halted-traced",
        Halt::Frozen => "halted-frozen",
    })
}

pub(super) fn least(at_least: bool, time: u64) -> String {
    format!("{}{}", if at_least { "≥ " } else { "" }, duration(time))
}

/// When none is left.
pub(super) fn none_left(minutes: Option<f64>) -> Option<Phrase> {
    minutes.map(|minutes| match minutes {
        ..1.0 => Phrase::new("left-minute"),
        1.0..120.0 => Phrase::new("left-minutes").with("left", format!("{minutes:.0}")),
        120.0..2_880.0 => Phrase::new("left-hours").with("left", format!("{:.0}", minutes / 60.0)),
        _ => Phrase::new("left-days").with("left", format!("{:.0}", minutes / 1_440.0)),
    })
}
