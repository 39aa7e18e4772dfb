//! Sockets by state and what happened, over time, in a bounded number of slices: when there would
//! be too many, each two become one.

use crate::model::{
    close::Reason,
    state::State,
    table::Table,
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
    /// It ended in order.
    Ended,
    /// It was reset, timed out or never came about.
    Failed,
    /// A SYN, SYN+ACK or FIN was sent again.
    SentAgain,
}

impl Event {
    /// All of them, in the order in which they are shown.
    pub(super) const ALL: [Self; 4] = [Self::Opened, Self::Ended, Self::Failed, Self::SentAgain];
}

/// Sockets in a state, beyond those that were in it before and have not been told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Level {
    last: i64,
    most: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    levels: [Level; State::COUNT],
    events: [u64; Event::ALL.len()],
}

impl Slice {
    /// The one that follows, in which nothing has happened yet.
    fn next(&self) -> Self {
        let level = |level: Level| Level { last: level.last, most: level.last };
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
    /// Sockets of which no update has told how they came into their state: they were there before.
    /// Transitions show some when they leave; a look at the table shows all.
    before: [i64; State::COUNT],
}

impl Timeline {
    /// From a moment on, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) fn new(begun: u64) -> Self {
        let slices = vec![Slice::default()];
        Self { begun, width: SHORTEST, slices, before: Default::default() }
    }

    /// Length of a slice, nanoseconds.
    pub(super) fn width(&self) -> u64 {
        self.width
    }

    /// Goes on to `time`. What is told late is counted in the present slice.
    pub(super) fn advance(&mut self, time: u64) {
        let since = time.saturating_sub(self.begun);
        while since / self.width >= SLICES as u64 {
            self.coarsen();
        }
        while (self.slices.len() as u64) <= since / self.width {
            let next = self.present().next();
            self.slices.push(next);
        }
    }

    fn coarsen(&mut self) {
        self.width *= 2;
        let pairs = self.slices.chunks(2).map(|pair| {
            let mut one = pair[0];
            pair[1..].iter().for_each(|later| one.join(later));
            one
        });
        self.slices = pairs.collect();
    }

    fn present(&mut self) -> &mut Slice {
        let last = self.slices.len() - 1;
        &mut self.slices[last]
    }

    /// Counts an update.
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(told) => {
                self.advance(told.time);
                self.transition(told);
            }
            Update::Story(Story { time, close: Some(close), .. }) => {
                self.advance(*time);
                let in_order = close.reason == Reason::Graceful;
                self.count(if in_order { Event::Ended } else { Event::Failed });
            }
            Update::Retransmit(told) => {
                self.advance(told.time);
                self.count(Event::SentAgain);
            }
            Update::Story(_)
            | Update::Reset(_)
            | Update::Linger(_)
            | Update::Loss(_)
            | Update::Finding(_) => {}
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { from, to, .. } = *transition;
        if to == State::Established {
            self.count(Event::Opened);
        }
        // A connection on a listener is a new socket: the listener stays.
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

    /// How many sockets there really are now: those that no update has told of were there before.
    pub(super) fn agree(&mut self, sockets: &[u64; State::COUNT]) {
        let levels = self.present().levels;
        for ((before, level), &really) in self.before.iter_mut().zip(levels).zip(sockets) {
            *before = really as i64 - level.last;
        }
    }

    /// The most sockets in a state at one time in each slice.
    pub(super) fn most(&self, state: State) -> Vec<u64> {
        let before = self.before[state.index()];
        let most = |slice: &Slice| (slice.levels[state.index()].most + before).max(0) as u64;
        self.slices.iter().map(most).collect()
    }

    /// Sockets in a state at the beginning.
    pub(super) fn at_first(&self, state: State) -> u64 {
        self.before[state.index()].max(0) as u64
    }

    /// Sockets in a state at the end of the last slice.
    pub(super) fn at_last(&self, state: State) -> u64 {
        let level = self.slices.last().map_or(0, |slice| slice.levels[state.index()].last);
        (level + self.before[state.index()]).max(0) as u64
    }

    /// How often something happened in each slice.
    pub(super) fn counts(&self, event: Event) -> Vec<u64> {
        self.slices.iter().map(|slice| slice.events[event as usize]).collect()
    }
}

/// How many sockets of a table are in each state; those whose beginning has not been told yet are
/// left out.
pub(super) fn census(
    table: &Table,
    mut wanted: impl FnMut(&crate::model::connection::Connection) -> bool,
) -> [u64; State::COUNT] {
    let mut sockets = [0; State::COUNT];
    for life in table.connections().filter(|life| !life.unannounced) {
        sockets[life.state.index()] += u64::from(wanted(life));
    }
    sockets
}
