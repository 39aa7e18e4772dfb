//! How many local ports are left towards each destination.

use maud::{Markup, html};

use super::{
    part::{Frame, section as section_with, unless},
    table::{Bar, Ranking, legend},
};
use crate::{
    model::ports::Scope,
    sink::{
        page::{
            gathered::Gathered,
            headroom::{Destination, Taken},
        },
        text::grouped,
    },
};

/// The width of a chart: the whole range of ports.
const FULL: u64 = 10_000;
/// The shares from which on `tracer diagnose` warns, and calls it critical.
const MARKS: [f64; 2] = [0.5, 0.9];

/// Destinations with most ports.
pub(super) fn section(gathered: &Gathered, frame: &Frame) -> Markup {
    let headroom = &gathered.headroom;
    let taken = headroom.taken.sorted().into_iter().filter(|(_, taken)| taken.most > 0);
    let bars: Vec<Bar> = taken
        .map(|(key, taken)| bar(key, taken, headroom.sizes.get(&key.netns).copied(), frame))
        .collect();
    let empty = bars.is_empty();
    let columns = ["From → to", "Peak", "At", "Left then", "Range", "Network namespace"];
    let table = ("Numbers", &columns[..], 0);
    let ranking = Ranking { bars, drawn: 10, full: FULL, marks: &MARKS, table };
    let reading = "The most local ports in use at one time towards each destination, including \
                   TIME_WAIT, out of those available (ip_local_port_range). The lines mark 50 % \
                   and 90 %; when no port is left, connect() fails. Destinations do not compete: \
                   each has the whole range.";
    let unlisted = u64::from(headroom.taken.others.most);
    section_with(
        "headroom",
        "Ephemeral ports",
        reading,
        &html! {
            (unless(empty, "There were no outgoing connections.", || html! {
                (legend([("good", "under 50 %"), ("broken", "from 50 %"), ("bad", "from 90 %")]))
                (ranking.draw())
            }))
            @if unlisted > 0 {
                p { (grouped(unlisted)) " connections went to destinations that are not listed." }
            }
        },
    )
}

fn bar(key: &Destination, taken: &Taken, size: Option<u32>, frame: &Frame) -> Bar {
    let number = |number: u32| grouped(number.into());
    let most = number(taken.most);
    let share = size.map(|size| (u64::from(taken.most) * FULL / u64::from(size.max(1))).min(FULL));
    let class = match share {
        None | Some(..5_000) => "good",
        Some(5_000..9_000) => "broken",
        Some(_) => "bad",
    };
    let of = match size {
        Some(size) => format!("{most} of {}", number(size)),
        None => format!("{most}, range unknown"),
    };
    let known = |value: Option<u32>| value.map_or_else(|| "unknown".into(), number);
    let left = size.map(|size| size.saturating_sub(taken.most));
    Bar {
        name: match key.scope {
            Scope::Destination { local, peer } => format!("{} → {peer}", local.address()),
            Scope::Address(local) => format!("{} → anywhere (bind() first)", local.address()),
        },
        // Even a little is visible.
        parts: vec![(class, of.clone(), share.map_or(0, |share| share.max(30)))],
        number: of,
        cells: vec![most, frame.time(taken.at), known(left), known(size), key.netns.to_string()],
    }
}
