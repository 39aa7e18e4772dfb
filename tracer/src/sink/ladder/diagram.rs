//! One connection as a sequence diagram: from the changes of state at its ends to segments.
//!
//! An event at one end tells of a segment that was sent or has arrived there; what the other end
//! says of the same segment joins it, so that each is drawn once.

use super::{
    Side,
    acts::{Act, acts},
    row::{Arrow, Kind, Middle, Note, Row, Wait},
};
use crate::{
    model::{
        close::Reason,
        endpoint::Tuple,
        state::{State, TIME_WAIT_SECONDS},
        update::{
            Answered, Direction, Linger, Reset, Retransmit, Role, Sequence, Source, Subject,
            Transition,
        },
    },
    sink::{
        step,
        text::{flag, of_reset},
    },
};

const SECOND: u64 = 1_000_000_000;

/// An end that is on this host.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) subject: Subject,
    pub(super) state: State,
    /// No more is to come.
    pub(super) over: bool,
}

/// What is known of a connection, and what of it has not been drawn yet.
#[derive(Debug)]
pub(super) struct Diagram {
    pub(super) number: u32,
    /// Both ends, as the left one sees them.
    pub(super) tuple: Tuple,
    pub(super) ends: [Option<End>; 2],
    /// Where the diagram begins.
    pub(super) start: [Option<State>; 2],
    /// Initial sequence numbers.
    pub(super) initial: [Option<u32>; 2],
    /// Sequence numbers of the FINs.
    pub(super) fin: [Option<u32>; 2],
    pub(super) rows: Vec<Row>,
    /// Something of it has been drawn.
    pub(super) begun: bool,
    /// It is in the queue of those to be drawn.
    pub(super) queued: bool,
    /// When TIME_WAIT is over, if an end is in it.
    pub(super) wait: Option<u64>,
    /// Time of the last row drawn.
    pub(super) drawn_until: Option<u64>,
    /// Sentences that have been written.
    pub(super) explained: Vec<&'static str>,
    /// Segments that have a row, drawn or not, by [`Kind::bit`].
    known: [u8; 2],
    /// Payload bytes that have a row.
    carried: [u64; 2],
    /// The segment that was sent last, when, and how long it was waited for.
    sent: [Option<(Kind, u64, Option<u64>)>; 2],
}

impl Diagram {
    /// A connection of which nothing has happened yet.
    pub(super) fn new(number: u32, tuple: Tuple) -> Self {
        Self {
            number,
            tuple,
            ends: [None; 2],
            start: [None; 2],
            initial: [None; 2],
            fin: [None; 2],
            rows: Vec::new(),
            begun: false,
            wait: None,
            queued: false,
            drawn_until: None,
            explained: Vec::new(),
            known: [0; 2],
            carried: [0; 2],
            sent: [None; 2],
        }
    }

    /// Puts what has not been drawn yet into the order in which it happened. What no event tells
    /// stays behind the row before it.
    pub(super) fn sort(&mut self) {
        let mut last = 0;
        let mut rows: Vec<(u64, Row)> = std::mem::take(&mut self.rows)
            .into_iter()
            .map(|row| {
                last = row.time.unwrap_or(last);
                (last, row)
            })
            .collect();
        rows.sort_by_key(|(time, _)| *time);
        self.rows = rows.into_iter().map(|(_, row)| row).collect();
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().flatten().all(|end| end.over)
    }

    /// When the newest step that has not been drawn happened.
    pub(super) fn newest(&self) -> Option<u64> {
        self.rows.iter().filter_map(|row| row.time).max()
    }

    /// What is known of an end now.
    pub(super) fn join(&mut self, side: Side, subject: &Subject, from: State, to: State) {
        let end = &mut self.ends[side.index()];
        if end.is_none() && !self.begun {
            self.start[side.index()] = Some(from);
        }
        let over = end.is_some_and(|end| end.over);
        *end = Some(End { subject: *subject, state: to, over });
    }

    pub(super) fn end(&mut self, side: Side) {
        if let Some(end) = &mut self.ends[side.index()] {
            end.over = true;
        }
    }

    pub(super) fn transition(&mut self, side: Side, transition: &Transition) {
        let Transition { time, ref subject, from, to, sequence, sent, close, orphaned, .. } =
            *transition;
        self.join(side, subject, from, to);
        if let Some(sequence) = sequence {
            self.learn(side, transition, sequence);
        }
        let acts = acts(transition, self.knows(side, Kind::Syn));
        let late = self.is_fin_owed(side)
            && acts.iter().any(|act| matches!(act, Act::Received(Kind::AckOfFin)));
        let queued = sent == Some(false) && to != State::SynSent;
        let ends = acts.iter().find_map(|act| Some(act.of(side)).filter(|(kind, _)| kind.is_end()));
        let ends = ends.or((late || queued).then_some((Kind::Fin, side)));
        if let Some((sequence, end)) = sequence.zip(ends) {
            self.data(side, transition, sequence, end);
        }
        if late {
            self.arrow(None, Arrow::new(Kind::Fin, side, false));
        }
        let mut placed = None;
        for act in acts {
            let here = self.act(side, *act, transition);
            placed = placed.or_else(|| here.filter(|&row| self.enter(row, side, to)));
        }
        let reset = || self.row_of(Kind::Rst, side).or(self.row_of(Kind::Rst, side.other()));
        if placed.is_none() && acts.is_empty() && to == State::Closed {
            placed = reset().filter(|&row| self.enter(row, side, to));
        }
        let row = placed.unwrap_or_else(|| {
            let words = format!("{}{}", step::meaning(transition), step::source(transition));
            let row = self.push(Row::new(Some(time), Middle::Words(words)));
            self.enter(row, side, to);
            row
        });
        if orphaned && from == to {
            self.rows[row].note = Some(Note::Orphaned);
        }
        if to == State::TimeWait {
            let expected = time + TIME_WAIT_SECONDS * SECOND;
            self.rows[row].note = Some(Note::ExpectedEnd(expected));
            self.wait = Some(expected);
        } else if from == State::TimeWait {
            self.wait = None;
        }
        if let Some(close) = close
            && to == State::Closed
        {
            self.end(side);
            let is_told = matches!(self.rows[row].middle, Middle::Words(_));
            let note = &mut self.rows[row].note;
            if from == State::TimeWait {
                *note = Some(Note::Forgotten);
            } else if close.reason != Reason::Graceful && !is_told {
                // Who has sent an RST knows better why.
                *note = note.or(Some(Note::Ending(step::ending(&close))));
            }
        }
    }

    pub(super) fn retransmit(&mut self, side: Side, again: &Retransmit) {
        let Retransmit { time, ref subject, state, segment, ordinal, sequence } = *again;
        let kind = Kind::of(segment);
        let from = if kind == Kind::SynAck { State::Listen } else { state };
        self.join(side, subject, from, state);
        if kind == Kind::SynAck && !self.knows(side, Kind::SynAck) {
            // A request socket has answered the first SYN without an event.
            self.initial[side.index()] = self.initial[side.index()].or(sequence);
            for (kind, from) in [(Kind::Syn, side.other()), (Kind::SynAck, side)] {
                if !self.knows(from, kind) {
                    let row = self.arrow(None, Arrow::new(kind, from, false));
                    if kind == Kind::Syn {
                        self.enter(row, side, state);
                    }
                }
            }
        }
        if kind == Kind::Syn {
            self.initial[side.index()] = self.initial[side.index()].or(sequence);
        }
        if kind == Kind::Fin && self.is_fin_owed(side) {
            self.arrow(None, Arrow::new(Kind::Fin, side, false));
        }
        let wait = self.waited(side, kind, time);
        let arrow = Arrow { ordinal, sequence, wait, ..Arrow::new(kind, side, true) };
        self.arrow(Some(time), arrow);
    }

    pub(super) fn reset(&mut self, side: Side, reset: &Reset) {
        let Reset { time, ref subject, state, direction, answers } = *reset;
        if self.ends[side.index()].is_none() {
            self.join(side, subject, state, state);
        }
        if answers.is_some() {
            // No socket, no more to come.
            self.end(side);
        }
        if answers == Some(Answered::Syn) && !self.knows(side.other(), Kind::Syn) {
            self.arrow(Some(time), Arrow::new(Kind::Syn, side.other(), true));
        }
        let from = match direction {
            Direction::Sent => side,
            Direction::Received => side.other(),
        };
        if let Some(row) = self.row_of(Kind::Rst, from) {
            if let Some(arrow) = self.rows[row].arrow_mut() {
                arrow.told = true;
            }
        } else if !self.knows(from, Kind::Rst) {
            let row = self.arrow(Some(time), Arrow::new(Kind::Rst, from, true));
            self.rows[row].note = answers.map(|_| Note::Ending(of_reset(reset)));
        }
    }

    /// Notes that a segment is sent, perhaps again, and compares the waits in between.
    fn waited(&mut self, side: Side, kind: Kind, time: u64) -> Option<Wait> {
        let last = &mut self.sent[side.index()];
        let before = last.filter(|(same, ..)| *same == kind);
        let wait = before.map(|(_, before, _)| time.saturating_sub(before));
        *last = Some((kind, time, wait));
        Wait::compare(before?.2?, wait?)
    }

    pub(super) fn linger(&mut self, side: Side, linger: &Linger) {
        self.join(side, &linger.subject, linger.state, linger.state);
        self.push(Row::new(Some(linger.time), Middle::Words(flag(linger))));
    }

    /// The ACK of a FIN to which no event belongs: it has gone by now, a FIN of this end would have
    /// taken it along. Where the far end is on this host, that one tells when it comes.
    pub(super) fn deduce(&mut self) {
        for side in [Side::Left, Side::Right] {
            let closes = self.ends[side.index()].is_some_and(|end| end.state == State::CloseWait);
            let far = self.ends[side.other().index()].is_none();
            let owed = self.knows(side.other(), Kind::Fin) && !self.knows(side, Kind::AckOfFin);
            if closes && far && owed {
                self.arrow(None, Arrow::new(Kind::AckOfFin, side, false));
            }
        }
    }

    /// Whether the FIN of an end was queued, and nothing has told since that it was sent.
    fn is_fin_owed(&self, side: Side) -> bool {
        self.fin[side.index()].is_some() && !self.knows(side, Kind::Fin)
    }

    fn knows(&self, from: Side, kind: Kind) -> bool {
        self.known[from.index()] & kind.bit() != 0
    }

    /// The row of a segment that has not been drawn yet, the last one where it was sent again.
    fn row_of(&self, kind: Kind, from: Side) -> Option<usize> {
        self.rows.iter().rposition(|row| row.arrow().is_some_and(|arrow| arrow.is(kind, from)))
    }

    fn push(&mut self, row: Row) -> usize {
        self.rows.push(row);
        self.rows.len() - 1
    }

    fn arrow(&mut self, time: Option<u64>, arrow: Arrow) -> usize {
        let rides = if arrow.rides { Kind::AckOfFin.bit() } else { 0 };
        self.known[arrow.from.index()] |= arrow.kind.bit() | rides;
        self.push(Row::new(time, Middle::Arrow(arrow)))
    }

    /// Writes the state beside a row, if there is room.
    fn enter(&mut self, row: usize, side: Side, state: State) -> bool {
        let cell = &mut self.rows[row].states[side.index()];
        let free = cell.is_none();
        *cell = cell.or(Some(state));
        free
    }

    /// The row of what a change of state says of a segment, unless that has been drawn.
    fn act(&mut self, side: Side, act: Act, transition: &Transition) -> Option<usize> {
        let Transition { time, from: left, source, sequence, sent: leaves, .. } = *transition;
        let (kind, from) = act.of(side);
        let sent = from == side;
        if sent {
            self.waited(side, kind, time);
        }
        // The event of a child comes with the last ACK of its handshake.
        let late = left == State::Listen;
        let by_event = !sent || matches!(kind, Kind::Syn | Kind::Fin) && leaves == Some(true);
        let told = source == Source::Tracepoint && by_event && !late;
        if let Some(row) = self.row_of(kind, from) {
            let known = &mut self.rows[row];
            // Which end's event comes first is chance; the segment was sent by the earlier one.
            if let (Some(known), false) = (&mut known.time, late) {
                *known = time.min(*known);
            }
            known.arrow_mut()?.told |= told;
            return Some(row);
        }
        if self.knows(from, kind) {
            return None;
        }
        let mut arrow = Arrow::new(kind, from, told);
        if kind == Kind::Fin && sent {
            arrow.rides = left == State::CloseWait && !self.knows(side, Kind::AckOfFin);
            arrow.ack = sequence.map(|sequence| sequence.rcv_nxt);
        }
        Some(self.arrow((!late).then_some(time), arrow))
    }

    /// Takes over the numbers of the kernel's record.
    fn learn(&mut self, side: Side, transition: &Transition, sequence: Sequence) {
        let (here, there) = (side.index(), side.other().index());
        if let Some(role) = transition.subject.role {
            self.initial[here] = self.initial[here].or(Some(sequence.local_initial(role)));
        }
        self.initial[there] = self.initial[there].or(sequence.peer_initial());
        match (transition.from, transition.to) {
            (_, State::FinWait1 | State::LastAck) => self.fin[here] = Some(sequence.write_seq),
            (State::Established | State::SynRecv, State::CloseWait)
            | (State::FinWait1, State::Closing)
            | (State::FinWait2, State::TimeWait) => {
                self.fin[there] = self.fin[there].or(Some(sequence.rcv_nxt.wrapping_sub(1)));
            }
            _ => {}
        }
    }

    /// A row for what has been carried since the last time: before the FIN or RST with which that
    /// is known, which the other end may have told of already.
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
        let mut now = [0; 2];
        now[side.index()] = sequence.sent(role).saturating_sub(u64::from(own_fin));
        now[side.other().index()] = sequence.received.saturating_sub(u64::from(peer_fin));
        let new = [0, 1].map(|index| now[index].saturating_sub(self.carried[index]));
        if new != [0, 0] {
            self.carried = [0, 1].map(|index| now[index].max(self.carried[index]));
            let end = self.row_of(kind, sender);
            let time = end.map_or(Some(time), |end| self.rows[end].time);
            let row = Row::new(time, Middle::Data(new));
            self.rows.insert(end.unwrap_or(self.rows.len()), row);
        }
    }
}

/// Which side of the diagram a socket stands on: clients left, servers right.
pub(super) fn side_of(role: Option<Role>) -> Side {
    match role {
        Some(Role::Server) => Side::Right,
        Some(Role::Client | Role::Listener) | None => Side::Left,
    }
}
