//! How long sockets stayed in CLOSE_WAIT and TIME_WAIT, by process and by peer.

use std::{fmt::Debug, hash::Hash};

use maud::{Markup, html};

use super::{
    part::{Frame, process, section as section_with, unless},
    table::{Bar, Ranking, legend},
    words::of_state,
};
use crate::sink::{
    page::{
        gathered::Gathered,
        groups::Groups,
        peer::Peer,
        stays::{CLASSES, Name, STATES, Stay, Stays},
    },
    text::{duration, grouped},
};

const COLOURS: [&str; CLASSES.len()] = ["t0", "t1", "t2", "t3", "t4"];

/// Both states.
pub(super) fn section(gathered: &Gathered, frame: &Frame) -> Markup {
    let stays = gathered.guests.at(frame.clock.now);
    let reading = "Which processes and peers had sockets in these states, and for how long. The \
                   length of a bar is the total time of its sockets, so that a few that stay count \
                   for more than many that pass; its colours show how long each stayed, the number \
                   how many there were. Sockets still in the state count with their time so far.";
    section_with(
        "stays",
        "Time in CLOSE_WAIT and TIME_WAIT",
        reading,
        &html! {
            (legend(COLOURS.into_iter().zip(CLASSES)))
            @for (state, stays) in STATES.into_iter().zip(&stays) {
                h3 { (state.name()) }
                p.reading { (of_state(state)) }
                (unless(stays.sockets == 0, "No socket was in this state.", || both(stays)))
            }
            @if gathered.guests.unknown > 0 {
                p { (grouped(gathered.guests.unknown)) " more sockets were not timed." }
            }
        },
    )
}

fn both(stays: &Stays) -> Markup {
    let process = |name: &Name, stay: &Stay| match name {
        Some(comm) => process(comm, stay.pid),
        None => "unknown".into(),
    };
    let peer = |peer: &Peer, _: &Stay| match peer {
        Peer::Service(_) => format!("to {peer}"),
        Peer::Client(_) => format!("from {peer}"),
    };
    html! {
        div.halves {
            div { h4 { "By process" } (ranking("Process", &stays.by_process, process)) }
            div { h4 { "By peer" } (ranking("Peer", &stays.by_peer, peer)) }
        }
    }
}

fn ranking<K: Clone + Debug + Eq + Hash, const KEPT: usize>(
    what: &str,
    groups: &Groups<K, Stay, KEPT>,
    name: impl Fn(&K, &Stay) -> String,
) -> Markup {
    let sorted = groups.sorted();
    let full = sorted.first().map_or(0, |(_, stay)| stay.total()).max(groups.others.total());
    let mut bars: Vec<Bar> =
        sorted.into_iter().map(|(key, stay)| bar(name(key, stay), stay)).collect();
    if groups.others.sockets() > 0 {
        bars.push(bar("all others".into(), &groups.others));
    }
    let columns =
        [&[what, "Sockets", "Still there", "Mean time", "Longest"][..], &CLASSES].concat();
    Ranking { bars, drawn: 10, full, marks: &[], table: ("Numbers", &columns, 0) }.draw()
}

fn bar(name: String, stay: &Stay) -> Bar {
    let part = |index: usize| {
        let what = format!("{} {}", grouped(stay.classes[index]), CLASSES[index]);
        (COLOURS[index], what, stay.times[index])
    };
    let counts = [stay.sockets(), stay.still].map(grouped);
    let times = [stay.total() / stay.sockets().max(1), stay.longest].map(duration);
    Bar {
        name,
        number: grouped(stay.sockets()),
        parts: (0..CLASSES.len()).map(part).collect(),
        cells: [&counts[..], &times, &stay.classes.map(grouped)].concat(),
    }
}
