//! Ends: what `X → CLOSE` means, minisockets, resets.

use tracer_wire::{Record, Sent, flag};

use super::{
    Close, Edge, Observer, REUSABLE, Slot, Source, State, Table, Transition, emit::transition,
};
use crate::{
    close::{Context, Outcome, initiator, outcome},
    connection::{Connection, Traffic},
    owner::at_exit,
    time_wait::TIME_WAIT_SECONDS,
};
use tracer_event::{
    close::Reason,
    endpoint::Tuple,
    icmp::{self, Icmp},
    reset::ResetReason,
    update::{Direction, Life, Sequence},
};

const ECONNRESET: u16 = 104;

impl Table {
    /// `tcp_receive_reset`: fires before the transition that the RST causes, and is emitted with
    /// it.
    pub(super) fn receive_reset(&mut self, record: &Record, out: &mut impl Observer) {
        match self.lookup(record) {
            Some(slot) => self.store[slot].receive_reset(record.time_ns),
            // There before the tracer, and not in a snapshot yet.
            None => self.emit_reset(record, None, Direction::Received, out),
        }
    }

    /// `tcp_send_reset`: may fire right after the transition that it explains.
    pub(super) fn send_reset(&mut self, record: &Record, out: &mut impl Observer) {
        let slot = self.lookup(record);
        self.emit_reset(record, slot, Direction::Sent, out);
        let Some(slot) = slot else { return };
        if self.undecided.contains(slot) {
            return self.decide(slot, Some(record), out);
        }
        let (state, orphaned) = (self.store[slot].state, self.store[slot].is_orphaned());
        let ends = [State::Closed as u8, State::TimeWait as u8].contains(&record.old_state);
        if state == State::FinWait2 && orphaned && ends {
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
        self.conclude(slot, record, from, None, out);
    }

    /// Decides the ends that no RST has followed in time.
    pub(super) fn decide_overdue(&mut self, now: u64, out: &mut impl Observer) {
        while let Some(slot) = self.undecided.overdue(now) {
            self.decide(slot, None, out);
        }
    }

    /// Decides an end: an RST has followed it, or none will.
    pub(super) fn decide(&mut self, slot: Slot, reset: Option<&Record>, out: &mut impl Observer) {
        if let Some(record) = self.undecided.take(slot)
            && let Some(from) = State::from_kernel(record.old_state)
        {
            self.conclude(slot, &record, from, reset, out);
        }
    }

    fn conclude(
        &mut self,
        slot: Slot,
        record: &Record,
        from: State,
        reset: Option<&Record>,
        out: &mut impl Observer,
    ) {
        let connection = &self.store[slot];
        let context = Context {
            reset_received: connection.reset_received(),
            reset_sent: reset.is_some(),
            resets_traced: self.options.resets_traced,
        };
        let traffic = Traffic::of(record, connection.role, from);
        let (to, close) = match outcome(record, from, context) {
            Outcome::TimeWait => (State::TimeWait, None),
            Outcome::OrphanedFinWait2 => (State::FinWait2, None),
            Outcome::Over(reason) => {
                let close = closed(record, reason, connection);
                let reset_reason = reset.and_then(ResetReason::of);
                (State::Closed, Some(Close { reset_reason, ..close }))
            }
        };
        let transition = Transition {
            kernel: (to != State::Closed).then_some(Edge { from, to: State::Closed }),
            sequence: Sequence::of(record),
            close,
            life: connection
                .began()
                .zip(Sent::of(record))
                .map(|(began, sent)| Life { began, sent }),
            at_exit: at_exit(record, from, State::Closed),
            ..transition(connection, from, to, record.time_ns)
        };
        self.emit_received_reset(slot, record, close.map(|close| close.reason), out);
        self.emit(slot, &transition, traffic, out);
        match close {
            None => self.become_minisocket(slot, record, traffic),
            Some(close) => self.finish(slot, record, close.reason, out),
        }
    }

    /// The connection is over, and its last transition has been emitted.
    fn finish(&mut self, slot: Slot, record: &Record, reason: Reason, out: &mut impl Observer) {
        let Some(connection) = self.forget(slot, record.time_ns) else {
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
        // The peer, if it is on this host, may be a minisocket, which changes without an event.
        let tuple = connection.tuple.reversed();
        let peer = self.store.find_minisocket(&tuple);
        let peer = peer.filter(|peer| self.store[*peer].state == State::FinWait2);
        let ended = match reason {
            Reason::Graceful => return self.fin_arrived(peer, &connection.tuple, record, out),
            // Our RST ends it silently.
            Reason::ResetSentUnreadData
            | Reason::ResetSentLingerZero
            | Reason::ResetSentUnaccepted
            | Reason::Disconnected
            | Reason::Killed => Reason::ResetReceived,
            // Its RST: data has ended it (tcp_timewait_state_process). Kernels before 6.12 do not
            // say that a minisocket sends one. It lives on where no socket sent the RST: a FIN that
            // comes while the minisocket takes over from the full socket (tcp_time_wait) finds
            // neither.
            Reason::ResetReceived if !self.socketless.contains(&tuple) => {
                Reason::ResetSentDataAfterClose
            }
            _ => return,
        };
        if let Some(peer) = peer {
            self.end(peer, ended, Source::Inferred, record.time_ns, out);
        }
    }

    /// The end `tuple` has sent its FIN and got it acknowledged: its peer on this host, an orphaned
    /// FIN_WAIT2, is in TIME_WAIT now. No tracepoint says so.
    fn fin_arrived(
        &mut self,
        peer: Option<Slot>,
        tuple: &Tuple,
        record: &Record,
        out: &mut impl Observer,
    ) {
        let Some(slot) = peer else {
            return self.unseen.closed_in_order(tuple, State::LastAck, record.time_ns);
        };
        let transition = Transition {
            source: Source::Inferred,
            ..transition(&self.store[slot], State::FinWait2, State::TimeWait, record.time_ns)
        };
        self.emit(slot, &transition, None, out);
        self.plan_removal(slot, record, TIME_WAIT_SECONDS);
    }

    /// The socket lives on as a minisocket, which the tracepoint never shows.
    fn become_minisocket(&mut self, slot: Slot, record: &Record, traffic: Option<Traffic>) {
        let connection = &mut self.store[slot];
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
        self.plan_removal(slot, record, self.fin_timeout(record));
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

    fn plan_removal(&mut self, slot: Slot, record: &Record, seconds: u64) {
        let (ticks, armed) = (self.options.ticks, record.jiffies);
        let removal = record.time_ns + ticks.removal_in(armed, seconds);
        self.store[slot].set_removal(removal, armed + seconds * ticks.hz);
        self.removals.plan(removal, slot);
    }

    /// A new connection with the addresses of a minisocket: that one is gone.
    pub(super) fn replace_minisocket(&mut self, slot: Slot, time: u64, out: &mut impl Observer) {
        if let Some(old) = self.store.find_minisocket(&self.store[slot].tuple)
            && old != slot
        {
            self.vanish(old, time, Source::Inferred, out);
        }
    }

    /// A socket is gone without an event; of a full one there was an event that was not seen.
    pub(super) fn vanish(
        &mut self,
        slot: Slot,
        time: u64,
        source: Source,
        out: &mut impl Observer,
    ) {
        // The end of another one may have been its end.
        let Some(known) = self.store.get(slot) else {
            return;
        };
        let in_order = !known.is_minisocket() && self.miss_end(slot, out);
        let connection = &self.store[slot];
        let reason = match connection.state {
            _ if in_order => Reason::Graceful,
            State::TimeWait => Reason::Graceful,
            // The kernel gave up waiting for the peer's FIN (tcp_fin_timeout).
            State::FinWait2
                if connection.is_orphaned() && (1..=time).contains(&connection.removal()) =>
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
        self.emit_held(slot, None, out);
        let connection = &self.store[slot];
        let initiator = initiator(reason, connection.first_fin);
        let transition = Transition {
            source,
            close: Some(connection.closed(Close::new(reason, initiator))),
            ..transition(connection, connection.state, State::Closed, time)
        };
        self.emit(slot, &transition, None, out);
        self.forget(slot, time);
    }
}

/// How the full socket of a record has ended.
fn closed(record: &Record, reason: Reason, connection: &Connection) -> Close {
    let initiator = initiator(reason, connection.first_fin);
    let close = connection.closed(Close::new(reason, initiator));
    match reason {
        Reason::Unreachable => Close { icmp: Icmp::of(record), error: icmp::told(record), ..close },
        _ => close,
    }
}
