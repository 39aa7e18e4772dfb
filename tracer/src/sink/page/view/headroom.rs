//! How many local ports are left towards each destination.

use maud::{Markup, html};

use super::{
    Frame,
    bars::{Bar, bars, legend},
    section as section_with,
    table::folded,
};
use crate::{
    model::ports::Scope,
    sink::{
        page::{
            Gathered,
            headroom::{Taken, Whereto},
        },
        text::grouped,
    },
};

const BARS: usize = 10;
const ROWS: usize = 50;
/// From here on `tracer diagnose` warns, and calls it critical.
const MARKS: [f64; 2] = [0.5, 0.9];

/// Destinations with most ports.
pub(super) fn section(gathered: &Gathered, frame: &Frame) -> Markup {
    let headroom = &gathered.headroom;
    let sorted = headroom.sorted();
    let reading = "The most local ports that were taken at one time towards each destination, \
                   TIME_WAIT included, of those that there are to choose from \
                   (ip_local_port_range). The lines are at 50 % and 90 %; where none is left, \
                   connect() fails. Two destinations do not compete: each has the whole range.";
    section_with(
        "headroom",
        "Port headroom",
        reading,
        &html! {
            @if sorted.is_empty() { p.none { "No connection was made from here." } }
            @else {
                (legend(&[("good", "under 50 %"), ("broken", "from 50 %"), ("bad", "from 90 %")]))
                (chart(gathered, &sorted))
                (numbers(gathered, &sorted, frame))
            }
            @if headroom.unlisted > 0 {
                p { (grouped(headroom.unlisted)) " connections went to destinations that were too many to count." }
            }
        },
    )
}

fn destination(key: &Whereto) -> String {
    match key.scope {
        Scope::Destination { local, peer } => format!("{} → {peer}", local.address()),
        Scope::Address(local) => format!("{} → anywhere (bind() first)", local.address()),
    }
}

fn chart(gathered: &Gathered, sorted: &[(&Whereto, &Taken)]) -> Markup {
    const FULL: u64 = 10_000;
    let bar = |(key, taken): &(&Whereto, &Taken)| {
        let most = u64::from(taken.most);
        let size = gathered.headroom.sizes.get(&key.netns).map(|size| u64::from(*size));
        let share = size.map_or(0, |size| most * FULL / size.max(1)).min(FULL);
        let class = match share {
            ..5_000 => "good",
            5_000..9_000 => "broken",
            _ => "bad",
        };
        let number = match size {
            Some(size) => format!("{} of {}", grouped(most), grouped(size)),
            None => format!("{}, range not known", grouped(most)),
        };
        // What is there is seen, however little it is.
        let part = (class, number.clone(), if size.is_some() { share.max(30) } else { 0 });
        Bar { name: destination(key), number, parts: vec![part] }
    };
    let shown: Vec<Bar> = sorted.iter().take(BARS).map(bar).collect();
    html! {
        (bars(&shown, FULL, &MARKS))
        @if sorted.len() > BARS { p.more { "and " (sorted.len() - BARS) " more" } }
    }
}

fn numbers(gathered: &Gathered, sorted: &[(&Whereto, &Taken)], frame: &Frame) -> Markup {
    let row = |(key, taken): &(&Whereto, &Taken)| {
        let size = gathered.headroom.sizes.get(&key.netns);
        let left = size.map(|size| size.saturating_sub(taken.most));
        let number = |number: Option<u32>| {
            number.map_or_else(|| "not known".into(), |number| grouped(u64::from(number)))
        };
        let (name, netns) = (destination(key), key.netns.to_string());
        let most = grouped(u64::from(taken.most));
        vec![name, most, frame.time(taken.at), number(left), number(size.copied()), netns]
    };
    let rows: Vec<Vec<String>> = sorted.iter().take(ROWS).map(row).collect();
    let head = ["From → to", "Most taken", "At", "Left then", "Range", "Network namespace"];
    folded("The numbers", &head, &rows, 0)
}
