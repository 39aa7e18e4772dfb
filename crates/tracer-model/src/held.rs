//! Connections that are silent after an answer, and may be held by nobody who waits for them: of these
//! it is worth looking at what their holders do.

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

/// Connections that are silent after an answer, by who holds them.
#[derive(Default)]
pub struct Silent<'a> {
    /// Nobody who listens for their like: another process than the one that is done with them.
    pub apart: Vec<&'a Record>,
    /// Who listens for their like, and nobody else.
    pub by_listener: Vec<&'a Record>,
}

/// Connections to listeners here that are silent after an answer.
pub fn silent<'a>(records: &'a [Record], holders: &[Holder], ticks: Ticks) -> Silent<'a> {
    let listeners = Listeners::among(records);
    let silent: Vec<(&Record, Vec<&Record>)> = records
        .iter()
        .filter(|record| idle_after_answer(record, ticks).is_some())
        .map(|record| (record, listeners.at(record.netns, Tuple::of(record).local)))
        .filter(|(_, listeners)| !listeners.is_empty())
        .collect();
    if silent.is_empty() {
        return Silent::default();
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
    let mut found = Silent::default();
    for (record, listeners) in &silent {
        let listening: Vec<&u32> = listeners.iter().flat_map(|listener| of(listener)).collect();
        let held = of(record);
        if held.is_empty() || listening.is_empty() {
        } else if held.iter().all(|pid| listening.contains(&pid)) {
            found.by_listener.push(record);
        } else if !held.iter().any(|pid| listening.contains(&pid)) {
            found.apart.push(record);
        }
    }
    found
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
    #[case::a_child_that_does_not_listen(&[7], &[6], (1, 0))]
    #[case::a_worker_that_accepts_itself(&[7], &[6, 7], (0, 1))]
    #[case::the_parent_holds_it_too(&[7, 6], &[6], (0, 0))]
    #[case::only_the_parent_holds_it(&[6], &[6], (0, 1))]
    #[case::nobody_seen(&[], &[6], (0, 0))]
    #[case::nobody_listens(&[7], &[], (0, 0))]
    fn who_listens_must_have_let_go_or_be_alone(
        #[case] holding: &[u32],
        #[case] listening: &[u32],
        #[case] apart_and_by_listener: (usize, usize),
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
        let found = silent(&records, &holders, TICKS);
        assert_eq!((found.apart.len(), found.by_listener.len()), apart_and_by_listener);
    }
}
