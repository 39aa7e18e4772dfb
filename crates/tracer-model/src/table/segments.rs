//! Single segments that are reported: resets and retransmissions of SYN, SYN+ACK and FIN.

use tracer_wire::Record;

use super::{Observer, Slot, State, Table, Update, push_last};
use crate::connection::{Connection, SocketId};
use tracer_event::{
    close::Reason,
    endpoint::Tuple,
    reset::ResetReason,
    update::{Answered, Direction, Reset, Retransmit, Retransmitted, Role, Rst, Segment, Subject},
};

impl Table {
    /// `tcp_retransmit_skb`: of a segment with SYN or FIN, of data where that is asked for.
    pub(super) fn retransmit(&mut self, record: &Record, out: &mut impl Observer) {
        let Some(state) = State::from_kernel(record.old_state) else {
            return;
        };
        let r#type = Segment::of(record.segment_flags);
        let (id, slot) = (SocketId::of(record), self.lookup(record));
        let mut seen = if r#type.is_data() { self.data_again(id, record.segment_seq) } else { 0 };
        if let Some(slot) = slot {
            let connection = &mut self.store[slot];
            connection.absorb(record);
            if !r#type.is_data() {
                seen = connection.retransmitted();
            }
            // The port is known by now, whatever the state.
            if state != State::SynSent || connection.tuple.local.port != 0 {
                self.emit_held(slot, Some(record), out);
            }
        }
        // The kernel counts timeouts, of whatever segment.
        let ordinal = if r#type.is_data() { seen } else { seen.max(record.retransmits.into()) };
        out.observe(Update::Retransmit(&Retransmit {
            time: record.time_ns,
            subject: self.subject_of(record, slot),
            state,
            segment: Retransmitted::new(r#type, ordinal.max(1), Some(record.segment_seq)),
        }));
    }

    /// How often data of a socket was retransmitted from this number on, as far as is remembered.
    fn data_again(&mut self, id: SocketId, number: u32) -> u32 {
        let known = self.data_again.iter_mut().rev().find(|(one, _)| *one == (id, number));
        if let Some((_, times)) = known {
            *times = times.saturating_add(1);
            return *times;
        }
        push_last(&mut self.data_again, ((id, number), 1));
        1
    }

    /// `tcp_retransmit_synack`: a half-open connection, which is no socket of the table.
    pub(super) fn retransmit_synack(&mut self, record: &Record, out: &mut impl Observer) {
        let mut subject = Connection::new(record, State::SynRecv, None).subject();
        subject.uid = None;
        subject.role = Some(Role::Server);
        subject.owner = self.listeners.guess(&subject.tuple, record.listener);
        out.observe(Update::Retransmit(&Retransmit {
            time: record.time_ns,
            subject,
            state: State::SynRecv,
            segment: Retransmitted::new(
                Segment::SynAck,
                // The request counts the retransmission after the tracepoint (inet_rtx_syn_ack).
                u32::from(record.retransmits) + 1,
                // 0 where this kernel does not tell: no request has it but by rare chance.
                (record.segment_seq != 0).then_some(record.segment_seq),
            ),
        }));
    }

    /// Reports a reset at once, of a socket that the table may know.
    pub(super) fn emit_reset(
        &self,
        record: &Record,
        slot: Option<Slot>,
        direction: Direction,
        out: &mut impl Observer,
    ) {
        let Some(seen) = State::from_kernel(record.old_state) else {
            return;
        };
        // Of a minisocket the kernel says TIME_WAIT, whatever its sub-state.
        let state = match slot {
            Some(slot) if seen == State::TimeWait => self.store[slot].state,
            _ => seen,
        };
        let subject = self.subject_of(record, slot);
        let time = record.time_ns;
        let segment = Rst { reason: ResetReason::of(record), ..Rst::new(direction) };
        out.observe(Update::Reset(&Reset { time, subject, state, segment }));
    }

    /// An RST that answers a segment for no socket of this host.
    pub(super) fn reset_without_socket(&mut self, record: &Record, out: &mut impl Observer) {
        let tuple = Tuple::of(record);
        push_last(&mut self.socketless, tuple);
        let (time, subject) = (record.time_ns, Subject::of_addresses(tuple));
        let answering = Rst::answering(Answered::of(record.segment_flags));
        let segment = Rst { reason: ResetReason::of(record), ..answering };
        self.emit_answer(Reset { time, subject, state: State::Closed, segment }, out);
    }

    /// Reports the reset that has led to the end of a connection, if one really came: the
    /// kernel's tracepoint also fires for data after close().
    pub(super) fn emit_received_reset(
        &mut self,
        slot: Slot,
        record: &Record,
        reason: Option<Reason>,
        out: &mut impl Observer,
    ) {
        self.emit_held_with_port(slot, record, out);
        let connection = &mut self.store[slot];
        if let Some(time) = connection.take_reset()
            && reason != Some(Reason::ResetSentDataAfterClose)
        {
            let (subject, state) = (connection.subject(), connection.state);
            let segment = Rst::new(Direction::Received);
            out.observe(Update::Reset(&Reset { time, subject, state, segment }));
        }
    }

    /// The socket as the table knows it; else as the record says it, or as it was if it
    /// has been closed just before.
    fn subject_of(&self, record: &Record, slot: Option<Slot>) -> Subject {
        if let Some(slot) = slot {
            return self.store[slot].subject();
        }
        let mut connection = Connection::new(record, State::Closed, None);
        connection.absorb(record);
        let closed = self.closed_last.iter().rev().find(|(id, _)| *id == connection.id);
        closed.map_or_else(|| connection.subject(), |(_, subject)| *subject)
    }
}
