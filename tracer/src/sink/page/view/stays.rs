//! How long sockets stayed in CLOSE_WAIT and TIME_WAIT, by process and by far end.

use maud::{Markup, html};

use super::{
    Frame,
    bars::{Bar, bars, legend},
    section as section_with,
    table::folded,
    words::of_state,
};
use crate::sink::{
    escape::escape,
    page::{
        Gathered,
        stays::{CLASSES, FarEnd, Groups, Name, STATES, Stay, Stays},
    },
    text::{duration, grouped},
};

/// Bars and rows that are shown; the rest is one of them.
const BARS: usize = 10;
const ROWS: usize = 50;

const COLOURS: [&str; CLASSES.len()] = ["t0", "t1", "t2", "t3", "t4"];

const COLUMNS: [&str; 10] = [
    "",
    "Sockets",
    "There still",
    "Mean time",
    "Longest",
    CLASSES[0],
    CLASSES[1],
    CLASSES[2],
    CLASSES[3],
    CLASSES[4],
];

/// Both states.
pub(super) fn section(gathered: &Gathered, frame: &Frame) -> Markup {
    let stays = gathered.guests.at(frame.clock.now);
    let reading = "Whose sockets stayed how long, and who was at the far end. The length of a bar \
                   is the time of all its sockets together, so that a few that stay count for more \
                   than many that pass; the colour is how long each stayed, the number how many \
                   there were. Those that are there still are counted with the time so far.";
    let legend_entries: Vec<(&str, &str)> = COLOURS.into_iter().zip(CLASSES).collect();
    section_with(
        "stays",
        "Time in CLOSE_WAIT and TIME_WAIT",
        reading,
        &html! {
            (legend(&legend_entries))
            @for (state, stays) in STATES.into_iter().zip(&stays) {
                h3 { (state.name()) }
                p.reading { (of_state(state)) }
                @if stays.sockets() == 0 { p.none { "No socket was in this state." } }
                @else { (both(stays)) }
            }
            @if gathered.guests.unknown > 0 {
                p { (grouped(gathered.guests.unknown)) " more sockets were too many to time." }
            }
        },
    )
}

fn both(stays: &Stays) -> Markup {
    let processes = named(&stays.by_process, |name, stay| process(name, stay.pid));
    let far_ends = named(&stays.by_far_end, |far_end, _| far(far_end));
    html! {
        div.halves {
            div { h4 { "By process" } (chart(&processes)) (numbers("Process", &processes)) }
            div { h4 { "By far end" } (chart(&far_ends)) (numbers("Far end", &far_ends)) }
        }
    }
}

fn named<K: Eq + std::hash::Hash>(
    groups: &Groups<K>,
    name: impl Fn(&K, &Stay) -> String,
) -> Vec<(String, Stay)> {
    let sorted = groups.sorted().into_iter();
    let mut named: Vec<(String, Stay)> =
        sorted.map(|(key, stay)| (name(key, stay), *stay)).collect();
    if groups.others.sockets > 0 {
        named.push(("all others".into(), groups.others));
    }
    named
}

fn process(name: &Name, pid: Option<u32>) -> String {
    let Some(comm) = name else { return "not known".into() };
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    let name = escape(&comm[..end]);
    pid.map_or_else(|| format!("{name} (several)"), |pid| format!("{name}[{pid}]"))
}

fn far(far_end: &FarEnd) -> String {
    match far_end {
        FarEnd::To(end) => format!("to {end}"),
        FarEnd::From(end) => format!("from {}", end.address()),
    }
}

fn chart(groups: &[(String, Stay)]) -> Markup {
    let full = groups.iter().map(|(_, stay)| stay.total).max().unwrap_or(0);
    let bar = |(name, stay): &(String, Stay)| {
        let part = |index: usize| {
            let what = format!("{} {}", grouped(stay.classes[index]), CLASSES[index]);
            (COLOURS[index], what, stay.times[index])
        };
        let parts = (0..CLASSES.len()).map(part).collect();
        Bar { name: name.clone(), number: grouped(stay.sockets), parts }
    };
    let shown: Vec<Bar> = groups.iter().take(BARS).map(bar).collect();
    html! {
        (bars(&shown, full, &[]))
        @if groups.len() > BARS { p.more { "and " (groups.len() - BARS) " more" } }
    }
}

fn numbers(name: &'static str, groups: &[(String, Stay)]) -> Markup {
    let mut head = COLUMNS;
    head[0] = name;
    let row = |(name, stay): &(String, Stay)| {
        let counts = [stay.sockets, stay.still].map(grouped);
        let times = [stay.mean(), stay.longest].map(duration);
        let all = std::iter::once(name.clone()).chain(counts).chain(times);
        all.chain(stay.classes.map(grouped)).collect()
    };
    let rows: Vec<Vec<String>> = groups.iter().take(ROWS).map(row).collect();
    folded("The numbers", &head, &rows, 0)
}
