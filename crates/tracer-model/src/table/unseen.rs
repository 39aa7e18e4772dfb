//! State changes of the kernel that no event reported: each is counted once, those of one moment
//! are one loss.
//!
//! A change that must have happened is either reported with the tracepoint as its source or counted
//! here. What proves one: an event or a snapshot that shows a state to which no event led; a full
//! socket that is gone without an event into CLOSED; a socket that is new where all were known.
//! What the tracepoint never shows (a minisocket's changes) is none. Where several ways lead to
//! what is there the shortest counts, and the loss says that it is the least; a peer on this host
//! that has closed in order decides between them.
//!
//! Not proven by anything, and not counted: a connection of which there was no event and that no
//! snapshot has shown; see docs/losses.md.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Loss, LossPlace, Observer, Slot, State, Table, Update};
use tracer_event::endpoint::Tuple;

/// Snapshots after which the last traces of what happened before are found: one may have been
/// begun before, and a full socket is gone when two do not show it.
const SNAPSHOTS: usize = 4;
/// Ends to remember that have closed in order before their peer.
const MOST_ENDS: usize = 1 << 16;

/// What was not seen.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// Not reported yet.
    count: u64,
    /// There may have been more.
    at_least: bool,
    /// State changes counted as lost otherwise and not found yet, by the snapshots since: what is
    /// missing is first of all these.
    lost: [u64; SNAPSHOTS],
    /// Ends that are still to close, as far as known, although their peer on this host has sent
    /// and received a FIN.
    followers: HashMap<Tuple, Closed, RandomState>,
}

/// How the peer closed in order.
#[derive(Clone, Copy, Debug)]
struct Closed {
    time: u64,
    /// Its last state.
    last: State,
    /// Snapshots since.
    age: usize,
}

impl Unseen {
    /// State changes that were not seen; perhaps more.
    pub(super) fn miss(&mut self, count: usize, at_least: bool) {
        self.count += count as u64;
        self.at_least |= at_least && count > 0;
    }

    /// Takes those that are counted nowhere else; whether there may be more.
    fn take(&mut self) -> (u64, bool) {
        let mut count = std::mem::take(&mut self.count);
        for lost in self.lost.iter_mut().rev() {
            let found = count.min(*lost);
            (count, *lost) = (count - found, *lost - found);
        }
        (count, std::mem::take(&mut self.at_least))
    }

    /// A snapshot has been merged: what was lost long before leaves no trace any more.
    fn age(&mut self) {
        self.lost.rotate_right(1);
        self.lost[0] = 0;
        self.followers.retain(|_, closed| {
            closed.age += 1;
            closed.age < SNAPSHOTS
        });
    }

    /// The end `ends` has closed in order, with `last` as its last state. Its peer does the same
    /// at the same time, if it is on this host, unless it has done so before.
    pub(super) fn closed_in_order(&mut self, ends: &Tuple, last: State, time: u64) {
        if !ends.is_within_host() || self.followers.remove(ends).is_some() {
            return;
        }
        if self.followers.len() < MOST_ENDS {
            self.followers.insert(ends.reversed(), Closed { time, last, age: 0 });
        }
    }

    /// The last state of the peer, if it closed in order when this one had been in its state
    /// since `since`; with the time.
    fn far_end(&mut self, ends: &Tuple, since: u64) -> Option<(State, u64)> {
        let Closed { time, last, .. } = self.followers.remove(ends)?;
        (time >= since).then_some((last, time))
    }
}

/// The state changes on the shortest way of a full socket, and whether there is a longer one.
pub(super) struct Way {
    /// The states between.
    pub(super) between: Vec<State>,
    /// How many events the tracepoint fires on it.
    pub(super) events: usize,
    pub(super) at_least: bool,
}

impl Way {
    /// From one state to another, or to the minisocket in that state; `None` where only another
    /// connection on the same socket can get there.
    pub(super) fn of(from: State, to: State, minisocket: bool) -> Option<Self> {
        if from == State::Listen {
            // Its children are other sockets.
            return None;
        }
        let between = if from == to { Vec::new() } else { from.path_to(to)? };
        // The kernel leaves FIN_WAIT2 for CLOSE when a minisocket takes over, in whatever state.
        let further = minisocket && to == State::FinWait2;
        let events = between.len() + usize::from(from != to) + usize::from(further);
        Some(Self { at_least: is_shortcut(from, to), between, events })
    }
}

/// The last state of an end that has closed in order from `state` on, as its peer has, whose last
/// state was `far`.
fn last_in_order(state: State, far: State) -> State {
    match state {
        State::CloseWait | State::LastAck => State::LastAck,
        State::FinWait1 | State::FinWait2 | State::Closing => State::TimeWait,
        _ if far == State::TimeWait => State::LastAck,
        _ => State::TimeWait,
    }
}

/// With Fast Open a connection may be closed before its handshake is complete.
fn is_shortcut(from: State, to: State) -> bool {
    from == State::SynRecv && !matches!(to, State::SynRecv | State::Established)
}

impl Table {
    /// State changes that were lost and are counted as such: what proves to be missing is first of
    /// all these. To be called before [`Self::expire`] or [`Self::merge`] tells what is missing.
    pub fn note_lost(&mut self, count: u64) {
        self.unseen.lost[0] += count;
    }

    /// Whether state changes are known to be missing that have not been reported.
    pub fn has_unseen(&self) -> bool {
        self.unseen.count > 0
    }

    /// Reports how many state changes are known to be missing since the last time.
    pub fn emit_unseen(&mut self, now: u64, out: &mut impl Observer) {
        if !self.has_unseen() {
            return;
        }
        let (count, at_least) = self.unseen.take();
        if count > 0 {
            let place = LossPlace::Unseen;
            let loss = Loss { healed: true, at_least, ..Loss::final_loss(now, place, count) };
            out.observe(Update::Loss(&loss));
        }
    }

    /// The same for what a snapshot has shown.
    pub(super) fn emit_unseen_of_snapshot(&mut self, now: u64, out: &mut impl Observer) {
        self.emit_unseen(now, out);
        self.unseen.age();
    }

    /// A full socket is gone, and no event reported its end: counts what must have happened, and
    /// reports what the peer proves. Whether it has closed in order.
    pub(super) fn miss_end(&mut self, slot: Slot, out: &mut impl Observer) -> bool {
        let connection = &self.store[slot];
        let (state, since) = (connection.state, connection.since);
        let proven = self.unseen.far_end(&connection.tuple, since).and_then(|(far, time)| {
            let last = last_in_order(state, far);
            Some((last, Way::of(state, last, true)?, time))
        });
        let Some((last, way, time)) = proven else {
            let is_last =
                matches!(state, State::Listen | State::FinWait2 | State::Closing | State::LastAck);
            self.unseen.miss(1, !is_last);
            return false;
        };
        self.infer_way(slot, way, time, out);
        if last != state {
            self.infer(slot, last, time, out);
        }
        // TIME_WAIT is a minisocket, which ends without an event.
        self.unseen.miss(usize::from(last == State::LastAck), false);
        true
    }
}
