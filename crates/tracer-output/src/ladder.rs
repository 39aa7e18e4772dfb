//! Connections as the sequence diagrams of the textbooks: two lifelines, an arrow for each segment
//! of handshake and teardown, the states of both ends beside them.
//!
//! Steps are drawn as they happen, but a little later, so that what both ends report of one segment
//! comes together; the steps of several connections are drawn in blocks with a header each.
//! Segments that only carry data are not drawn one by one, unless they are retransmitted: no event
//! reports them.

mod acts;
mod diagram;
mod draw;
mod explain;
mod numbers;
mod pairs;
mod row;
#[cfg(test)]
mod tests;

use std::{fmt::Display, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

pub use self::draw::Style;
use self::{diagram::Diagram, draw::Pen, pairs::Pairs, row::Side};
use super::{
    Format, Resized, Tick,
    names::Names,
    phrases::{of_finding, other, worded},
    stamps::Times,
    status::{StatusLine, nothing},
    text::{self, Palette, closing, flag, whole_seconds, write_not_available},
};
use tracer_event::{
    endpoint::Tuple,
    initial::InitialNumbers,
    state::State,
    update::{Answered, Role, Subject, Transition, Update},
};
use tracer_event::{enricher::Context, header::Header, summary::Summary, wall_clock::WallClock};
use tracer_texts::Texts;

/// A step waits this long for what the other end reports of it, nanoseconds: people do not notice,
/// and a delayed ACK of a FIN is sent within 40 ms (`TCP_DELACK_MIN`).
const HOLD: u64 = 50_000_000;
/// Connections remembered; beyond that all are forgotten, and those that go on begin a new diagram.
/// Also the number of events held back: those of a recording may all have the same time.
const REMEMBERED: usize = 1 << 16;

/// The status line comes when nothing has been drawn for so long, nanoseconds.
const QUIET: u64 = 1_000_000_000;
/// Countdowns in the status line.
const COUNTDOWNS: usize = 3;

/// The ladder format.
pub struct Ladder {
    pen: Pen,
    pairs: Pairs,
    /// Diagrams with steps that have not been drawn.
    pending: Vec<usize>,
    /// The diagram drawn last.
    last: Option<u32>,
    status: StatusLine,
    resized: Option<Resized>,
    /// Events since all was drawn last.
    held: usize,
    /// First transitions of child sockets, whose peer is not known until their next event.
    children: HashMap<Tuple, Transition, RandomState>,
}

impl Ladder {
    /// For a terminal of `width` columns, or for a pipe.
    pub fn new(style: Style, palette: Palette, width: Option<usize>, times: Times) -> Self {
        let pen =
            Pen { style, palette, width, times, texts: None, names: None, explained: Vec::new() };
        let status = StatusLine::new(width, QUIET);
        let (pairs, pending, last, held, children) = Default::default();
        Self { pen, pairs, pending, last, status, resized: None, held, children }
    }

    /// Without the line that says that nothing happens: it is true of live events only.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: StatusLine::new(None, QUIET), ..self }
    }

    /// With a terminal that may be resized.
    #[must_use]
    pub fn resized_by(self, resized: Resized) -> Self {
        Self { resized: Some(resized), ..self }
    }

    /// Follows it.
    fn follow(&mut self) {
        if let Some(width) = self.pen.width.and_then(|_| self.resized.as_ref()?()) {
            self.pen.width = Some(width);
            self.status.resize(width);
        }
    }

    /// With sentences in a language; in English without it.
    #[must_use]
    pub fn with_texts(mut self, texts: impl Into<Arc<Texts>>) -> Self {
        self.pen.texts = Some(texts.into());
        self
    }

    /// With the names of addresses, as far as they are known.
    #[must_use]
    pub fn with_names(mut self, names: Option<Names>) -> Self {
        self.pen.names = names;
        self
    }

    /// Adds something to the diagram of a socket that is, or was, in state `from`.
    fn add(
        &mut self,
        subject: &Subject,
        numbers: &[InitialNumbers],
        (from, begins): (State, bool),
        add: impl FnOnce(&mut Diagram, Side),
    ) {
        // A listener has no peer, and no segments of its own.
        if subject.tuple.peer.port == 0 {
            return;
        }
        self.pen.expect(subject);
        if let Some(child) = self.children.remove(&subject.tuple) {
            self.step(&child, numbers);
        }
        let (slot, side) = self.pairs.of(subject, numbers, from, begins);
        let Some(diagram) = self.pairs.get_mut(slot) else { return };
        if !std::mem::replace(&mut diagram.queued, true) {
            self.pending.push(slot);
        }
        add(diagram, side);
    }

    fn transition(&mut self, transition: &Transition) {
        let numbers = transition.initial_numbers();
        let is_child = (transition.from, transition.to) == (State::Listen, State::SynRecv);
        if !is_child || !numbers.is_empty() {
            self.step(transition, &numbers);
        } else if let Some(before) = self.children.insert(transition.subject.tuple, *transition) {
            self.step(&before, &[]);
        }
    }

    /// A transition, with the numbers that are known of its connection.
    fn step(&mut self, transition: &Transition, numbers: &[InitialNumbers]) {
        let Transition { ref subject, from, to, .. } = *transition;
        let begins = from == State::Closed || (from, to) == (State::Listen, State::SynRecv);
        self.add(subject, numbers, (from, begins), |diagram, side| {
            diagram.transition(side, transition);
        });
    }

    /// Adds the child sockets that no other event has followed; when the next one is due.
    fn add_children(&mut self, until: u64) -> Option<u64> {
        let due = self.children.extract_if(|_, child| child.time <= until);
        let mut due: Vec<Transition> = due.map(|(_, child)| child).collect();
        due.sort_unstable_by_key(|child| child.time);
        due.iter().for_each(|child| self.step(child, &[]));
        self.children.values().map(|child| child.time.saturating_add(HOLD)).min()
    }

    /// Draws all steps so far, for a diagram that is not live.
    pub fn complete(&mut self, clock: WallClock, out: &mut Vec<u8>) {
        self.draw(u64::MAX, clock, out);
    }

    /// Draws what happened until `until`; when the next step is due.
    fn draw(&mut self, until: u64, clock: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let mut next = self.add_children(until);
        if until == u64::MAX {
            self.held = 0;
        }
        for slot in std::mem::take(&mut self.pending) {
            let Some(diagram) = self.pairs.get_mut(slot) else { continue };
            if let Some(newest) = diagram.newest().filter(|newest| *newest > until) {
                let due = newest.saturating_add(HOLD);
                next = Some(next.map_or(due, |next: u64| next.min(due)));
                self.pending.push(slot);
                continue;
            }
            diagram.queued = false;
            diagram.sort();
            diagram.complete();
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

    /// Draws, and forgets, what is too much to be remembered.
    fn make_room(&mut self, clock: WallClock, out: &mut Vec<u8>) {
        if self.held.max(self.pairs.len()) >= REMEMBERED {
            self.complete(clock, out);
        }
        if self.pairs.len() >= REMEMBERED {
            self.pairs.clear();
            self.children.clear();
        }
    }

    /// A line between the blocks.
    fn note(&mut self, style: anstyle::Style, words: &str, clock: WallClock, out: &mut Vec<u8>) {
        self.complete(clock, out);
        self.status.erase(out);
        self.pen.words(style, words, out);
        self.last = None;
    }
}

/// When TIME_WAIT expires; where there is none, that nothing happens.
fn countdown(pairs: &Pairs, moment: &Tick, quiet: u64, texts: Option<&Texts>) -> Option<String> {
    let waiting = pairs.iter().filter_map(|diagram| diagram.expires.zip(Some(diagram.number)));
    let mut waiting: Vec<(u64, u32)> = waiting.collect();
    if waiting.is_empty() {
        return (quiet >= 5 * QUIET).then(|| nothing(moment, quiet, texts));
    }
    waiting.sort_unstable();
    let mut words: Vec<String> = Vec::new();
    for (end, number) in waiting.iter().take(COUNTDOWNS) {
        let left = whole_seconds(end.saturating_sub(moment.now));
        let values: [(&str, &dyn Display); 2] = [("number", number), ("left", &left)];
        let english = format_args!("#{number} TIME_WAIT, CLOSED in {left}");
        words.push(worded(texts, "view-expires", &values, english));
    }
    if waiting.len() > COUNTDOWNS {
        let more = waiting.len() - COUNTDOWNS;
        words.push(worded(texts, "view-more", &[("more", &more)], format_args!("and {more} more")));
    }
    Some(format!("… {}", words.join(" · ")))
}

impl Format for Ladder {
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        self.pen.times.begin(clock.now);
        for degraded in header.missing() {
            let look = (self.pen.palette, self.pen.width);
            write_not_available(degraded, other(self.pen.texts.as_deref()), look, out);
        }
        self.pen.legend(out);
        out.push(b'\n');
    }

    fn update(
        &mut self,
        update: &Update<'_>,
        Context { clock, .. }: Context<'_>,
        out: &mut Vec<u8>,
    ) {
        self.held += 1;
        self.follow();
        self.make_room(clock, out);
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Retransmit(retransmit) => {
                self.add(&retransmit.subject, &[], (retransmit.state, false), |diagram, side| {
                    diagram.retransmit(side, retransmit);
                });
            }
            Update::Reset(reset) => {
                // The receiver of a SYN is the server, even without a socket.
                let refuses = reset.segment.answers == Some(Answered::Syn);
                let role = if refuses { Some(Role::Server) } else { reset.subject.role };
                let subject = Subject { role, ..reset.subject };
                self.add(&subject, &[], (reset.state, false), |diagram, side| {
                    diagram.reset(side, reset);
                });
            }
            Update::Linger(lingers) => {
                for linger in *lingers {
                    let words = flag(linger, self.pen.texts.as_deref());
                    self.add(&linger.subject, &[], (linger.state, false), |diagram, side| {
                        diagram.linger(side, linger, words);
                    });
                }
            }
            // The transitions say it all.
            Update::Connection(_) => {}
            Update::Loss(loss) => {
                let words = text::loss(loss, other(self.pen.texts.as_deref()));
                self.note(self.pen.palette.bad, &words, clock, out);
            }
            Update::Finding(finding) => {
                let style = self.pen.palette.of_finding(finding);
                let words = format!("⚠ {}", of_finding(finding, self.pen.texts.as_deref()));
                self.note(style, &words, clock, out);
            }
        }
    }

    fn pause(&mut self, moment: &Tick, context: Context<'_>, out: &mut Vec<u8>) -> Option<u64> {
        self.follow();
        let due = self.draw(moment.now.saturating_sub(HOLD), context.clock, out);
        let Self { pairs, status, pen, .. } = self;
        let texts = other(pen.texts.as_deref());
        let again = status.pause(moment.now, |quiet| countdown(pairs, moment, quiet, texts), out);
        due.into_iter().chain(again).min()
    }

    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>) {
        self.complete(context.clock, out);
        self.status.erase(out);
        out.push(b'\n');
        let style = if summary.complete { self.pen.palette.dim } else { self.pen.palette.bad };
        let texts = other(self.pen.texts.as_deref());
        closing(summary, texts, |words| self.pen.words(style, words, out));
    }
}
