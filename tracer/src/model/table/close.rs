//! Ends: what `X → CLOSE` means, minisockets, resets.

use std::cmp::Reverse;

use tracer_ebpf::{Record, flag};

use super::{
    Close, Deadline, Observer, REUSABLE, Slot, Source, State, Table, Transition, Undecided, Update,
    transition,
};
use crate::model::{
    close::{Context, Outcome, Reason, initiator, outcome},
    connection::{Connection, SocketId, Traffic},
    endpoint::Tuple,
    time_wait::TIME_WAIT_SECONDS,
    update::{Direction, Role, Sequence, Story},
};

const ECONNRESET: u16 = 104;
/// An RST follows its transition within the same call of the kernel; this is ample.
pub(super) const RESET_FOLLOWS_WITHIN: u64 = 1_000_000;

impl Table {
    /// `tcp_receive_reset`: comes before the transition that it causes, and is told with it.
    pub(super) fn receive_reset(&mut self, record: &Record, out: &mut impl Observer) {
        let slot = self.store.find(SocketId::of(record));
        match slot.and_then(|slot| self.store.get_mut(slot)) {
            Some(connection) => {
                connection.reset_received = true;
                connection.reset_at = Some(record.time_ns);
            }
            // There before the tracer, and not in a snapshot yet.
            None => self.tell_reset(record, Direction::Received, out),
        }
    }

    /// `tcp_send_reset`: may come right after the transition that it explains.
    pub(super) fn send_reset(&mut self, record: &Record, out: &mut impl Observer) {
        self.tell_reset(record, Direction::Sent, out);
        let Some(slot) = self.lookup(record) else {
            return;
        };
        if let Some(index) = self.undecided.iter().position(|undecided| undecided.slot == slot) {
            self.undecided[index].reset_sent = true;
            return self.decide(index, out);
        }
        let orphan = self
            .store
            .get(slot)
            .is_some_and(|connection| connection.state == State::FinWait2 && connection.orphaned);
        let ends = [State::Closed as u8, State::TimeWait as u8].contains(&record.old_state);
        if orphan && ends {
            // What looked like an orphaned FIN_WAIT2 was data after close(), or data has come for
            // the minisocket (tcp_timewait_state_process).
            self.end(slot, Reason::ResetSentDataAfterClose, Source::Inferred, record.time_ns, out);
        }
    }

    /// `from → CLOSE` of anything but a listener.
    pub(super) fn close(
        &mut self,
        slot: Slot,
        record: &Record,
        from: State,
        out: &mut impl Observer,
    ) {
        if self.undecided.iter().any(|undecided| undecided.slot == slot) {
            return;
        }
        if self.options.resets_traced && record.error == ECONNRESET && record.has(flag::DEAD) {
            self.undecided.push(Undecided { slot, record: *record, reset_sent: false });
            return;
        }
        self.conclude(slot, record, from, false, out);
    }

    /// Decides the ends for which no RST has followed.
    pub(super) fn decide_overdue(&mut self, now: u64, out: &mut impl Observer) {
        while let Some(index) = self
            .undecided
            .iter()
            .position(|undecided| undecided.record.time_ns + RESET_FOLLOWS_WITHIN <= now)
        {
            self.decide(index, out);
        }
    }

    pub(super) fn decide(&mut self, index: usize, out: &mut impl Observer) {
        let Undecided { slot, record, reset_sent } = self.undecided.swap_remove(index);
        if let Some(from) = State::from_kernel(record.old_state) {
            self.conclude(slot, &record, from, reset_sent, out);
        }
    }

    fn conclude(
        &mut self,
        slot: Slot,
        record: &Record,
        from: State,
        reset_sent: bool,
        out: &mut impl Observer,
    ) {
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let context = Context {
            reset_received: connection.reset_received,
            reset_sent,
            resets_traced: self.options.resets_traced,
        };
        let fin_sent =
            matches!(from, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck);
        let traffic = Traffic::of(record, connection.role, fin_sent);
        let (to, reason) = match outcome(record, from, context) {
            Outcome::TimeWait => (State::TimeWait, None),
            Outcome::OrphanedFinWait2 => (State::FinWait2, None),
            Outcome::Over(reason) => (State::Closed, Some(reason)),
        };
        let transition = Transition {
            kernel: (to != State::Closed).then_some((from, State::Closed)),
            sequence: Sequence::of(record),
            close: reason
                .map(|reason| Close { reason, initiator: initiator(reason, connection.first_fin) }),
            ..transition(connection, from, to, record.time_ns)
        };
        self.tell_received_reset(slot, record, reason, out);
        self.tell(slot, &transition, out);
        if let Some(connection) = self.store.get_mut(slot) {
            connection.traffic = traffic;
        }
        match reason {
            None => self.become_minisocket(slot, record),
            Some(reason) => self.finish(slot, record, reason, out),
        }
    }

    /// The connection is over with its last transition told.
    fn finish(&mut self, slot: Slot, record: &Record, reason: Reason, out: &mut impl Observer) {
        let connection = self.conclude_story(slot, reason, Source::Tracepoint, out);
        let open = record.has(flag::HAS_SOCKET) && record.shutdown != 3;
        if open {
            if self.reusable.len() >= REUSABLE {
                // Few of them connect again; the ordinals of those start over.
                self.reusable.clear();
            }
            self.reusable.insert(connection.id, connection.ordinal);
        }
        // The far end, if it is on this host, may be a minisocket that changes without an event.
        match reason {
            Reason::Graceful => self.fin_arrived(&connection.tuple, record, out),
            Reason::ResetSentUnreadData
            | Reason::ResetSentLingerZero
            | Reason::ResetSentUnaccepted
            | Reason::Disconnected
            | Reason::Killed => self.reset_arrived(&connection.tuple, record, out),
            _ => {}
        }
    }

    /// The socket lives on as a minisocket, which the tracepoint never shows.
    fn become_minisocket(&mut self, slot: Slot, record: &Record) {
        let Some(connection) = self.store.get_mut(slot) else {
            return;
        };
        connection.orphaned = true;
        self.minisockets.insert(connection.tuple, slot);
        if connection.id.cookie().is_none() {
            // It has another address; that of the full socket is used again at once.
            self.store.release(slot);
        }
        self.plan_removal(slot, record.time_ns, record.jiffies, self.fin_timeout(record));
    }

    /// Seconds for which the kernel keeps the minisocket that follows `record`.
    fn fin_timeout(&self, record: &Record) -> u64 {
        if record.has(flag::DONE) {
            return TIME_WAIT_SECONDS;
        }
        match u64::try_from(record.linger2).unwrap_or(0) / self.options.ticks.hz {
            0 => TIME_WAIT_SECONDS,
            // What exceeds a minute has been spent as a full socket, the excess follows
            // (tcp_keepalive_timer).
            long if long > TIME_WAIT_SECONDS => long - TIME_WAIT_SECONDS,
            short => short,
        }
    }

    pub(super) fn plan_removal(&mut self, slot: Slot, time: u64, jiffies: u64, seconds: u64) {
        let Some(connection) = self.store.get_mut(slot) else {
            return;
        };
        let removal = time + self.options.ticks.removal_in(jiffies, seconds);
        connection.removal = removal;
        connection.timer = jiffies + seconds * self.options.ticks.hz;
        self.removals.push(Reverse(Deadline { time: removal, slot, since: connection.since }));
    }

    /// Tells the story of a connection that is over, and drops it.
    fn conclude_story(
        &mut self,
        slot: Slot,
        reason: Reason,
        source: Source,
        out: &mut impl Observer,
    ) -> Connection {
        let connection = self.forget(slot);
        if connection.role != Some(Role::Listener) {
            let traffic = connection.traffic;
            out.observe(Update::Story(&Story {
                time: connection.since,
                subject: connection.subject(),
                began: connection.began,
                spent: connection.spent,
                at_least: connection.spent_at_least,
                handshake: connection.handshake,
                bytes_sent: traffic.map(|traffic| traffic.sent),
                bytes_received: traffic.map(|traffic| traffic.received),
                retransmits: traffic.map(|traffic| traffic.retransmits),
                close: Close { reason, initiator: initiator(reason, connection.first_fin) },
                source,
            }));
        }
        connection
    }

    /// The orphaned FIN_WAIT2 on the other end of `tuple`, if it is on this host.
    fn other_end(&self, tuple: &Tuple) -> Option<Slot> {
        let other = Tuple { local: tuple.peer, peer: tuple.local, netns: tuple.netns };
        let slot = *self.minisockets.get(&other)?;
        (self.store.get(slot)?.state == State::FinWait2).then_some(slot)
    }

    /// The peer on this host has sent an RST: it silently ends the minisocket.
    fn reset_arrived(&mut self, tuple: &Tuple, record: &Record, out: &mut impl Observer) {
        if let Some(slot) = self.other_end(tuple) {
            self.end(slot, Reason::ResetReceived, Source::Inferred, record.time_ns, out);
        }
    }

    /// The peer on this host has sent its FIN and got it acknowledged: an orphaned FIN_WAIT2 on
    /// the other end of `tuple` is in TIME_WAIT now. No tracepoint says so.
    fn fin_arrived(&mut self, tuple: &Tuple, record: &Record, out: &mut impl Observer) {
        let Some(slot) = self.other_end(tuple) else {
            return;
        };
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let transition = Transition {
            source: Source::Inferred,
            ..transition(connection, State::FinWait2, State::TimeWait, record.time_ns)
        };
        self.tell(slot, &transition, out);
        self.plan_removal(slot, record.time_ns, record.jiffies, TIME_WAIT_SECONDS);
    }

    /// A new connection with the addresses of a minisocket: that one is gone.
    pub(super) fn replace_minisocket(&mut self, slot: Slot, time: u64, out: &mut impl Observer) {
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        if let Some(&old) = self.minisockets.get(&connection.tuple)
            && old != slot
        {
            self.vanish(old, time, Source::Inferred, out);
        }
    }

    /// A socket is gone without an event.
    pub(super) fn vanish(
        &mut self,
        slot: Slot,
        time: u64,
        source: Source,
        out: &mut impl Observer,
    ) {
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let reason = match connection.state {
            State::TimeWait => Reason::Graceful,
            // The kernel gave up waiting for the peer's FIN (tcp_fin_timeout).
            State::FinWait2 if connection.orphaned && time >= connection.removal => {
                Reason::AbortedLocally
            }
            _ => Reason::Unknown,
        };
        self.end(slot, reason, source, time, out);
    }

    /// Ends a connection otherwise than by the tracepoint.
    pub(super) fn end(
        &mut self,
        slot: Slot,
        reason: Reason,
        source: Source,
        time: u64,
        out: &mut impl Observer,
    ) {
        self.announce(slot, State::Closed, None, out);
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let by = initiator(reason, connection.first_fin);
        let transition = Transition {
            source,
            close: Some(Close { reason, initiator: by }),
            ..transition(connection, connection.state, State::Closed, time)
        };
        self.tell(slot, &transition, out);
        self.conclude_story(slot, reason, source, out);
    }
}
