//! Transitions, handshakes and stuck sockets, counted as they happen.

use std::{collections::VecDeque, sync::Arc};

use hdrhistogram::Histogram;

use crate::top::{
    rows::ByState,
    ui_snapshot::{ByEdge, CLASSES, Durations, HISTORY, RECENT, UiSnapshot},
};
use tracer_event::{
    close::Reason,
    state::State,
    update::{Linger, LingerStatus, Role, Transition},
};

const SECOND: u64 = 1_000_000_000;
/// Longer durations are counted as this one.
const LONGEST: u64 = 1_000 * SECOND;

/// What it takes to keep the counts of a picture up to date.
#[derive(Default)]
pub(super) struct Counting {
    connected: Times,
    accepted: Times,
    history: Arc<VecDeque<ByState<u32>>>,
    /// The totals of the last seconds, with their times, oldest first.
    recent: VecDeque<(u64, ByEdge<u64>)>,
}

/// Durations of handshakes.
struct Times {
    shown: Durations,
    exact: Histogram<u32>,
}

impl Default for Times {
    fn default() -> Self {
        #[expect(clippy::unwrap_used, reason = "the bounds are constants that are allowed")]
        let exact = Histogram::new_with_max(LONGEST, 2).unwrap();
        Self { shown: Durations::default(), exact }
    }
}

impl Times {
    fn add(&mut self, duration: u64) {
        let class = CLASSES.iter().position(|&end| duration < end).unwrap_or(CLASSES.len() - 1);
        self.shown.classes[class] += 1;
        self.exact.saturating_record(duration);
    }

    fn show(&self) -> Durations {
        let quantiles = [0.5, 0.99, 1.0].map(|part| self.exact.value_at_quantile(part));
        Durations { quantiles, ..self.shown }
    }
}

impl Counting {
    /// Begins the history: before the first snapshot of all sockets the counts are not complete.
    pub(super) fn begin(&mut self) {
        self.history = Arc::default();
    }

    pub(super) fn transition(&mut self, transition: &Transition, ui_snapshot: &mut UiSnapshot) {
        let Transition { from, to, handshake, close, ref subject, .. } = *transition;
        if from != to {
            ui_snapshot.totals[from.index()][to.index()] += 1;
        }
        if let Some(handshake) = handshake {
            let server = subject.role == Some(Role::Server);
            let times = if server { &mut self.accepted } else { &mut self.connected };
            handshake.duration_ns.into_iter().for_each(|duration| times.add(duration));
            let retried = handshake.syn_retransmits.is_some_and(|count| count > 0);
            ui_snapshot.handshakes.retried += u64::from(retried);
        }
        let opening = matches!(from, State::SynSent | State::SynRecv) && to == State::Closed;
        let failed = close.is_some_and(|close| close.reason != Reason::Graceful);
        ui_snapshot.handshakes.failed += u64::from(opening && failed);
    }

    /// Completes a picture whose numbers of sockets are up to date.
    pub(super) fn show(&mut self, now: u64, ui_snapshot: &mut UiSnapshot) {
        self.sample(now, ui_snapshot);
        ui_snapshot.history = Arc::clone(&self.history);
        ui_snapshot.handshakes.connected = self.connected.show();
        ui_snapshot.handshakes.accepted = self.accepted.show();
        let Some((time, before)) = self.recent.front() else { return };
        let seconds = now.saturating_sub(*time).max(SECOND) as f64 / SECOND as f64;
        for (from, row) in ui_snapshot.totals.iter().enumerate() {
            for (to, total) in row.iter().enumerate() {
                ui_snapshot.rates[from][to] = (total - before[from][to]) as f64 / seconds;
            }
        }
    }

    /// Takes a sample per second.
    fn sample(&mut self, now: u64, ui_snapshot: &UiSnapshot) {
        if self.recent.back().is_some_and(|(time, _)| now < time + SECOND) {
            return;
        }
        self.recent.push_back((now, ui_snapshot.totals));
        while self.recent.len() > RECENT + 1 {
            self.recent.pop_front();
        }
        // The picture on the screen may still share the last one.
        let history = Arc::make_mut(&mut self.history);
        history.push_back(ui_snapshot.counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX)));
        while history.len() > HISTORY {
            history.pop_front();
        }
    }
}

/// Counts the sockets that have outlasted the threshold of their state.
pub(super) fn linger(linger: &Linger, ui_snapshot: &mut UiSnapshot) {
    let count = &mut ui_snapshot.lingering[linger.state.index()];
    match linger.status {
        LingerStatus::Raised => *count += 1,
        LingerStatus::Continues => {}
        LingerStatus::Cleared => *count = count.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds_and_changes_those_of_a_minute() {
        let mut counting = Counting::default();
        let mut ui_snapshot = UiSnapshot::default();
        let edge = (State::Established.index(), State::CloseWait.index());
        for second in 0..100 {
            ui_snapshot.counts[State::CloseWait.index()] = 2 * second;
            ui_snapshot.totals[edge.0][edge.1] = 2 * second;
            counting.show(second * SECOND, &mut ui_snapshot);
        }
        assert_eq!(ui_snapshot.rate(State::Established, State::CloseWait), 2.0);
        assert_eq!(ui_snapshot.entering(State::CloseWait), 2.0);
        assert_eq!(ui_snapshot.change(State::CloseWait), Some(120));
        assert_eq!(ui_snapshot.history.len(), 100);
        counting.show(200 * SECOND, &mut ui_snapshot);
        assert!(ui_snapshot.events() < 0.1, "{}", ui_snapshot.events());
    }

    /// What was there before is no change, and neither is what happens in the first minute.
    #[test]
    fn nothing_is_said_of_a_minute_ago_before_a_minute_has_passed() {
        let mut counting = Counting::default();
        let mut ui_snapshot = UiSnapshot::default();
        let listen = State::Listen;
        counting.show(0, &mut ui_snapshot);
        counting.begin();
        for second in 1..=70 {
            ui_snapshot.counts[listen.index()] = if second > 65 { 2 } else { 1 };
            counting.show(second * SECOND, &mut ui_snapshot);
            let expected = match second {
                ..=60 => None,
                61..=65 => Some(0),
                _ => Some(1),
            };
            assert_eq!(ui_snapshot.change(listen), expected, "second {second}");
        }
    }

    #[test]
    fn every_duration_has_a_class() {
        let mut times = Times::default();
        for duration in [0, 19_999, 20_000, 3 * SECOND, u64::MAX] {
            times.add(duration);
        }
        assert_eq!(times.shown.total(), 5);
        assert_eq!(times.shown.classes[..2], [2, 1]);
        assert_eq!(times.shown.classes[CLASSES.len() - 1], 1);
    }
}
