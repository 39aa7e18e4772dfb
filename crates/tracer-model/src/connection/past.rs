//! The states that a connection has left, in a word each.

use tracer_event::state::State;

/// States that a legal path leaves before its last one: SYN_SENT, SYN_RECV, ESTABLISHED,
/// FIN_WAIT1 and CLOSING or FIN_WAIT2, before TIME_WAIT.
const STAYS: usize = 5;
/// Stands where a state would: accept() has returned the socket.
const ACCEPTED: u64 = 15;
/// Above these bits of a word is the state; below them the time, which lasts for 36 years.
const TIME_BITS: u32 = 60;

/// When each of the states that were left had been entered, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past([u64; STAYS]);

impl Past {
    /// Adds a state that was entered at `since` and is left now; false where the oldest one had to
    /// be given up for it: events have been lost, or there would be fewer.
    pub(super) fn leave(&mut self, state: State, since: u64) -> bool {
        let stay = pack(u64::from(state as u8), since);
        // No state is zero.
        let is_free = |stay: &u64| *stay == 0 || is_acceptance(*stay);
        if let Some(free) = self.0.iter_mut().find(|stay| is_free(stay)) {
            *free = stay;
            return true;
        }
        self.0.rotate_left(1);
        self.0[STAYS - 1] = stay;
        false
    }

    /// Remembers when accept() returned it. That has room behind the stays, since no path from a
    /// listener is the longest; a path that is no legal one takes its place.
    pub(super) fn accept(&mut self, time: u64) {
        let last = &mut self.0[STAYS - 1];
        if *last == 0 || is_acceptance(*last) {
            *last = pack(ACCEPTED, time);
        }
    }

    /// When accept() returned it, where that was seen.
    pub(super) fn accepted(&self) -> Option<u64> {
        Some(self.0[STAYS - 1]).filter(|last| is_acceptance(*last)).map(time)
    }

    /// The states with the times of entry.
    pub(super) fn stays(&self) -> impl Iterator<Item = (State, u64)> {
        self.0.into_iter().map_while(|stay| Some((state(stay)?, time(stay))))
    }

    /// The states with the nanoseconds spent in them, where the last was left at `until`.
    pub(super) fn spent(&self, until: u64) -> impl Iterator<Item = (State, u64)> {
        (0..STAYS).map_while(move |index| {
            let stay = self.0[index];
            let next = self.0.get(index + 1).copied().filter(|next| state(*next).is_some());
            Some((state(stay)?, next.map_or(until, time).saturating_sub(time(stay))))
        })
    }
}

const fn pack(what: u64, time: u64) -> u64 {
    what << TIME_BITS | self::time(time)
}

const fn time(stay: u64) -> u64 {
    stay & ((1 << TIME_BITS) - 1)
}

#[inline]
fn state(stay: u64) -> Option<State> {
    State::from_kernel((stay >> TIME_BITS) as u8)
}

const fn is_acceptance(stay: u64) -> bool {
    stay >> TIME_BITS == ACCEPTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_legal_path_is_kept_and_of_a_longer_one_its_end() {
        use State::{Closing, Established, FinWait1, FinWait2, SynRecv, SynSent};
        let mut past = Past::default();
        let path = [SynSent, SynRecv, Established, FinWait1, Closing];
        for (state, time) in path.into_iter().zip([10, 15, 30, 20, 50]) {
            assert!(past.leave(state, time));
        }
        // Events may arrive out of order: no time is less than none.
        let spent: Vec<(State, u64)> = past.spent(80).collect();
        assert_eq!(spent, path.into_iter().zip([5, 15, 0, 30, 30]).collect::<Vec<_>>());
        assert!(!past.leave(FinWait2, 80));
        let first: Vec<(State, u64)> = past.stays().take(2).collect();
        assert_eq!(first, [(SynRecv, 15), (Established, 30)]);
        assert_eq!(past.spent(81).last(), Some((FinWait2, 1)));
    }

    #[test]
    fn an_acceptance_is_kept_beside_every_path_from_a_listener_and_is_no_stay() {
        use State::{Closing, Established, FinWait1, FinWait2, SynRecv};
        for last in [FinWait2, Closing] {
            let mut past = Past::default();
            assert!(past.leave(SynRecv, 10));
            past.accept(25);
            for (state, time) in [(Established, 20), (FinWait1, 30), (last, 40)] {
                assert_eq!(past.accepted(), Some(25));
                assert!(past.leave(state, time));
            }
            assert_eq!((past.accepted(), past.stays().count()), (Some(25), 4));
            // No TIME_WAIT is left for another state; should it be, states count for more.
            assert!(past.leave(State::TimeWait, 50));
            assert_eq!((past.accepted(), past.stays().count()), (None, 5));
            past.accept(60);
            assert_eq!((past.accepted(), past.stays().count()), (None, 5));
        }
    }
}
