//! Sockets by state and rates of events over time, in a bounded number of slices: when there would
//! be too many, each two become one.

use crate::model::{
    close::Reason,
    state::State,
    update::{Story, Transition, Update},
};

/// Slices that there are at most.
const SLICES: usize = 240;
/// Length of a slice at the beginning, nanoseconds.
const SHORTEST: u64 = 100_000_000;

/// What is counted in each slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A socket became ESTABLISHED.
    Opened,
    /// Both ends closed it.
    Closed,
    /// It was reset, timed out or never connected.
    Failed,
    /// A SYN, SYN+ACK or FIN was retransmitted.
    Retransmitted,
}

/// Number of sockets in a state, without those that were in it before the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Level {
    last: i64,
    most: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    levels: [Level; State::COUNT],
    events: [u64; 4],
}

impl Slice {
    /// The one that follows, in which nothing has happened yet.
    fn next(&self) -> Self {
        let level = |level: Level| Level { most: level.last, ..level };
        Self { levels: self.levels.map(level), events: Default::default() }
    }

    fn join(&mut self, later: &Self) {
        for (one, next) in self.levels.iter_mut().zip(later.levels) {
            *one = Level { last: next.last, most: one.most.max(next.most) };
        }
        for (one, next) in self.events.iter_mut().zip(later.events) {
            *one += next;
        }
    }
}

/// All slices.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    begun: u64,
    width: u64,
    slices: Vec<Slice>,
    /// Sockets that were in a state before the trace: transitions reveal some when they leave it,
    /// the table of sockets reveals all.
    before: [i64; State::COUNT],
}

impl Timeline {
    /// From a time on, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) fn new(begun: u64) -> Self {
        let slices = vec![Slice::default()];
        Self { begun, width: SHORTEST, slices, before: Default::default() }
    }

    /// Length of a slice, nanoseconds.
    pub(super) fn width(&self) -> u64 {
        self.width
    }

    /// Goes on to `time`. Events that arrive late are counted in the present slice.
    pub(super) fn advance(&mut self, time: u64) {
        let since = time.saturating_sub(self.begun);
        while since / self.width >= SLICES as u64 {
            self.width *= 2;
            let pairs = self.slices.chunks(2).map(|pair| {
                let mut one = pair[0];
                pair[1..].iter().for_each(|later| one.join(later));
                one
            });
            self.slices = pairs.collect();
        }
        while (self.slices.len() as u64) <= since / self.width {
            let next = self.present().next();
            self.slices.push(next);
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
            Update::Story(Story { time, close: Some(close), .. }) => {
                self.advance(*time);
                let graceful = close.reason == Reason::Graceful;
                self.count(if graceful { Event::Closed } else { Event::Failed });
            }
            Update::Retransmit(retransmit) => {
                self.advance(retransmit.time);
                self.count(Event::Retransmitted);
            }
            _ => {}
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { from, to, .. } = *transition;
        if to == State::Established {
            self.count(Event::Opened);
        }
        // A connection to a listener is a new socket: the listener stays.
        if from != State::Closed && (from, to) != (State::Listen, State::SynRecv) {
            self.add(from, -1);
        }
        if to != State::Closed {
            self.add(to, 1);
        }
    }

    fn count(&mut self, event: Event) {
        self.present().events[event as usize] += 1;
    }

    fn add(&mut self, state: State, sockets: i64) {
        let level = &mut self.present().levels[state.index()];
        level.last += sockets;
        level.most = level.most.max(level.last);
        let missing = -level.last;
        let before = &mut self.before[state.index()];
        *before = (*before).max(missing);
    }

    /// Takes the true number of sockets in each state: those that no event has reported were there
    /// before.
    pub(super) fn reconcile(&mut self, sockets: &[u64; State::COUNT]) {
        let levels = self.present().levels;
        for ((before, level), &really) in self.before.iter_mut().zip(levels).zip(sockets) {
            *before = really as i64 - level.last;
        }
    }

    /// The most sockets in a state at one time, in each slice.
    pub(super) fn most(&self, state: State) -> Vec<u64> {
        let most = |slice: &Slice| slice.levels[state.index()].most;
        self.slices.iter().map(|slice| self.real(state, most(slice))).collect()
    }

    /// Sockets in a state at the beginning.
    pub(super) fn at_first(&self, state: State) -> u64 {
        self.real(state, 0)
    }

    /// Sockets in a state at the end of the last slice.
    pub(super) fn at_last(&self, state: State) -> u64 {
        self.real(state, self.slices.last().map_or(0, |slice| slice.levels[state.index()].last))
    }

    /// With the sockets that were there before.
    fn real(&self, state: State, level: i64) -> u64 {
        (level + self.before[state.index()]).max(0) as u64
    }

    /// Number of events in each slice.
    pub(super) fn counts(&self, event: Event) -> Vec<u64> {
        self.slices.iter().map(|slice| slice.events[event as usize]).collect()
    }
}
