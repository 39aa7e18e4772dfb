//! Sockets by state, and what happened, over time.

use maud::{Markup, html};

use super::{
    Frame,
    panel::{Tone, area, figure},
    section,
    table::{folded, table},
    words::of_state,
};
use crate::{
    model::state::State,
    sink::{
        page::{Gathered, shown, timeline::Event},
        text::grouped,
    },
};

const SECOND: f64 = 1e9;

/// Sockets by state.
pub(super) fn states(gathered: &Gathered, frame: &Frame) -> Markup {
    let timeline = &gathered.timeline;
    let seconds = frame.clock.now.saturating_sub(gathered.begun) as f64 / SECOND;
    let slice = timeline.width() as f64 / SECOND;
    let seen: Vec<(State, Vec<u64>)> = shown()
        .map(|state| (state, timeline.most(state)))
        .filter(|(_, most)| most.iter().any(|count| *count > 0))
        .collect();
    let before = if gathered.looked {
        "Sockets that were there before are counted."
    } else {
        "A recording holds what happened: of the sockets that were there before it, those to which \
         nothing happened are not counted."
    };
    let reading = format!(
        "The most sockets that were in each state at one time, in slices of {slice} s; times count \
         from {}. Each chart has its own scale; red are states in which sockets lingered. \
         {before}",
        frame.time(gathered.begun)
    );
    section(
        "states",
        "Sockets by state",
        &reading,
        &html! {
            @if seen.is_empty() { p.none { "There were no connections." } }
            @else {
                div.panels {
                    @for (state, most) in &seen {
                        @let values: Vec<f64> = most.iter().map(|count| *count as f64).collect();
                        @let label = format!("Sockets in {state} over time");
                        @let tone = if lingers(gathered, *state) { Tone::Bad } else { Tone::Plain };
                        (figure(state.name(), of_state(*state), &area(&label, &values, slice, seconds, tone)))
                    }
                }
                (overall(gathered, &seen, slice))
                (slices(&seen, slice))
            }
        },
    )
}

fn lingers(gathered: &Gathered, state: State) -> bool {
    gathered.troubles.lingering.keys().any(|group| group.state == state)
}

fn overall(gathered: &Gathered, seen: &[(State, Vec<u64>)], slice: f64) -> Markup {
    let timeline = &gathered.timeline;
    let row = |(state, most): &(State, Vec<u64>)| {
        let peak = most.iter().copied().max().unwrap_or(0);
        let index = most.iter().position(|count| *count == peak).unwrap_or(0);
        let after = format!("{:.1} s", index as f64 * slice);
        let (first, last) = (timeline.at_first(*state), timeline.at_last(*state));
        vec![state.name().to_owned(), grouped(first), grouped(peak), after, grouped(last)]
    };
    let mut rows: Vec<Vec<String>> = seen.iter().map(row).collect();
    let listening = (timeline.at_first(State::Listen), timeline.at_last(State::Listen));
    if listening != (0, 0) {
        let most = timeline.most(State::Listen).into_iter().max().unwrap_or(0);
        let (first, last) = (grouped(listening.0), grouped(listening.1));
        rows.push(vec!["LISTEN".into(), first, grouped(most), "".into(), last]);
    }
    table(&["State", "At the beginning", "Most", "Reached after", "At the end"], &rows, 0)
}

fn slices(seen: &[(State, Vec<u64>)], slice: f64) -> Markup {
    let mut head = vec!["From"];
    head.extend(seen.iter().map(|(state, _)| state.name()));
    let length = seen.first().map_or(0, |(_, most)| most.len());
    let row = |index: usize| {
        let numbers = seen.iter().map(|(_, most)| grouped(most[index]));
        std::iter::once(format!("{:.1} s", index as f64 * slice)).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = (0..length).map(row).collect();
    folded("The numbers, slice by slice", &head, &rows, 0)
}

/// What happened, a second.
pub(super) fn events(gathered: &Gathered, frame: &Frame) -> Markup {
    let timeline = &gathered.timeline;
    let seconds = frame.clock.now.saturating_sub(gathered.begun) as f64 / SECOND;
    let slice = timeline.width() as f64 / SECOND;
    let seen: Vec<(Event, Vec<u64>)> = Event::ALL
        .into_iter()
        .map(|event| (event, timeline.counts(event)))
        .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
        .collect();
    let reading = "How many sockets opened and ended, and how many segments of handshakes and \
                   teardowns had to be sent again, each second. What is shorter than a second is \
                   counted together.";
    section(
        "events",
        "What happened",
        reading,
        &html! {
            @if seen.is_empty() { p.none { "Nothing opened or ended." } }
            @else {
                div.panels {
                    @for (event, counts) in &seen {
                        @let (name, meaning, tone) = words(*event);
                        @let (rates, length) = per_second(counts, slice);
                        @let label = format!("{name} over time");
                        (figure(name, meaning, &area(&label, &rates, length, seconds, tone)))
                    }
                }
                (totals(&seen, slice, seconds))
            }
        },
    )
}

/// Rates, and the seconds that each is of: at least one, or a single event would be ten a second.
fn per_second(counts: &[u64], slice: f64) -> (Vec<f64>, f64) {
    let together = (1.0 / slice).ceil().max(1.0);
    let length = slice * together;
    let rate = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / length;
    (counts.chunks(together as usize).map(rate).collect(), length)
}

fn totals(seen: &[(Event, Vec<u64>)], slice: f64, seconds: f64) -> Markup {
    let row = |(event, counts): &(Event, Vec<u64>)| {
        let total: u64 = counts.iter().sum();
        let most = per_second(counts, slice).0.into_iter().fold(0.0, f64::max);
        let mean = total as f64 / seconds.max(1.0);
        let rate = |rate: f64| format!("{rate:.1}");
        vec![words(*event).0.to_owned(), grouped(total), rate(mean), rate(most)]
    };
    let rows: Vec<Vec<String>> = seen.iter().map(row).collect();
    let mut head = vec!["From"];
    head.extend(seen.iter().map(|(event, _)| words(*event).0));
    let length = seen.first().map_or(0, |(_, counts)| counts.len());
    let slices = (0..length).map(|index| {
        let numbers = seen.iter().map(|(_, counts)| grouped(counts[index]));
        std::iter::once(format!("{:.1} s", index as f64 * slice)).chain(numbers).collect()
    });
    html! {
        (table(&["", "In all", "A second, on average", "A second, at most"], &rows, 0))
        (folded("How many in each slice", &head, &slices.collect::<Vec<_>>(), 0))
    }
}

fn words(event: Event) -> (&'static str, &'static str, Tone) {
    match event {
        Event::Opened => ("Opened, a second", "Handshakes completed.", Tone::Plain),
        Event::Ended => ("Ended in order, a second", "Closed by both ends.", Tone::Plain),
        Event::Failed => {
            ("Ended otherwise, a second", "Reset, timed out, or never came about.", Tone::Bad)
        }
        Event::SentAgain => {
            ("Sent again, a second", "SYN, SYN+ACK or FIN without an answer in time.", Tone::Bad)
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// One event is one a second, in however short a slice it happened.
    #[rstest]
    #[case(&[0, 1, 0], 0.1, &[1.0], 1.0)]
    #[case(&[1, 0, 0, 0, 0, 2], 0.2, &[1.0, 2.0], 1.0)]
    #[case(&[6, 0, 0, 0], 0.4, &[5.0, 0.0], 1.2)]
    #[case(&[8, 4], 1.6, &[5.0, 2.5], 1.6)]
    fn rates_are_those_of_a_second_or_more(
        #[case] counts: &[u64],
        #[case] slice: f64,
        #[case] rates: &[f64],
        #[case] length: f64,
    ) {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        let (found, of) = per_second(counts, slice);
        assert!(near(of, length), "{of}");
        assert_eq!(found.len(), rates.len());
        assert!(found.iter().zip(rates).all(|(one, other)| near(*one, *other)), "{found:?}");
    }
}
