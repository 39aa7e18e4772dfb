//! One connection as a sequence diagram: from the changes of state at its ends to segments.
//!
//! An event at one end reports a segment that was sent or received there; what the other end
//! reports of the same segment joins it, so that each is drawn once.

use std::ops::{Index, IndexMut};

use super::{
    acts::{Act, acts},
    numbers,
    row::{Arrow, Kind, Middle, Note, Row, Side},
};
use crate::{step, text::of_reset};
use tracer_event::{
    close::Reason,
    endpoint::Tuple,
    state::{State, TIME_WAIT_SECONDS},
    update::{
        Answered, Direction, Linger, Reset, Retransmit, Retransmitted, Rst, Sequence, Source,
        Subject, Transition,
    },
};

const SECOND: u64 = 1_000_000_000;

/// What is known of one end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// Its socket, if that is on this host, and the socket's state.
    pub(super) socket: Option<(Subject, State)>,
    /// No more events will come from its socket.
    pub(super) over: bool,
    /// The state with which the diagram begins.
    pub(super) start: Option<State>,
    /// Initial sequence number.
    pub(super) initial: Option<u32>,
    /// Sequence number of the FIN.
    pub(super) fin: Option<u32>,
    /// Segments that it has sent and that have a row, drawn or not, by [`Arrow::kinds`].
    known: u8,
    /// Payload bytes that have a row.
    carried: u64,
    /// The segment sent last, when, and after what timeout.
    sent: Option<(Kind, u64, Option<u64>)>,
}

/// What is known of a connection, and the rows that have not been drawn yet.
#[derive(Debug)]
pub(super) struct Diagram {
    pub(super) number: u32,
    /// Both ends, as the left one sees them.
    pub(super) tuple: Tuple,
    pub(super) ends: [End; 2],
    pub(super) rows: Vec<Row>,
    /// It waits to be drawn.
    pub(super) queued: bool,
    /// Something of it has been drawn.
    pub(super) begun: bool,
    /// Time of the last row drawn.
    pub(super) drawn_until: Option<u64>,
    /// Sentences that have been written, or named, in it.
    pub(super) explained: Vec<&'static str>,
    /// When TIME_WAIT expires, if an end is in it.
    pub(super) expires: Option<u64>,
}

impl Index<Side> for Diagram {
    type Output = End;

    fn index(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }
}

impl IndexMut<Side> for Diagram {
    fn index_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }
}

impl Diagram {
    /// A connection to which nothing has happened yet.
    pub(super) fn new(number: u32, tuple: Tuple) -> Self {
        let (ends, rows, queued, begun, drawn_until, explained, expires) = Default::default();
        Self { number, tuple, ends, rows, queued, begun, drawn_until, explained, expires }
    }

    /// Puts what has not been drawn yet into the order in which it happened. What no event reports
    /// stays behind the row before it.
    pub(super) fn sort(&mut self) {
        let mut last = 0;
        let mut timed = |row: Row| {
            last = row.time.unwrap_or(last);
            (last, row)
        };
        let mut rows: Vec<(u64, Row)> = self.rows.drain(..).map(&mut timed).collect();
        rows.sort_by_key(|(time, _)| *time);
        self.rows.extend(rows.into_iter().map(|(_, row)| row));
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.over || end.socket.is_none())
    }

    /// When the newest step that has not been drawn happened.
    pub(super) fn newest(&self) -> Option<u64> {
        self.rows.iter().filter_map(|row| row.time).max()
    }

    /// Takes the present state of a socket.
    fn join(&mut self, side: Side, subject: &Subject, from: State, to: State) {
        if self[side].socket.is_none() && !self.begun {
            self[side].start = Some(from);
        }
        self[side].socket = Some((*subject, to));
    }

    pub(super) fn transition(&mut self, side: Side, transition: &Transition) {
        let Transition { time, ref subject, from, to, sequence, .. } = *transition;
        self.join(side, subject, from, to);
        self[side].over |= to == State::Closed;
        if let Some(sequence) = sequence {
            self.learn(side, transition, sequence);
        }
        let acts = acts(transition, self.knows(side, Kind::Syn));
        self.precede(side, transition, acts);
        let row = self.segments(side, transition, acts).unwrap_or_else(|| {
            let (meaning, source) = (step::meaning(transition), step::source(transition));
            let row = self.push(Row::new(Some(time), Middle::Step(meaning, source)));
            self.enter(row, side, to);
            row
        });
        self.remark(transition, row);
    }

    /// Adds what must have been sent before: payload, and a FIN that was queued.
    fn precede(&mut self, side: Side, transition: &Transition, acts: &[Act]) {
        let owed = self.owes_fin(side)
            && acts.iter().any(|act| matches!(act, Act::Received(Kind::AckOfFin)));
        let queued = transition.sent == Some(false) && transition.to != State::SynSent;
        let mut segments = acts.iter().map(|act| act.of(side));
        let end = segments.find(|(kind, _)| matches!(kind, Kind::Fin | Kind::Rst));
        let end = end.or((owed || queued).then_some((Kind::Fin, side)));
        if let Some((sequence, end)) = transition.sequence.zip(end) {
            self.data(side, transition, sequence, end);
        }
        if owed {
            self.deduce(Kind::Fin, side);
        }
    }

    /// Adds the segments; the row that the new state is written beside, if there is one.
    fn segments(&mut self, side: Side, transition: &Transition, acts: &[Act]) -> Option<usize> {
        let to = transition.to;
        let mut placed = None;
        for act in acts {
            let row = self.act(side, *act, transition);
            placed = placed.or_else(|| row.filter(|&row| self.enter(row, side, to)));
        }
        if acts.is_empty() && to == State::Closed {
            let reset = self.row_of(Kind::Rst, side).or(self.row_of(Kind::Rst, !side));
            placed = reset.filter(|&row| self.enter(row, side, to));
        }
        placed
    }

    /// Adds to a row what else is known of the change of state.
    fn remark(&mut self, transition: &Transition, row: usize) {
        let Transition { time, from, to, close, orphaned, .. } = *transition;
        let is_arrow = !matches!(self.rows[row].middle, Middle::Step(..));
        let mut note = self.rows[row].note;
        if orphaned && from == to {
            note = Some(Note::Orphaned);
        }
        if to == State::TimeWait {
            self.expires = Some(time + TIME_WAIT_SECONDS * SECOND);
            note = self.expires.map(Note::Expires);
        } else if from == State::TimeWait {
            self.expires = None;
        }
        if let Some(close) = close.filter(|_| to == State::Closed) {
            if from == State::TimeWait {
                note = Some(Note::Expired);
            } else if close.reason != Reason::Graceful && is_arrow {
                // The sender of an RST knows better why.
                note = note.or(Some(Note::Ending(step::ending(&close))));
            }
        }
        self.rows[row].note = note;
        self.rows[row].reason = close.filter(|_| to == State::Closed).map(|close| close.reason);
    }

    pub(super) fn retransmit(&mut self, side: Side, retransmit: &Retransmit) {
        let Retransmit { time, ref subject, state, segment } = *retransmit;
        let Retransmitted { r#type, ordinal, sequence, .. } = segment;
        let kind = Kind::from(r#type);
        self.join(side, subject, if kind == Kind::SynAck { State::Listen } else { state }, state);
        if matches!(kind, Kind::Syn | Kind::SynAck) {
            self[side].initial = self[side].initial.or(sequence);
        }
        if kind == Kind::SynAck && !self.knows(side, kind) {
            // A request socket has answered the first SYN without an event.
            if let Some(row) = self.deduce(Kind::Syn, !side) {
                self.enter(row, side, state);
            }
            self.deduce(kind, side);
        }
        if kind == Kind::Fin && self.owes_fin(side) {
            self.deduce(kind, side);
        }
        // The time since data was sent for the first time is not known.
        let timeout = if r#type.is_data() { None } else { self.timeout(side, kind, time) };
        let arrow = Arrow { ordinal, sequence, timeout, ..Arrow::new(kind, side, true) };
        self.arrow(Some(time), arrow);
    }

    pub(super) fn reset(&mut self, side: Side, reset: &Reset) {
        let Reset { time, ref subject, state, segment: Rst { direction, answers, .. } } = *reset;
        if self[side].socket.is_none() {
            self.join(side, subject, state, state);
        }
        // What answers for lack of a socket reports no more.
        self[side].over |= answers.is_some();
        if answers == Some(Answered::Syn) && !self.knows(!side, Kind::Syn) {
            self.arrow(Some(time), Arrow::new(Kind::Syn, !side, true));
        }
        let from = if direction == Direction::Sent { side } else { !side };
        if let Some(row) = self.row_of(Kind::Rst, from) {
            if let Some(arrow) = self.rows[row].arrow_mut() {
                arrow.observed = true;
            }
        } else if !self.knows(from, Kind::Rst) {
            let (sequence, ack) = numbers::of_answer(answers, self[!side].initial);
            let arrow = Arrow { sequence, ack, ..Arrow::new(Kind::Rst, from, true) };
            let row = self.arrow(Some(time), arrow);
            self.rows[row].note = answers.map(|_| Note::Ending(of_reset(reset)));
        }
    }

    /// Notes that a segment is sent, perhaps again: the timeout in percent of the one before.
    fn timeout(&mut self, side: Side, kind: Kind, time: u64) -> Option<u64> {
        let last = &mut self[side].sent;
        let before = last.filter(|(same, ..)| *same == kind);
        let timeout = before.map(|(_, before, _)| time.saturating_sub(before));
        *last = Some((kind, time, timeout));
        Some(timeout?.saturating_mul(100) / before?.2?.max(1))
    }

    pub(super) fn linger(&mut self, side: Side, linger: &Linger, words: String) {
        self.join(side, &linger.subject, linger.state, linger.state);
        self.push(Row::new(Some(linger.time), Middle::Words(words)));
    }

    /// Adds the ACK of a FIN that no event reports: it has been sent by now, a FIN of this end
    /// would have carried it. A peer on this host reports it on arrival.
    pub(super) fn complete(&mut self) {
        for side in [Side::Left, Side::Right] {
            let state = self[side].socket.map(|(_, state)| state);
            let alone = self[!side].socket.is_none() && self.knows(!side, Kind::Fin);
            if state == Some(State::CloseWait) && alone {
                self.deduce(Kind::AckOfFin, side);
            }
        }
    }

    /// Whether the FIN of an end was queued, and no event has reported since that it was sent.
    fn owes_fin(&self, side: Side) -> bool {
        self[side].fin.is_some() && !self.knows(side, Kind::Fin)
    }

    fn knows(&self, from: Side, kind: Kind) -> bool {
        self[from].known & 1 << kind as u8 != 0
    }

    /// The row of a segment that has not been drawn yet, the last one if it was retransmitted.
    fn row_of(&self, kind: Kind, from: Side) -> Option<usize> {
        self.rows.iter().rposition(|row| row.arrow().is_some_and(|arrow| arrow.is(kind, from)))
    }

    fn push(&mut self, row: Row) -> usize {
        self.rows.push(row);
        self.rows.len() - 1
    }

    fn arrow(&mut self, time: Option<u64>, arrow: Arrow) -> usize {
        self[arrow.from].known |= arrow.kinds();
        self.push(Row::new(time, Middle::Arrow(arrow)))
    }

    /// Adds a segment that TCP's rules require, unless it has a row.
    fn deduce(&mut self, kind: Kind, from: Side) -> Option<usize> {
        let missing = !self.knows(from, kind);
        missing.then(|| self.arrow(None, Arrow::new(kind, from, false)))
    }

    /// Writes the state beside a row, if there is room: states stand below each other in the order
    /// in which they are entered, also where segments cross.
    fn enter(&mut self, row: usize, side: Side, state: State) -> bool {
        let time = self.rows[row].time;
        let is_later = |other: &Row| other.states[side as usize].is_some() && other.time > time;
        if time.is_some() && self.rows.iter().any(is_later) {
            return false;
        }
        let cell = &mut self.rows[row].states[side as usize];
        let free = cell.is_none();
        *cell = cell.or(Some(state));
        free
    }

    /// The row of a segment that a change of state stands for, unless it has been drawn.
    fn act(&mut self, side: Side, act: Act, transition: &Transition) -> Option<usize> {
        let Transition { time, from: left, source, sequence, sent: leaves, .. } = *transition;
        let (kind, from) = act.of(side);
        let sent = from == side;
        if sent {
            self.timeout(side, kind, time);
        }
        // The event of a child socket comes with the last ACK of its handshake.
        let late = left == State::Listen;
        let by_event = !sent || matches!(kind, Kind::Syn | Kind::Fin) && leaves == Some(true);
        let observed = source == Source::Tracepoint && by_event && !late;
        let (number, of_reset) = numbers::of_reset(kind, sent, transition);
        let ack = match kind {
            Kind::Fin if sent => sequence.map(|sequence| sequence.rcv_nxt),
            // More than the SYN where that carried data (Fast Open).
            Kind::SynAck if !sent => sequence.map(|sequence| sequence.snd_una),
            _ => of_reset,
        };
        if let Some(row) = self.row_of(kind, from) {
            let row_of_both = &mut self.rows[row];
            // Which end's event comes first is chance; the segment was sent by the earlier one.
            if let (Some(known), false) = (&mut row_of_both.time, late) {
                *known = time.min(*known);
            }
            let arrow = row_of_both.arrow_mut()?;
            arrow.observed |= observed;
            (arrow.sequence, arrow.ack) = (arrow.sequence.or(number), arrow.ack.or(ack));
            return Some(row);
        }
        if self.knows(from, kind) {
            return None;
        }
        let mut arrow = Arrow { sequence: number, ack, ..Arrow::new(kind, from, observed) };
        if kind == Kind::Fin && sent {
            arrow.acks_fin = left == State::CloseWait && !self.knows(side, Kind::AckOfFin);
        }
        Some(self.arrow((!late).then_some(time), arrow))
    }

    /// Takes the sequence numbers of the kernel's record.
    fn learn(&mut self, side: Side, transition: &Transition, sequence: Sequence) {
        use State::{
            CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynRecv, TimeWait,
        };
        let role = transition.subject.role;
        let initial = role.map(|role| sequence.local_initial(role));
        self[side].initial = self[side].initial.or(initial);
        self[!side].initial = self[!side].initial.or(sequence.peer_initial());
        match (transition.from, transition.to) {
            (_, FinWait1 | LastAck) => self[side].fin = Some(sequence.write_seq),
            (Established | SynRecv, CloseWait) | (FinWait1, Closing) | (FinWait2, TimeWait) => {
                let fin = Some(sequence.rcv_nxt.wrapping_sub(1));
                self[!side].fin = self[!side].fin.or(fin);
            }
            _ => {}
        }
    }

    /// Adds a row for the payload sent since the last such row: before the FIN or RST with which it
    /// becomes known, which the other end may have reported already.
    fn data(
        &mut self,
        side: Side,
        transition: &Transition,
        sequence: Sequence,
        (kind, sender): (Kind, Side),
    ) {
        use State::{CloseWait, Closing, FinWait1, FinWait2, LastAck, TimeWait};
        let Transition { time, from, to, ref subject, .. } = *transition;
        let Some(role) = subject.role else { return };
        let own_fin =
            matches!(from, FinWait1 | FinWait2 | Closing | LastAck) && sequence.unsent() == 0;
        let peer_fin = matches!(from, CloseWait | Closing | LastAck)
            || matches!(to, CloseWait | Closing | TimeWait);
        let mut new = [0; 2];
        for (side, bytes) in [
            (side, sequence.sent(role).saturating_sub(own_fin.into())),
            (!side, sequence.received.saturating_sub(peer_fin.into())),
        ] {
            new[side as usize] = bytes.saturating_sub(self[side].carried);
            self[side].carried += new[side as usize];
        }
        if new != [0, 0] {
            let end = self.row_of(kind, sender);
            let time = end.map_or(Some(time), |end| self.rows[end].time);
            self.rows.insert(end.unwrap_or(self.rows.len()), Row::new(time, Middle::Data(new)));
        }
    }
}
