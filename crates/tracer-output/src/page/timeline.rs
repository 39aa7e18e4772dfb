//! Sockets by state, and rates of events, over time.
//!
//! The number of slices is bounded: when there would be too many, each two become one.

use std::fmt::Display;

use maud::{Markup, html};

use super::{
    chart::{area, figure},
    html::Frame,
    words,
};
use crate::text::grouped;
use tracer_event::{
    close::Reason,
    state::State,
    update::{ConnectionSummary, Transition, Update},
};

/// Slices that there are at most.
const SLICES: usize = 240;
/// Length of a slice at the beginning, nanoseconds. It doubles: some slices always are a whole
/// number of seconds.
const SHORTEST: u64 = 250_000_000;
const SECOND: f64 = 1e9;

/// What is counted in each slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Opened,
    Closed,
    Failed,
    Retransmitted,
}

/// Events with their names, what they mean, and the tone of their charts.
const EVENTS: [(Event, &str, &str, &str); 4] = [
    (Event::Opened, "Opened", "Completed handshakes.", "plain"),
    (Event::Closed, "Closed normally", "Closed by both ends.", "plain"),
    (Event::Failed, "Aborted or failed", "Reset, timed out, or never connected.", "bad"),
    (Event::Retransmitted, "Retransmitted", "SYN, SYN+ACK or FIN not answered in time.", "bad"),
];

const RATES: &str = "Connections opened and closed, and segments of handshakes and teardowns that \
                     were retransmitted, per second, by whole seconds.";

/// By [`State::index`]; sockets from before the trace are not counted, so that it may be negative.
type Levels = [i64; State::COUNT];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    /// The most sockets at one time.
    most: Levels,
    events: [u64; EVENTS.len()],
}

impl Slice {
    fn join(mut self, later: &Self) -> Self {
        self.most.iter_mut().zip(later.most).for_each(|(one, next)| *one = (*one).max(next));
        self.events.iter_mut().zip(later.events).for_each(|(one, next)| *one += next);
        self
    }
}

/// All slices.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    begun: u64,
    /// Length of a slice, nanoseconds.
    width: u64,
    slices: Vec<Slice>,
    now: Levels,
    /// Sockets that were in a state before the trace: transitions reveal some when they leave it,
    /// the table of sockets reveals all.
    before: Levels,
    /// The table has been read: sockets to which nothing happened are counted too.
    reconciled: bool,
}

impl Timeline {
    /// From a time on, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) fn new(begun: u64) -> Self {
        let (now, before) = Default::default();
        let slices = vec![Slice::default()];
        Self { begun, width: SHORTEST, slices, now, before, reconciled: false }
    }

    /// Goes on to `time`. Events that arrive late are counted in the present slice.
    pub(super) fn advance(&mut self, time: u64) {
        let since = time.saturating_sub(self.begun);
        while since / self.width >= SLICES as u64 {
            self.width *= 2;
            let pairs = self.slices.chunks(2);
            self.slices = pairs.map(|pair| pair[1..].iter().fold(pair[0], Slice::join)).collect();
        }
        let slices = since / self.width + 1;
        if slices > self.slices.len() as u64 {
            self.slices.resize(slices as usize, Slice { most: self.now, ..Slice::default() });
        }
    }

    fn present(&mut self) -> &mut Slice {
        let last = self.slices.len() - 1;
        &mut self.slices[last]
    }

    /// Counts an update.
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(step) => {
                self.advance(step.time);
                self.transition(step);
            }
            Update::Connection(ConnectionSummary { time, close: Some(close), .. }) => {
                let graceful = close.reason == Reason::Graceful;
                self.count(*time, if graceful { Event::Closed } else { Event::Failed });
            }
            Update::Retransmit(retransmit) => self.count(retransmit.time, Event::Retransmitted),
            _ => {}
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { time, from, to, .. } = *transition;
        if to == State::Established {
            self.count(time, Event::Opened);
        }
        // A connection to a listener is a new socket: the listener stays.
        if from != State::Closed && (from, to) != (State::Listen, State::SynRecv) {
            self.add(from.index(), -1);
        }
        if to != State::Closed {
            self.add(to.index(), 1);
        }
    }

    fn count(&mut self, time: u64, event: Event) {
        self.advance(time);
        self.present().events[event as usize] += 1;
    }

    fn add(&mut self, state: usize, sockets: i64) {
        self.now[state] += sockets;
        let now = self.now[state];
        self.before[state] = self.before[state].max(-now);
        let most = &mut self.present().most[state];
        *most = (*most).max(now);
    }

    /// Takes the true number of sockets in each state: those that no event has reported were there
    /// before.
    pub(super) fn reconcile(&mut self, sockets: Levels) {
        self.before = std::array::from_fn(|state| sockets[state] - self.now[state]);
        self.reconciled = true;
    }

    /// The most sockets in a state at one time, in each slice.
    pub(super) fn most(&self, state: State) -> Vec<u64> {
        let most = |slice: &Slice| self.real(state, slice.most[state.index()]);
        self.slices.iter().map(most).collect()
    }

    /// Sockets in a state at the beginning.
    pub(super) fn at_first(&self, state: State) -> u64 {
        self.real(state, 0)
    }

    /// Sockets in a state now.
    pub(super) fn at_last(&self, state: State) -> u64 {
        self.real(state, self.now[state.index()])
    }

    /// With the sockets that were there before.
    fn real(&self, state: State, level: i64) -> u64 {
        (level + self.before[state.index()]).max(0) as u64
    }

    /// Number of events in each slice.
    pub(super) fn counts(&self, event: Event) -> Vec<u64> {
        self.slices.iter().map(|slice| slice.events[event as usize]).collect()
    }

    /// Length of a slice, seconds.
    pub(super) fn slice(&self) -> f64 {
        self.width as f64 / SECOND
    }

    /// When a slice begins.
    fn start(&self, index: usize) -> String {
        format!("{}\u{a0}s", index as f64 * self.slice())
    }

    /// Sockets by state; `stuck` are states in which some lingered.
    pub(super) fn states(&self, frame: &Frame, stuck: &[State]) -> Markup {
        let chart = |state: State| {
            let values = self.most(state);
            Chart {
                name: state.name(),
                caption: words::of_state(state),
                tone: if stuck.contains(&state) { "bad" } else { "plain" },
                drawn: (values.iter().map(|count| *count as f64).collect(), self.slice()),
                totals: self.peak(state, &values),
                values,
            }
        };
        let before = if self.reconciled {
            "Sockets from before the observation are counted."
        } else {
            "A recording holds events: a socket from before it counts only if something happened \
             to it."
        };
        let (slice, period, before) = (self.slice(), self.period(frame), frame.say(before));
        let values: [(&str, &dyn Display); 3] =
            [("slice", &slice), ("period", &period), ("before", &before)];
        let english = format_args!(
            "The most sockets in each state at one time, in slices of {slice} s. {period} Each \
             chart has its own scale; states in which sockets were stuck are red. {before}",
        );
        let reading = frame.worded("page-states", &values, english);
        let columns = ["State", "At the start", "Peak", "Peak at", "At the end"];
        let states = State::ALL.into_iter().filter(|state| *state != State::Closed);
        let none = "There were no connections.";
        let content = self.draw(states.map(chart), "", &columns, frame, none);
        frame.section("states", "Sockets by state", &reading, &content)
    }

    fn peak(&self, state: State, most: &[u64]) -> Vec<String> {
        let peak = most.iter().copied().max().unwrap_or(0);
        let index = most.iter().position(|count| *count == peak).unwrap_or(0);
        let [first, peak, last] = [self.at_first(state), peak, self.at_last(state)].map(grouped);
        vec![first, peak, self.start(index), last]
    }

    /// Rates of events.
    pub(super) fn events(&self, frame: &Frame) -> Markup {
        let seconds = self.seconds(frame).max(1.0);
        let chart = |(event, name, caption, tone)| {
            let values = self.counts(event);
            let drawn = per_second(&values, self.slice());
            let total: u64 = values.iter().sum();
            let rates = [total as f64 / seconds, drawn.0.iter().copied().fold(0.0, f64::max)];
            let rates = rates.map(|rate| format!("{rate:.1}"));
            let totals = [&[grouped(total)], &rates[..]].concat();
            Chart { name, caption, tone, drawn, totals, values }
        };
        let reading = format!("{} {}", frame.say(RATES), self.period(frame));
        let columns = ["", "Total", "Mean per second", "Peak per second"];
        let none = "No connection was opened or closed.";
        let charts = EVENTS.into_iter().map(chart);
        frame.section(
            "events",
            "Events",
            &reading,
            &self.draw(charts, "per second", &columns, frame, none),
        )
    }

    /// Charts, whose names `unit` follows, with a table of their totals and one of all values.
    fn draw(
        &self,
        charts: impl Iterator<Item = Chart>,
        unit: &str,
        columns: &[&str],
        frame: &Frame,
        none: &str,
    ) -> Markup {
        let happened = |chart: &Chart| chart.values.iter().any(|value| *value > 0);
        // Listeners come last, without a chart: they listen all the time.
        let (listen, charts): (Vec<_>, Vec<_>) =
            charts.filter(happened).partition(|chart| chart.name == State::Listen.name());
        let row = |chart: &Chart| [&[frame.say(chart.name).to_owned()], &chart.totals[..]].concat();
        let rows: Vec<Vec<String>> = charts.iter().chain(&listen).map(row).collect();
        frame.unless(charts.is_empty(), none, || {
            html! {
                div.panels { @for chart in &charts { (chart.draw(unit, self.seconds(frame), frame)) } }
                (frame.table(columns, &rows, 0))
                (self.slices(&charts, frame))
            }
        })
    }

    fn slices(&self, charts: &[Chart], frame: &Frame) -> Markup {
        let columns: Vec<&str> =
            std::iter::once("From").chain(charts.iter().map(|chart| chart.name)).collect();
        let row = |index: usize| {
            let numbers = charts.iter().map(|chart| grouped(chart.values[index]));
            std::iter::once(self.start(index)).chain(numbers).collect()
        };
        let rows: Vec<Vec<String>> = (0..self.slices.len()).map(row).collect();
        frame.folded("Numbers by slice", &columns, &rows, 0)
    }

    /// When the charts begin and end.
    fn period(&self, frame: &Frame) -> String {
        let [begin, end] = [self.begun, frame.clock.now].map(|time| frame.time(time));
        let seconds = self.seconds(frame).round();
        let values: [(&str, &dyn Display); 3] =
            [("begin", &begin), ("end", &end), ("seconds", &seconds)];
        let english = format_args!("From {begin} (0\u{a0}s) to {end} ({seconds}\u{a0}s).");
        frame.worded("page-period", &values, english)
    }

    /// Length of all, seconds.
    fn seconds(&self, frame: &Frame) -> f64 {
        frame.clock.now.saturating_sub(self.begun) as f64 / SECOND
    }
}

/// Rates, and the seconds that each is of: at least one, or a single event would be ten a second.
fn per_second(counts: &[u64], slice: f64) -> (Vec<f64>, f64) {
    let together = (1.0 / slice).ceil().max(1.0);
    let length = slice * together;
    let rate = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / length;
    (counts.chunks(together as usize).map(rate).collect(), length)
}

/// One chart over time.
struct Chart {
    name: &'static str,
    caption: &'static str,
    tone: &'static str,
    /// What is drawn, and the length of its slices, seconds.
    drawn: (Vec<f64>, f64),
    /// Its row in the table of totals.
    totals: Vec<String>,
    /// By slice.
    values: Vec<u64>,
}

impl Chart {
    fn draw(&self, unit: &str, seconds: f64, frame: &Frame) -> Markup {
        let name = [frame.say(self.name), frame.say(unit)].join(" ");
        let name = name.trim_end();
        let (values, slice) = &self.drawn;
        let label = format!("{name} {}", frame.say("over time"));
        figure(name, frame.say(self.caption), &area(&label, values, *slice, seconds, self.tone))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// However long it takes, some slices are a whole number of seconds.
    #[test]
    fn slices_add_up_to_whole_seconds() {
        for hours in 0..100 {
            let mut timeline = Timeline::new(0);
            timeline.advance(hours * 3_600 * 1_000_000_000);
            let (_, length) = per_second(&[0], timeline.slice());
            assert!(length >= 1.0 && length.fract() == 0.0, "{hours} h: {length} s");
        }
    }

    /// One event is one a second, in however short a slice it happened.
    #[rstest]
    #[case(&[0, 1, 0], 0.25, &[1.0], 1.0)]
    #[case(&[1, 0, 0, 0, 2, 1], 0.25, &[1.0, 3.0], 1.0)]
    #[case(&[6, 0, 0, 0], 0.5, &[6.0, 0.0], 1.0)]
    #[case(&[8, 4], 2.0, &[4.0, 2.0], 2.0)]
    fn rates_are_those_of_whole_seconds(
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
