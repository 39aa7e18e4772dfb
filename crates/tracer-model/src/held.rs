//! Connections of which one snapshot says that another process may hold them than the one that is
//! done with them: of these it is worth looking at what their holders do.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::{Holder, Record, flag, kind};

use super::{
    connection::SocketId,
    listeners::{Listeners, waits},
    time_wait::Ticks,
};
use tracer_event::{endpoint::Tuple, state::State};

/// A connection on which something has moved within this time is in use, nanoseconds.
const QUIET: u64 = 2_000_000_000;

/// How long nothing has moved on an open connection on which this end has answered last, if that
/// has been for a while: the client has all that was sent, and nobody has to read anything.
pub fn idle_after_answer(record: &Record, ticks: Ticks) -> Option<u64> {
    let is_open = record.kind == kind::SOCKET
        && State::from_kernel(record.new_state) == Some(State::Established)
        && !record.has(flag::MPTCP)
        && !waits(record);
    let is_settled = record.bytes_acked > 0
        && record.bytes_received > 0
        && record.write_seq == record.snd_una
        && record.unread_bytes() == 0;
    let ago = |jiffy: u32| (record.jiffies as u32).wrapping_sub(jiffy);
    let (sent, received) = (ago(record.last_sent), ago(record.last_received));
    let is_known = record.last_sent != 0 && record.last_received != 0;
    let idle = ticks.nanoseconds(sent.into());
    (is_open && is_settled && is_known && sent <= received && idle >= QUIET).then_some(idle)
}

/// Connections that are silent after an answer and that nobody holds who listens for their like.
pub fn candidates<'a>(records: &'a [Record], holders: &[Holder], ticks: Ticks) -> Vec<&'a Record> {
    let listeners = Listeners::among(records);
    let silent: Vec<(&Record, Vec<&Record>)> = records
        .iter()
        .filter(|record| idle_after_answer(record, ticks).is_some())
        .map(|record| (record, listeners.at(record.netns, Tuple::of(record).local)))
        .filter(|(_, listeners)| !listeners.is_empty())
        .collect();
    if silent.is_empty() {
        return Vec::new();
    }
    let ids: HashSet<SocketId, RandomState> = silent
        .iter()
        .flat_map(|(record, listeners)| listeners.iter().chain([record]))
        .map(|record| SocketId::of(record))
        .collect();
    let mut pids: HashMap<SocketId, Vec<u32>, RandomState> = HashMap::default();
    for holder in holders.iter().filter(|holder| ids.contains(&SocketId::held(holder))) {
        pids.entry(SocketId::held(holder)).or_default().push(holder.pid);
    }
    let of = |record: &Record| pids.get(&SocketId::of(record)).map_or(&[][..], Vec::as_slice);
    let is_apart = |(record, listeners): &(&Record, Vec<&Record>)| {
        let mut listening = listeners.iter().flat_map(|listener| of(listener)).peekable();
        let held = of(record);
        !held.is_empty() && listening.peek().is_some() && !listening.any(|pid| held.contains(pid))
    };
    silent.into_iter().filter(is_apart).map(|(record, _)| record).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TICKS: Ticks = Ticks { hz: 250 };

    /// Answered at jiffy 100, now is jiffy 1100: four seconds later.
    fn answered() -> Record {
        Record {
            kind: kind::SOCKET,
            flags: flag::HAS_SOCKET,
            new_state: State::Established as u8,
            jiffies: 1_100,
            last_received: 99,
            last_sent: 100,
            bytes_acked: 6,
            bytes_received: 1,
            ..Record::EMPTY
        }
    }

    #[rstest]
    #[case::answered(answered(), true)]
    #[case::in_the_same_tick(Record { last_received: 100, ..answered() }, true)]
    #[case::a_request_is_being_worked_on(Record { last_received: 101, ..answered() }, false)]
    #[case::just_now(Record { last_sent: 900, ..answered() }, false)]
    #[case::on_the_way(Record { write_seq: 1, ..answered() }, false)]
    #[case::to_be_read(Record { rcv_nxt: 1, ..answered() }, false)]
    #[case::greeted_only(Record { bytes_received: 0, ..answered() }, false)]
    #[case::not_known(Record { last_sent: 0, last_received: 0, ..answered() }, false)]
    #[case::not_accepted(Record { flags: 0, ..answered() }, false)]
    fn only_who_has_answered_may_be_done(#[case] record: Record, #[case] is_silent: bool) {
        let idle = idle_after_answer(&record, TICKS);
        assert_eq!(idle, is_silent.then_some(4_000_000_000));
    }

    #[rstest]
    #[case::a_child_that_does_not_listen(&[7], &[6], true)]
    #[case::a_worker_that_accepts_itself(&[7], &[6, 7], false)]
    #[case::the_parent_holds_it_too(&[7, 6], &[6], false)]
    #[case::nobody_seen(&[], &[6], false)]
    #[case::nobody_listens(&[7], &[], false)]
    fn who_listens_must_have_let_go(
        #[case] holding: &[u32],
        #[case] listening: &[u32],
        #[case] is_candidate: bool,
    ) {
        let connection = Record { cookie: 1, ..answered() };
        let listener = Record { cookie: 2, new_state: State::Listen as u8, ..answered() };
        let holder = |cookie, pid: &u32| Holder {
            cookie,
            sk: 0,
            inode: 0,
            start_ns: 0,
            pid: *pid,
            fd: 4,
            netns: 0,
            tid: *pid,
            comm: [0; 16],
        };
        let holding = holding.iter().map(|pid| holder(1, pid));
        let holders: Vec<Holder> =
            holding.chain(listening.iter().map(|pid| holder(2, pid))).collect();
        let records = [connection, listener];
        assert_eq!(candidates(&records, &holders, TICKS).len(), usize::from(is_candidate));
    }
}
