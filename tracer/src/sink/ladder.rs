//! Connections as the sequence diagrams of the textbooks: two lifelines, an arrow for each segment
//! of handshake and teardown, the states of both ends beside them.
//!
//! Steps are drawn as they happen, but a little later, so that what both ends say of one segment
//! comes together; the steps of several connections are drawn in blocks with a header each.
//! Segments that carry data only are not drawn one by one: no event tells of them.

mod acts;
mod diagram;
mod draw;
mod explain;
mod pairs;
mod row;
#[cfg(test)]
mod tests;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use self::{draw::Pen, pairs::Pairs};
use super::{
    Format, Hello, Moment,
    names::Names,
    stamps::Times,
    status::{StatusLine, nothing},
    summary::Summary,
    text::{Palette, closing, not_available, whole_seconds},
    wall_clock::WallClock,
};
use crate::model::{
    endpoint::Tuple,
    initial::InitialNumbers,
    state::State,
    update::{Answered, Role, Subject, Transition, Update},
};

/// A step waits this long for what else is said of it, nanoseconds: a person does not notice, and
/// the ACK of a FIN that waits for another segment is sent within 40 ms (`TCP_DELACK_MIN`).
const HOLD: u64 = 50_000_000;
/// Connections to remember; beyond that all are forgotten, and the diagrams of those that go on
/// begin anew.
const REMEMBERED: usize = 1 << 16;

/// Steps to hold back. Those of a recording may all have the same time.
const HELD: usize = 1 << 16;

/// Nothing has been drawn for so long when the status line comes, nanoseconds.
const QUIET: u64 = 1_000_000_000;
/// Countdowns in the status line.
const COUNTDOWNS: usize = 3;

/// Which end of a diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn index(self) -> usize {
        self as usize
    }

    fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What a diagram says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// A sentence on each step.
    pub explain: bool,
    /// Sequence numbers count from the initial ones.
    pub relative: bool,
}

/// The ladder format.
pub struct Ladder {
    pen: Pen,
    pairs: Pairs,
    /// Diagrams with steps that have not been drawn.
    pending: Vec<usize>,
    /// The diagram drawn last.
    last: Option<u32>,
    status: StatusLine,
    /// Told since all was drawn last.
    held: usize,
    /// Births of which the far end is not known until the next event of the socket.
    births: HashMap<Tuple, Transition, RandomState>,
}

impl Ladder {
    /// For a terminal of `width` columns, or for a pipe.
    pub fn new(style: Style, palette: Palette, width: Option<usize>, times: Times) -> Self {
        let status = StatusLine::new(width, QUIET);
        let pen = Pen { style, palette, width, times, names: None };
        Self {
            pen,
            pairs: Pairs::default(),
            pending: Vec::new(),
            last: None,
            status,
            held: 0,
            births: HashMap::default(),
        }
    }

    /// Without the line that says that all is quiet: of what is not live it would not be true.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: StatusLine::new(None, QUIET), ..self }
    }

    /// With the names of addresses, as far as they are known.
    #[must_use]
    pub fn with_names(mut self, names: Option<Names>) -> Self {
        self.pen.names = names;
        self
    }

    fn diagram(
        &mut self,
        subject: &Subject,
        from: State,
        begins: bool,
    ) -> Option<(&mut diagram::Diagram, Side)> {
        self.diagram_of(subject, &[], from, begins)
    }

    /// The same where the initial numbers are known.
    fn diagram_of(
        &mut self,
        subject: &Subject,
        numbers: &[InitialNumbers],
        from: State,
        begins: bool,
    ) -> Option<(&mut diagram::Diagram, Side)> {
        // A listener has no far end, and no segments of its own.
        if subject.tuple.peer.port == 0 {
            return None;
        }
        self.pen.expect(subject);
        if let Some(birth) = self.births.remove(&subject.tuple) {
            self.begin(&birth, numbers);
        }
        let (slot, side) = self.pairs.of(subject, numbers, from, begins);
        let diagram = self.pairs.get_mut(slot)?;
        if !std::mem::replace(&mut diagram.queued, true) {
            self.pending.push(slot);
        }
        Some((diagram, side))
    }

    fn transition(&mut self, transition: &Transition) {
        let numbers = transition.initial_numbers();
        let is_birth = (transition.from, transition.to) == (State::Listen, State::SynRecv);
        if is_birth && numbers.is_empty() {
            if let Some(before) = self.births.insert(transition.subject.tuple, *transition) {
                self.begin(&before, &[]);
            }
        } else {
            self.begin(transition, &numbers);
        }
    }

    /// A transition, with the numbers that are known of its connection.
    fn begin(&mut self, transition: &Transition, numbers: &[InitialNumbers]) {
        let Transition { ref subject, from, to, .. } = *transition;
        let begins = from == State::Closed || (from, to) == (State::Listen, State::SynRecv);
        if let Some((diagram, side)) = self.diagram_of(subject, numbers, from, begins) {
            diagram.transition(side, transition);
            if to == State::Closed {
                diagram.end(side);
            }
        }
    }

    /// Births after which nothing has come; when the next one is due.
    fn begin_until(&mut self, until: u64) -> Option<u64> {
        let alone = self.births.extract_if(|_, birth| birth.time <= until);
        let mut alone: Vec<Transition> = alone.map(|(_, birth)| birth).collect();
        alone.sort_unstable_by_key(|birth| birth.time);
        for birth in alone {
            self.begin(&birth, &[]);
        }
        self.births.values().map(|birth| birth.time.saturating_add(HOLD)).min()
    }

    /// Draws all steps of which it has been told, for a diagram that is not live.
    pub(crate) fn complete(&mut self, clock: WallClock, out: &mut Vec<u8>) {
        self.draw(u64::MAX, clock, out);
    }

    /// Draws what happened until `until`; when the next step is due.
    fn draw(&mut self, until: u64, clock: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let mut next = self.begin_until(until);
        let pending = std::mem::take(&mut self.pending);
        if until == u64::MAX {
            self.held = 0;
        }
        for slot in pending {
            let Some(diagram) = self.pairs.get_mut(slot) else { continue };
            if let Some(newest) = diagram.newest().filter(|newest| *newest > until) {
                let due = newest.saturating_add(HOLD);
                next = Some(next.map_or(due, |next: u64| next.min(due)));
                self.pending.push(slot);
                continue;
            }
            diagram.queued = false;
            diagram.sort();
            diagram.deduce();
            if !diagram.rows.is_empty() {
                self.status.erase(out);
                if self.last != Some(diagram.number) {
                    if self.last.is_some() {
                        out.push(b'\n');
                    }
                    self.pen.header(diagram, clock, out);
                    self.last = Some(diagram.number);
                }
                self.pen.rows(diagram, clock, out);
            }
            if diagram.is_over() {
                self.pairs.remove(slot);
            }
        }
        next
    }

    /// A line between the blocks.
    fn note(&mut self, style: anstyle::Style, words: &str, clock: WallClock, out: &mut Vec<u8>) {
        self.draw(u64::MAX, clock, out);
        self.status.erase(out);
        self.pen.words(style, words, out);
        self.last = None;
    }
}

/// How long those in TIME_WAIT have to wait; else that all is quiet.
fn countdown(pairs: &Pairs, moment: &Moment, quiet: u64) -> Option<String> {
    let mut waiting: Vec<(u64, u32)> =
        pairs.iter().filter_map(|diagram| diagram.wait.zip(Some(diagram.number))).collect();
    waiting.sort_unstable();
    let told: Vec<String> = waiting
        .iter()
        .take(COUNTDOWNS)
        .map(|(end, number)| {
            format!(
                "#{number} TIME_WAIT, CLOSED in {}",
                whole_seconds(end.saturating_sub(moment.now))
            )
        })
        .collect();
    match waiting.len().saturating_sub(COUNTDOWNS) {
        _ if told.is_empty() => (quiet >= 5 * QUIET).then(|| nothing(moment, quiet)),
        0 => Some(format!("… {}", told.join(" · "))),
        more => Some(format!("… {} · and {more} more", told.join(" · "))),
    }
}

impl Format for Ladder {
    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        self.pen.times.begin(clock.now);
        for degraded in &hello.degraded {
            self.pen.words(self.pen.palette.warning, &not_available(degraded), out);
        }
        self.pen.legend(out);
        out.push(b'\n');
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        self.held += 1;
        if self.held >= HELD || self.pairs.len() >= REMEMBERED {
            self.draw(u64::MAX, clock, out);
        }
        if self.pairs.len() >= REMEMBERED {
            self.pairs.clear();
            self.births.clear();
        }
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Retransmit(again) => {
                if let Some((diagram, side)) = self.diagram(&again.subject, again.state, false) {
                    diagram.retransmit(side, again);
                }
            }
            Update::Reset(reset) => {
                // Who gets a SYN is the server, though there is no socket.
                let refuses = reset.segment.answers == Some(Answered::Syn);
                let role = if refuses { Some(Role::Server) } else { reset.subject.role };
                let subject = Subject { role, ..reset.subject };
                if let Some((diagram, side)) = self.diagram(&subject, reset.state, false) {
                    diagram.reset(side, reset);
                }
            }
            Update::Linger(lingers) => {
                for linger in *lingers {
                    if let Some((diagram, side)) =
                        self.diagram(&linger.subject, linger.state, false)
                    {
                        diagram.linger(side, linger);
                    }
                }
            }
            // Its transitions have told it.
            Update::Story(_) => {}
            Update::Loss(loss) => {
                self.note(self.pen.palette.bad, &super::text::loss(loss), clock, out);
            }
            Update::Finding(finding) => {
                let style = self.pen.palette.of_finding(finding);
                self.note(style, &format!("⚠ {}", finding.sentence()), clock, out);
            }
        }
    }

    fn pause(&mut self, moment: &Moment, clock: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let due = self.draw(moment.now.saturating_sub(HOLD), clock, out);
        let Self { pairs, status, .. } = self;
        let again = status.pause(moment.now, |quiet| countdown(pairs, moment, quiet), out);
        due.into_iter().chain(again).min()
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        self.draw(u64::MAX, clock, out);
        self.status.erase(out);
        out.push(b'\n');
        let style = if summary.complete { self.pen.palette.dim } else { self.pen.palette.bad };
        closing(summary, |words| self.pen.words(style, words, out));
    }
}
