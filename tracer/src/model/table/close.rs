//! Ends: what `X → CLOSE` means, minisockets, resets.

use tracer_ebpf::{Record, flag};

use super::{
    Close, Observer, REUSABLE, Slot, Source, State, Table, Transition, transition, whole::End,
};
use crate::model::{
    close::{Context, Outcome, Reason, initiator, outcome},
    connection::{Connection, SocketId, Traffic},
    endpoint::Tuple,
    icmp::{self, Icmp},
    time_wait::TIME_WAIT_SECONDS,
    update::{Direction, Sequence},
};

const ECONNRESET: u16 = 104;

impl Table {
    /// `tcp_receive_reset`: comes before the transition that it causes, and is told with it.
    pub(super) fn receive_reset(&mut self, record: &Record, out: &mut impl Observer) {
        let slot = self.store.find(SocketId::of(record));
        match slot.and_then(|slot| self.store.get_mut(slot)) {
            Some(connection) => {
                connection.receive_reset(record.time_ns);
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
        if self.undecided.contains(slot) {
            return self.decide(slot, true, out);
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
        if self.undecided.contains(slot) {
            return;
        }
        if self.options.resets_traced && record.error == ECONNRESET && record.has(flag::DEAD) {
            self.undecided.wait(slot, record);
            return;
        }
        self.conclude(slot, record, from, false, out);
    }

    /// Decides the ends for which no RST has followed.
    pub(super) fn decide_overdue(&mut self, now: u64, out: &mut impl Observer) {
        while let Some(slot) = self.undecided.overdue(now) {
            self.decide(slot, false, out);
        }
    }

    /// Decides an end for which an RST has followed, or none will.
    pub(super) fn decide(&mut self, slot: Slot, reset_sent: bool, out: &mut impl Observer) {
        if let Some(record) = self.undecided.take(slot)
            && let Some(from) = State::from_kernel(record.old_state)
        {
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
            reset_received: connection.reset_received(),
            reset_sent,
            resets_traced: self.options.resets_traced,
        };
        let fin_sent =
            matches!(from, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck);
        let traffic = Traffic::of(record, connection.role, fin_sent);
        let (to, close) = match outcome(record, from, context) {
            Outcome::TimeWait => (State::TimeWait, None),
            Outcome::OrphanedFinWait2 => (State::FinWait2, None),
            Outcome::Over(reason) => (State::Closed, Some(closed(record, reason, connection))),
        };
        let transition = Transition {
            kernel: (to != State::Closed).then_some((from, State::Closed)),
            sequence: Sequence::of(record),
            close,
            ..transition(connection, from, to, record.time_ns)
        };
        self.tell_received_reset(slot, record, close.map(|close| close.reason), out);
        self.tell(slot, &transition, out);
        match close {
            None => {
                if to == State::TimeWait {
                    let end = End::time_wait(record.time_ns, Source::Tracepoint);
                    self.conclude_story(slot, end, traffic, out);
                }
                self.become_minisocket(slot, record, traffic);
            }
            Some(close) => self.finish(slot, record, close, traffic, out),
        }
    }

    /// The connection is over with its last transition told.
    fn finish(
        &mut self,
        slot: Slot,
        record: &Record,
        close: Close,
        traffic: Option<Traffic>,
        out: &mut impl Observer,
    ) {
        let (time, state, source) = (record.time_ns, State::Closed, Source::Tracepoint);
        self.conclude_story(slot, End { time, state, close, source }, traffic, out);
        let Some(connection) = self.forget(slot, time) else {
            return;
        };
        let open = record.has(flag::HAS_SOCKET) && record.shutdown != 3;
        if open {
            if self.reusable.len() >= REUSABLE {
                // Few of them connect again; the ordinals of those start over.
                self.reusable.clear();
            }
            self.reusable.insert(connection.id, connection.ordinal);
        }
        // The far end, if it is on this host, may be a minisocket that changes without an event.
        match close.reason {
            Reason::Graceful => self.fin_arrived(&connection.tuple, record, out),
            Reason::ResetSentUnreadData
            | Reason::ResetSentLingerZero
            | Reason::ResetSentUnaccepted
            | Reason::Disconnected
            | Reason::Killed => self.reset_arrived(&connection.tuple, record, out),
            Reason::ResetReceived => self.reset_came(&connection.tuple, record, out),
            _ => {}
        }
    }

    /// The socket lives on as a minisocket, which the tracepoint never shows.
    fn become_minisocket(&mut self, slot: Slot, record: &Record, traffic: Option<Traffic>) {
        let Some(connection) = self.store.get_mut(slot) else {
            return;
        };
        connection.become_minisocket(traffic);
        let has_cookie = connection.id.cookie().is_some();
        if connection.state == State::TimeWait {
            self.unseen.closed_in_order(&connection.tuple, State::TimeWait, record.time_ns);
        }
        self.store.add_minisocket(slot);
        if !has_cookie {
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
        connection.set_removal(removal, jiffies + seconds * self.options.ticks.hz);
        self.removals.plan(removal, slot);
    }

    /// The orphaned FIN_WAIT2 on the other end of `tuple`, if it is on this host.
    fn other_end(&self, tuple: &Tuple) -> Option<Slot> {
        let other = Tuple { local: tuple.peer, peer: tuple.local, netns: tuple.netns };
        let slot = self.store.find_minisocket(&other)?;
        (self.store.get(slot)?.state == State::FinWait2).then_some(slot)
    }

    /// The peer on this host has sent an RST: it silently ends the minisocket.
    fn reset_arrived(&mut self, tuple: &Tuple, record: &Record, out: &mut impl Observer) {
        if let Some(slot) = self.other_end(tuple) {
            self.end(slot, Reason::ResetReceived, Source::Inferred, record.time_ns, out);
        }
    }

    /// The peer on this host has received an RST: of an orphaned FIN_WAIT2, which data has ended
    /// (tcp_timewait_state_process). Kernels before 6.12 do not say that a minisocket sends one.
    ///
    /// The minisocket lives on where no socket sent the RST: a FIN that comes while the minisocket
    /// takes over from the full socket (tcp_time_wait) finds neither of them.
    fn reset_came(&mut self, tuple: &Tuple, record: &Record, out: &mut impl Observer) {
        let is_socketless = self.socketless.contains(&tuple.reversed());
        if !is_socketless && let Some(slot) = self.other_end(tuple) {
            let reason = Reason::ResetSentDataAfterClose;
            self.end(slot, reason, Source::Inferred, record.time_ns, out);
        }
    }

    /// The peer on this host has sent its FIN and got it acknowledged: an orphaned FIN_WAIT2 on
    /// the other end of `tuple` is in TIME_WAIT now. No tracepoint says so.
    fn fin_arrived(&mut self, tuple: &Tuple, record: &Record, out: &mut impl Observer) {
        let known = self.other_end(tuple).and_then(|slot| Some((slot, self.store.get(slot)?)));
        let Some((slot, connection)) = known else {
            return self.unseen.closed_in_order(tuple, State::LastAck, record.time_ns);
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
        if let Some(old) = self.store.find_minisocket(&connection.tuple)
            && old != slot
        {
            self.vanish(old, time, Source::Inferred, out);
        }
    }

    /// A socket is gone without an event; a full one has had one that was not seen.
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
        let in_order = !connection.is_minisocket() && self.miss_end(slot, out);
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let reason = match connection.state {
            _ if in_order => Reason::Graceful,
            State::TimeWait => Reason::Graceful,
            // The kernel gave up waiting for the peer's FIN (tcp_fin_timeout).
            State::FinWait2
                if connection.orphaned && (1..=time).contains(&connection.removal()) =>
            {
                Reason::FinWait2Timeout
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
        let close = Close::new(reason, initiator(reason, connection.first_fin));
        let transition = Transition {
            source,
            close: Some(close),
            ..transition(connection, connection.state, State::Closed, time)
        };
        let traffic = connection.traffic();
        self.tell(slot, &transition, out);
        let state = State::Closed;
        self.conclude_story(slot, End { time, state, close, source }, traffic, out);
        self.forget(slot, time);
    }
}

/// How the full socket of a record has ended.
fn closed(record: &Record, reason: Reason, connection: &Connection) -> Close {
    let close = Close::new(reason, initiator(reason, connection.first_fin));
    match reason {
        Reason::Unreachable => Close { icmp: Icmp::of(record), error: icmp::told(record), ..close },
        _ => close,
    }
}
