//! How sockets ended.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::{
    html::{Bar, Frame, Ranking},
    words::{OUTCOMES, of_reason},
};
use crate::text::{grouped, reason};
use tracer_event::summary::Lives;

/// Close reasons.
pub(super) fn reasons(lives: &Lives, frame: &Frame) -> Markup {
    let mut ends = lives.ends.clone();
    ends.sort_by_key(|(_, count)| Reverse(*count));
    let total: u64 = ends.iter().map(|(_, count)| count).sum();
    let bar = |&(why, count)| {
        let (class, meaning) = of_reason(why);
        let share = format!("{:.1} %", count as f64 * 100.0 / total.max(1) as f64);
        Bar {
            name: frame.say(reason(why)).to_owned(),
            number: grouped(count),
            parts: vec![(class, grouped(count), count)],
            cells: vec![grouped(count), share, frame.say(meaning).to_owned()],
        }
    };
    let ranking = Ranking {
        bars: ends.iter().map(bar).collect(),
        drawn: ends.len(),
        full: ends.first().map_or(0, |(_, count)| *count),
        marks: &[],
        table: ("What the reasons mean", &["Reason", "Sockets", "Share", "What happened"], 1),
    };
    let reading = "Number of sockets by close reason, as the kernel knows it. Of a connection \
                   within this host each end has its own reason.";
    frame.section(
        "closes",
        "Close reasons",
        reading,
        &frame.unless(ends.is_empty(), "No socket was closed.", || {
            html! {
                (frame.legend(OUTCOMES))
                (ranking.draw(frame))
            }
        }),
    )
}
