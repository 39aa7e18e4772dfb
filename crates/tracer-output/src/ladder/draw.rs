//! Rows as lines: lifelines, arrows, states and times in columns that fit the width.

use std::sync::Arc;

use super::{
    diagram::Diagram,
    explain::{explain, named},
    row::{Arrow, Kind, Middle, Note, Row, Side},
};
use crate::{
    names::Names,
    phrases::said,
    stamps::Times,
    text::{Line, Palette, bytes, duration, folded, grouped, process},
    width::{columns, cut, padded, wrap},
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    state::State,
    update::Subject,
    wall_clock::WallClock,
};
use tracer_texts::{Language, Texts};

/// What the marks mean.
const LEGEND: [(&str, &str); 5] = [
    ("──", "reported by a kernel event, at one end or both"),
    ("╌╌", "deduced from TCP's rules, not reported by an event"),
    (" ↻", "retransmitted   +1.2ms  time since the previous step"),
    ("  ", "FIN+ACK: a FIN that is the first to acknowledge the other's; all carry an ACK"),
    ("  ", "not drawn, as no event reports it: data sent for the first time, its ACKs"),
];

/// In less, numbers of ten digits do not fit between the lifelines.
const LEAST: usize = 80;
/// In more, arrows become too long to follow.
const MOST: usize = 120;
/// From this width on every step has the time of day.
const STAMPED: usize = 110;
/// The width of an output that is no terminal.
const UNKNOWN: usize = 100;
/// `+12m05s` and a space.
const AFTER: usize = 9;
/// The longest state.
const STATE: usize = 11;
/// `12:34:56.789012` and a space.
const STAMP: usize = 16;

/// What a diagram shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// A sentence on each step.
    pub explain: bool,
    /// Sequence numbers relative to the initial ones.
    pub relative: bool,
}

/// Draws diagrams.
pub(super) struct Pen {
    pub(super) style: Style,
    pub(super) palette: Palette,
    /// Width of the terminal, where it is one.
    pub(super) width: Option<usize>,
    pub(super) times: Times,
    /// What the sentences say.
    pub(super) texts: Option<Arc<Texts>>,
    /// Names of addresses, where asked for.
    pub(super) names: Option<Names>,
    /// Sentences that have been written.
    pub(super) explained: Vec<&'static str>,
}

impl Pen {
    fn total(&self) -> usize {
        self.width.unwrap_or(UNKNOWN).clamp(LEAST, MOST)
    }

    /// Columns between the lifelines.
    fn between(&self) -> usize {
        let stamp = if self.total() >= STAMPED { STAMP } else { 0 };
        self.total() - stamp - AFTER - 2 * STATE - 5
    }

    fn line<'a>(&self, out: &'a mut Vec<u8>) -> Line<'a> {
        Line::new(self.width, self.palette, out)
    }

    /// What belongs to no connection: never cut, on a terminal broken between words.
    pub(super) fn words(&self, style: anstyle::Style, words: &str, out: &mut Vec<u8>) {
        folded(style, words, (self.palette, self.width), out);
    }

    /// What the marks mean.
    pub(super) fn legend(&self, out: &mut Vec<u8>) {
        let dim = self.palette.dim;
        for (mark, words) in LEGEND {
            self.words(dim, &format!("{mark} {}", self.said(words)), out);
        }
    }

    /// What the code says in English, in the language that is asked for.
    fn said<'a>(&'a self, english: &'a str) -> &'a str {
        said(self.texts.as_deref(), english)
    }

    /// Number, time and ends of a connection, whose steps follow.
    pub(super) fn header(&mut self, diagram: &Diagram, clock: WallClock, out: &mut Vec<u8>) {
        let total = self.total();
        let time = diagram.rows.iter().find_map(|row| row.time).unwrap_or(clock.now);
        let stamp = self.times.write(clock, time).trim_start().to_owned();
        let title = format!("━━ #{} ━━ {stamp} ", diagram.number);
        let mut line = self.line(out);
        let plain = self.palette.plain;
        line.push(if self.palette == Palette::PLAIN { plain } else { plain.bold() }, &title);
        line.push(self.palette.dim, &"━".repeat(total - title.chars().count()));
        line.finish();
        let [left, right] = [Side::Left, Side::Right].map(|side| self.name(diagram, side));
        let (left_len, right_len) = (left.chars().count(), right.chars().count());
        let mut line = self.line(out);
        line.push(plain, &left);
        if left_len + right_len + 2 > total {
            line.finish();
            line = self.line(out);
            line.fill(total.saturating_sub(right_len));
        } else {
            line.fill(total - left_len - right_len);
        }
        line.push(plain, &right);
        line.finish();
        let states = diagram.ends.map(|end| end.start);
        if !diagram.begun && states != [None; 2] {
            self.row(&Cells { states, ..Cells::default() }, out);
        }
    }

    /// All rows that have not been drawn; with their sentences, where asked for.
    pub(super) fn rows(&mut self, diagram: &mut Diagram, clock: WallClock, out: &mut Vec<u8>) {
        for row in &std::mem::take(&mut diagram.rows) {
            let before = diagram.drawn_until;
            diagram.drawn_until = row.time.or(before);
            let after = row.time.zip(before).and_then(|(now, before)| now.checked_sub(before));
            // Several rows can come of one event.
            let after = after.filter(|after| *after > 0);
            let stamp = row.time.map(|time| self.times.write(clock, time).to_owned());
            let cells = Cells {
                stamp: stamp.unwrap_or_default(),
                after: after.map_or_else(String::new, |after| format!("+{}", duration(after))),
                states: row.states,
                middle: self.middle(diagram, row),
                style: self.style_of(row),
            };
            self.row(&cells, out);
            self.remarks(diagram, row, clock, out);
        }
        diagram.begun = true;
    }

    fn remarks(&mut self, diagram: &mut Diagram, row: &Row, clock: WallClock, out: &mut Vec<u8>) {
        match row.note {
            None | Some(Note::Expired | Note::Orphaned) => {}
            Some(Note::Ending(words)) => self.sentences(self.said(words), out),
            Some(Note::Expires(time)) => {
                let time = self.times.write(clock, time).trim_start();
                let second = time.split_once('.').map_or(time, |(second, _)| second);
                let second = [("time", second.to_owned())];
                let texts =
                    self.texts.get_or_insert_with(|| Arc::new(Texts::of(Language::ENGLISH)));
                let words = texts.say_with("ladder-expires", &second);
                self.sentences(&words, out);
            }
        }
        if self.style.explain {
            let words = self.explanation(diagram, row);
            self.sentences(&words, out);
        }
    }

    /// Sentences that have not been written in this trace; of the others, the name of what they
    /// explain, once a diagram.
    fn explanation(&mut self, diagram: &mut Diagram, row: &Row) -> String {
        let mut sentences = explain(diagram, row);
        sentences.retain(|sentence| !diagram.explained.contains(sentence));
        diagram.explained.extend(&sentences);
        let texts = self.texts.get_or_insert_with(|| Arc::new(Texts::of(Language::ENGLISH)));
        let mut words = Vec::new();
        for sentence in sentences {
            if !self.explained.contains(&sentence) {
                self.explained.push(sentence);
                words.push(texts.say(sentence));
            } else if let Some(name) = named(sentence) {
                words.push(texts.say(name));
            }
        }
        words.join(" ")
    }

    /// Writes words between the lifelines.
    fn sentences(&self, words: &str, out: &mut Vec<u8>) {
        let room = self.between() - 2;
        for line in wrap(words, room) {
            let middle = format!(" {} ", padded(&line, room));
            self.row(&Cells { middle, style: self.palette.plain, ..Cells::default() }, out);
        }
    }

    fn row(&self, cells: &Cells, out: &mut Vec<u8>) {
        let Cells { stamp, after, states, middle, style } = cells;
        let palette = self.palette;
        let mut line = self.line(out);
        if self.total() >= STAMPED {
            line.left(palette.dim, stamp, STAMP);
        }
        line.right(palette.dim, after, AFTER);
        line.fill(1);
        let [left, right] = *states;
        match left {
            Some(state) => line.right(palette.of_state(state), state.name(), STATE),
            None => line.fill(STATE),
        }
        line.push(palette.dim, " │");
        if middle.is_empty() {
            line.fill(self.between());
        } else {
            line.push(*style, middle);
        }
        line.push(palette.dim, "│");
        if let Some(state) = right {
            line.fill(1);
            line.push(palette.of_state(state), state.name());
        }
        line.finish();
    }

    /// What lies between the lifelines, exactly as wide as there is room.
    fn middle(&self, diagram: &Diagram, row: &Row) -> String {
        let room = self.between();
        let data = self.said("data");
        let words = match &row.middle {
            Middle::Words(words) => words.clone(),
            Middle::Step(meaning, source) => {
                let words = format!("{} {}", self.said(meaning), self.said(source.trim()));
                words.trim_end().to_owned()
            }
            // Exact, for the numbers of the FINs follow from it.
            Middle::Data(sent) => {
                Some(carried(data, *sent, |count| format!("{}B", grouped(count))))
                    .filter(|exact| columns(exact) + 2 <= room)
                    .unwrap_or_else(|| carried(data, *sent, bytes))
            }
            Middle::Arrow(arrow) => {
                let fill = if arrow.observed { '─' } else { '╌' };
                let shaft = centred(&self.label(diagram, arrow), room - 1, fill);
                let left = arrow.from == Side::Left;
                return if left { format!("{shaft}▶") } else { format!("◀{shaft}") };
            }
        };
        centred(&words, room, ' ')
    }

    /// `SYN+ACK seq=1234 ack=5678`
    fn label(&self, diagram: &Diagram, arrow: &Arrow) -> String {
        let (here, there) = (diagram[arrow.from], diagram[!arrow.from]);
        let next = |number: Option<u32>| number.map(|number| number.wrapping_add(1));
        let (name, seq, ack) = match arrow.kind {
            Kind::Syn => ("SYN", here.initial, None),
            Kind::SynAck => ("SYN+ACK", here.initial, arrow.ack.or(next(there.initial))),
            Kind::Ack => ("ACK", None, next(there.initial)),
            Kind::Fin if arrow.acks_fin => ("FIN+ACK", here.fin, next(there.fin)),
            Kind::Fin => ("FIN", here.fin, arrow.ack),
            Kind::AckOfFin => ("ACK", None, next(there.fin)),
            Kind::Rst => ("RST", None, arrow.ack),
            Kind::Data => ("ACK", None, None),
            Kind::PushedData => ("PSH+ACK", None, None),
        };
        let mut label = match arrow.ordinal {
            0 => name.to_owned(),
            ordinal => format!("↻{ordinal} {name}"),
        };
        let numbers = [
            ("seq", arrow.sequence.or(seq), here.initial),
            ("ack", ack.filter(|_| arrow.ordinal == 0), there.initial),
        ];
        for (name, number, initial) in numbers {
            let Some(number) = number else { continue };
            let base = initial.filter(|_| self.style.relative).unwrap_or(0);
            label.push_str(&format!(" {name}={}", number.wrapping_sub(base)));
        }
        label
    }

    /// Owner and address of an end.
    fn name(&self, diagram: &Diagram, side: Side) -> String {
        let Tuple { local: left, peer: right, .. } = diagram.tuple;
        let end = if side == Side::Left { left } else { right };
        let same_host = end.address().is_loopback() || left.address() == right.address();
        let who = match diagram[side].socket.map(|(subject, _)| subject.owner) {
            Some(owner @ Some(_)) => process(owner),
            None if !same_host => self.said("remote").to_owned(),
            Some(None) | None => self.said("this host").to_owned(),
        };
        let address = self.address(end);
        if side == Side::Left { format!("{who} {address}") } else { format!("{address} {who}") }
    }

    fn address(&self, end: Endpoint) -> String {
        self.names.as_ref().map_or_else(|| end.to_string(), |names| names.named(end))
    }

    /// Asks for the names early: the header of a connection is written once both ends have reported
    /// its first segment.
    pub(super) fn expect(&self, subject: &Subject) {
        if let Some(names) = &self.names {
            names.of(subject.tuple.local.address());
            names.of(subject.tuple.peer.address());
        }
    }

    fn style_of(&self, row: &Row) -> anstyle::Style {
        match row.arrow() {
            Some(arrow) if arrow.kind == Kind::Rst => self.palette.bad,
            Some(arrow) if arrow.ordinal > 0 => self.palette.warning,
            Some(_) => self.palette.plain,
            None if row.note.is_some() => self.palette.plain,
            None => self.palette.dim,
        }
    }
}

/// The cells of a line.
#[derive(Default)]
struct Cells {
    stamp: String,
    after: String,
    states: [Option<State>; 2],
    middle: String,
    style: anstyle::Style,
}

/// `data: 82B ▷   ◁ 4,998B`
fn carried(data: &str, [left, right]: [u64; 2], count: impl Fn(u64) -> String) -> String {
    match (left, right) {
        (left, 0) => format!("{data}: {} ▷", count(left)),
        (0, right) => format!("{data}: ◁ {}", count(right)),
        (left, right) => format!("{data}: {} ▷   ◁ {}", count(left), count(right)),
    }
}

/// `words` in the middle of a line of `fill`; cut where there is no room.
fn centred(words: &str, room: usize, fill: char) -> String {
    let words = format!(" {} ", cut(words, room - 2));
    let rest = room.saturating_sub(columns(&words));
    let side = |length: usize| String::from(fill).repeat(length);
    format!("{}{words}{}", side(rest / 2), side(rest - rest / 2))
}
