//! Connections whose data nobody reads: of these it is worth looking at what their holders do.

use tracer_wire::{Record, flag, kind};

use crate::{time_wait::Ticks, timeouts::since};
use tracer_event::state::State;

/// A process that is about to read does so within this time, nanoseconds.
const PAUSE: u64 = 4_000_000_000;
/// What was not read for this time may be what nobody reads at the next look, with which that of its
/// process will be compared.
const MOMENT: u64 = 500_000_000;

/// Whether there is data on an open connection that its process has not read.
pub fn is_unread(record: &Record) -> bool {
    record.kind == kind::SOCKET
        && State::from_kernel(record.new_state) == Some(State::Established)
        && record.has(flag::HAS_SOCKET)
        && !record.has(flag::MPTCP)
        && record.unread_bytes() > 0
}

/// For how long it has waited, where no more has come for a while, and this end has sent nothing
/// since either, nanoseconds.
pub fn unread_for(record: &Record, ticks: Ticks) -> Option<u64> {
    waiting(record, ticks).filter(|waiting| *waiting >= PAUSE)
}

/// Whether it is worth looking at what the holders do.
pub fn is_suspicious(record: &Record, ticks: Ticks) -> bool {
    waiting(record, ticks) >= Some(MOMENT)
}

fn waiting(record: &Record, ticks: Ticks) -> Option<u64> {
    let received = since(record, record.last_received, ticks)?;
    let is_unanswered = since(record, record.last_sent, ticks).is_none_or(|sent| sent >= received);
    (is_unread(record) && is_unanswered).then_some(received)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Asked at jiffy 100, now is jiffy 1100: four seconds later.
    fn asked() -> Record {
        Record {
            kind: kind::SOCKET,
            flags: flag::HAS_SOCKET,
            new_state: State::Established as u8,
            jiffies: 1_100,
            last_received: 100,
            last_sent: 99,
            rcv_nxt: 16,
            copied_seq: 1,
            ..Record::EMPTY
        }
    }

    #[rstest]
    #[case::asked(asked(), true)]
    #[case::in_the_same_tick(Record { last_sent: 100, ..asked() }, true)]
    #[case::nothing_ever_sent(Record { last_sent: 0, ..asked() }, true)]
    #[case::answered(Record { last_sent: 101, ..asked() }, false)]
    #[case::just_now(Record { last_received: 101, ..asked() }, false)]
    #[case::read(Record { copied_seq: 16, ..asked() }, false)]
    #[case::not_known(Record { last_received: 0, ..asked() }, false)]
    #[case::not_accepted(Record { flags: 0, ..asked() }, false)]
    #[case::closed(Record { new_state: State::CloseWait as u8, ..asked() }, false)]
    fn only_what_is_not_answered_is_not_read(#[case] record: Record, #[case] waits: bool) {
        let waiting = unread_for(&record, Ticks { hz: 250 });
        assert_eq!(waiting, waits.then_some(4_000_000_000));
    }

    #[rstest]
    #[case(125, true)]
    #[case(124, false)]
    fn what_waits_for_a_moment_is_looked_at(#[case] jiffies: u64, #[case] is_so: bool) {
        let record = Record { jiffies: 100 + jiffies, ..asked() };
        assert_eq!(is_suspicious(&record, Ticks { hz: 250 }), is_so);
    }
}
