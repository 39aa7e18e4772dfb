//! A whole life in one line.

use super::{Stories, Text, WallClock, duration};
use crate::{
    model::{
        close::{Initiator, Reason},
        state::State,
        update::Story,
    },
    sink::{step, text::meaning::with_error},
};

impl Text {
    pub(super) fn story(&mut self, story: &Story, clock: WallClock, out: &mut Vec<u8>) {
        if self.stories == Stories::Steps {
            return;
        }
        let process = self.who(&story.subject);
        let mut line = self.begin(story.time, &story.subject, clock, out);
        self.widths.process(&mut line, &process);
        line.space();
        let style = match story.close.map(|close| close.reason) {
            Some(Reason::Graceful) | None => self.palette.plain,
            Some(_) => self.palette.bad,
        };
        line.push(style, &ending(story));
        line.push(self.palette.plain, &format!(" · {}", facts(story).join(" · ")));
        line.finish();
    }
}

/// The whole life in words.
pub(in crate::sink) fn life(story: &Story) -> String {
    let facts = facts(story);
    [ending(story)].into_iter().chain(facts).collect::<Vec<_>>().join(" · ")
}

fn ending(story: &Story) -> String {
    let Some(close) = story.close else { return format!("open ({})", story.state) };
    let by = match close.initiator {
        Some(Initiator::Local) => " by this end",
        Some(Initiator::Peer) => " by the peer",
        Some(Initiator::Kernel) => " by a timer",
        Some(Initiator::Network) => " by the network",
        None => "",
    };
    match close.reason {
        Reason::Graceful => format!("closed{by}"),
        _ => with_error(step::ending(&close), Some(close)).into(),
    }
}

fn facts(story: &Story) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(handshake) = story.handshake {
        facts.extend(handshake.duration_ns.map(|ns| format!("handshake {}", duration(ns))));
    }
    let sign = if story.at_least { "≥" } else { "" };
    for state in State::ALL {
        let time = story.spent[state.index()];
        // What lasts less is no use to know.
        if time >= 1_000_000 && state != State::Closed {
            facts.push(format!("{state} {sign}{}", duration(time)));
        }
    }
    if let (Some(sent), Some(received)) = (story.bytes_sent, story.bytes_received) {
        facts.push(format!("{} out, {} in", bytes(sent), bytes(received)));
    }
    match story.retransmits {
        Some(0) | None => {}
        Some(1) => facts.push("1 retransmission".into()),
        Some(n) => facts.push(format!("{n} retransmissions")),
    }
    facts
}

/// `1.2K`
pub(in crate::sink) fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().iec_short().to_string()
}
