//! Sockets by state, and rates of events, over time.

use maud::{Markup, html};

use super::{
    panel::{area, figure},
    part::{Frame, section, unless},
    table::{folded, table},
    words::of_state,
};
use crate::{
    model::state::State,
    sink::{
        page::{gathered::Gathered, timeline::Event},
        text::grouped,
    },
};

const SECOND: f64 = 1e9;

/// Events with their names, what they mean, and the tone of their charts.
const EVENTS: [(Event, &str, &str, &str); 4] = [
    (Event::Opened, "Opened", "Completed handshakes.", "plain"),
    (Event::Closed, "Closed normally", "Closed by both ends.", "plain"),
    (Event::Failed, "Aborted or failed", "Reset, timed out, or never connected.", "bad"),
    (Event::Retransmitted, "Retransmitted", "SYN, SYN+ACK or FIN not answered in time.", "bad"),
];

/// One chart.
struct Series<'a> {
    name: &'a str,
    caption: &'a str,
    tone: &'a str,
    /// By slice.
    values: Vec<u64>,
}

/// Charts with a table of their totals, and one of all their values.
struct Charts<'a> {
    series: Vec<Series<'a>>,
    /// Length of a slice, seconds.
    slice: f64,
    /// Length of all, seconds.
    seconds: f64,
}

impl<'a> Charts<'a> {
    /// Without those in which nothing happened.
    fn new(gathered: &Gathered, frame: &Frame, series: impl Iterator<Item = Series<'a>>) -> Self {
        Self {
            series: series.filter(|one| one.values.iter().any(|value| *value > 0)).collect(),
            slice: gathered.timeline.width() as f64 / SECOND,
            seconds: frame.clock.now.saturating_sub(gathered.begun) as f64 / SECOND,
        }
    }

    /// All of it; `unit` follows the names, and `values` are what is drawn of a series, in slices
    /// of some length.
    fn draw(
        &self,
        unit: &str,
        values: impl Fn(&Series<'a>) -> (Vec<f64>, f64),
        totals: &Markup,
    ) -> Markup {
        let name = |one: &Series<'a>| format!("{}{unit}", one.name);
        html! {
            div.panels {
                @for one in &self.series {
                    @let (values, length) = values(one);
                    @let label = format!("{} over time", name(one));
                    (figure(&name(one), one.caption, &area(&label, &values, length, self.seconds, one.tone)))
                }
            }
            (totals)
            (self.slices())
        }
    }

    fn slices(&self) -> Markup {
        let names = self.series.iter().map(|one| one.name);
        let columns: Vec<&str> = std::iter::once("From").chain(names).collect();
        let length = self.series.first().map_or(0, |one| one.values.len());
        let row = |index: usize| {
            let numbers = self.series.iter().map(|one| grouped(one.values[index]));
            std::iter::once(self.time(index)).chain(numbers).collect()
        };
        folded("Numbers by slice", &columns, &(0..length).map(row).collect::<Vec<_>>(), 0)
    }

    /// When a slice begins.
    fn time(&self, index: usize) -> String {
        format!("{:.1} s", index as f64 * self.slice)
    }
}

/// Sockets by state. Listeners have no chart: they listen all the time.
pub(super) fn states(gathered: &Gathered, frame: &Frame) -> Markup {
    let stuck: Vec<State> =
        gathered.troubles.lingering.sorted().iter().map(|(group, _)| group.state).collect();
    let states = State::ALL.into_iter().filter(|one| !matches!(one, State::Closed | State::Listen));
    let series = states.map(|state| Series {
        name: state.name(),
        caption: of_state(state),
        tone: if stuck.contains(&state) { "bad" } else { "plain" },
        values: gathered.timeline.most(state),
    });
    let charts = Charts::new(gathered, frame, series);
    let before = if gathered.looked {
        "Sockets from before the observation are counted."
    } else {
        "A recording holds events: a socket from before it counts only if something happened to it."
    };
    let reading = format!(
        "The most sockets in each state at one time, in slices of {} s; times count from {}. Each \
         chart has its own scale; states in which sockets were stuck are red. {before}",
        charts.slice,
        frame.time(gathered.begun)
    );
    let values =
        |one: &Series<'_>| (one.values.iter().map(|count| *count as f64).collect(), charts.slice);
    section(
        "states",
        "Sockets by state",
        &reading,
        &unless(charts.series.is_empty(), "There were no connections.", || {
            charts.draw("", values, &peaks(gathered, &charts))
        }),
    )
}

fn peaks(gathered: &Gathered, charts: &Charts<'_>) -> Markup {
    let timeline = &gathered.timeline;
    let row = |state: State| {
        let most = timeline.most(state);
        let peak = most.iter().copied().max().unwrap_or(0);
        let index = most.iter().position(|count| *count == peak).unwrap_or(0);
        let [first, last] = [timeline.at_first(state), timeline.at_last(state)].map(grouped);
        let after = if state == State::Listen { String::new() } else { charts.time(index) };
        (peak > 0).then(|| vec![state.name().to_owned(), first, grouped(peak), after, last])
    };
    let (listeners, others): (Vec<State>, Vec<State>) =
        State::ALL.into_iter().partition(|state| *state == State::Listen);
    let rows: Vec<Vec<String>> = others.into_iter().chain(listeners).filter_map(row).collect();
    table(&["State", "At the start", "Peak", "Peak after", "At the end"], &rows, 0)
}

/// Rates of events.
pub(super) fn events(gathered: &Gathered, frame: &Frame) -> Markup {
    let series = EVENTS.map(|(event, name, caption, tone)| {
        let values = gathered.timeline.counts(event);
        Series { name, caption, tone, values }
    });
    let charts = Charts::new(gathered, frame, series.into_iter());
    let reading = "Connections opened and closed, and segments of handshakes and teardowns that \
                   were retransmitted, per second. Slices shorter than a second are combined.";
    let rates = |one: &Series<'_>| per_second(&one.values, charts.slice);
    section(
        "events",
        "Events",
        reading,
        &unless(charts.series.is_empty(), "No connection was opened or closed.", || {
            charts.draw(" per second", rates, &totals(&charts))
        }),
    )
}

/// Rates, and the seconds that each is of: at least one, or a single event would be ten a second.
fn per_second(counts: &[u64], slice: f64) -> (Vec<f64>, f64) {
    let together = (1.0 / slice).ceil().max(1.0);
    let length = slice * together;
    let rate = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / length;
    (counts.chunks(together as usize).map(rate).collect(), length)
}

fn totals(charts: &Charts<'_>) -> Markup {
    let row = |one: &Series<'_>| {
        let total: u64 = one.values.iter().sum();
        let mean = total as f64 / charts.seconds.max(1.0);
        let most = per_second(&one.values, charts.slice).0.into_iter().fold(0.0, f64::max);
        vec![one.name.to_owned(), grouped(total), format!("{mean:.1}"), format!("{most:.1}")]
    };
    let rows: Vec<Vec<String>> = charts.series.iter().map(row).collect();
    table(&["", "Total", "Mean per second", "Peak per second"], &rows, 0)
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
