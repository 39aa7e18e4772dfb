//! Whether a socket that is being closed still carries data.
//!
//! After shutdown(SHUT_WR) the other end may go on sending for hours: its CLOSE_WAIT, and the
//! FIN_WAIT2 on this side, are a half-close at work and no leak. The kernel's byte counters show
//! it, from one snapshot to the next.

use tracer_wire::{Record, flag};

use tracer_event::state::State;

/// The counters as they were seen last, and when they moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Low halves: no snapshot is so late that just 4 GiB have moved.
    acked: u32,
    received: u32,
    /// When data was last seen to have moved in the present state; 0 for not at all.
    moved: u64,
    /// When the counters were last seen.
    looked: u64,
}

impl Progress {
    /// Whether data can still move in a state, so that time alone does not make it a problem.
    pub fn is_possible_in(state: State) -> bool {
        matches!(
            state,
            State::CloseWait | State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing
        )
    }

    /// Takes over the counters of a full socket that is in `state`.
    pub fn note(&mut self, state: State, record: &Record) {
        if record.has(flag::CLASSIC) {
            return;
        }
        let time_ns = record.time_ns;
        let (acked, received) = (record.bytes_acked as u32, record.bytes_received as u32);
        let moved = match state {
            // Only this end can still send.
            State::CloseWait | State::FinWait1 | State::LastAck | State::Closing => {
                acked != self.acked
            }
            // Only the peer can.
            State::FinWait2 => received != self.received,
            _ => false,
        };
        if moved {
            self.moved = time_ns;
        }
        (self.acked, self.received, self.looked) = (acked, received, time_ns);
    }

    /// Another state begins.
    pub fn start_over(&mut self) {
        self.moved = 0;
    }

    /// When data was last seen to have moved in the present state, if that was after `since`.
    pub fn since(&self, since: u64) -> u64 {
        self.moved.max(since)
    }

    /// When the counters were last seen.
    pub fn looked(&self) -> u64 {
        self.looked
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn record(time_ns: u64, bytes_acked: u64, bytes_received: u64) -> Record {
        Record { time_ns, bytes_acked, bytes_received, ..Record::EMPTY }
    }

    #[rstest]
    #[case(State::CloseWait, 6, 9, 20)]
    #[case(State::CloseWait, 5, 10, 10)]
    #[case(State::LastAck, 6, 9, 20)]
    #[case(State::FinWait2, 6, 9, 10)]
    #[case(State::FinWait2, 5, 10, 20)]
    #[case(State::Established, 6, 10, 10)]
    fn only_what_can_still_move_counts(
        #[case] state: State,
        #[case] acked: u64,
        #[case] received: u64,
        #[case] since: u64,
    ) {
        let mut progress = Progress::default();
        progress.note(State::Established, &record(10, 5, 9));
        progress.start_over();
        progress.note(state, &record(20, acked, received));
        assert_eq!((progress.since(10), progress.looked()), (since, 20));
        progress.start_over();
        assert_eq!(progress.since(30), 30);
    }
}
