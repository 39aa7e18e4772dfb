//! Rows as lines: lifelines, arrows, states and times in columns that fit the width.

use super::{
    Side, Style,
    diagram::Diagram,
    explain::explain,
    row::{Arrow, Kind, Middle, Note, Row},
};
use crate::{
    model::{endpoint::Endpoint, state::State, update::Subject},
    sink::{
        names::Names,
        stamps::Times,
        text::{Line, Palette, bytes, duration, process},
        wall_clock::WallClock,
    },
};

/// Narrower, and numbers of ten digits do not fit between the lifelines.
const LEAST: usize = 80;
/// Wider, and arrows become too long to follow.
const MOST: usize = 120;
/// From this width on every step has the time of day.
const STAMPED: usize = 110;
/// Where nothing says how wide the output is.
const UNKNOWN: usize = 100;
/// `+12m05s` and a space.
const AFTER: usize = 9;
/// The longest state.
const STATE: usize = 11;
/// `12:34:56.789012` and a space.
const STAMP: usize = 16;

/// Draws diagrams.
pub(super) struct Pen {
    pub(super) style: Style,
    pub(super) palette: Palette,
    /// Width of the terminal, where it is one.
    pub(super) width: Option<usize>,
    pub(super) times: Times,
    /// Of addresses, where asked for.
    pub(super) names: Option<Names>,
}

impl Pen {
    fn total(&self) -> usize {
        self.width.unwrap_or(UNKNOWN).clamp(LEAST, MOST)
    }

    fn margin(&self) -> usize {
        AFTER + STATE + 2 + if self.total() >= STAMPED { STAMP } else { 0 }
    }

    /// Columns between the lifelines.
    fn between(&self) -> usize {
        self.total() - self.margin() - STATE - 3
    }

    fn line<'a>(&self, out: &'a mut Vec<u8>) -> Line<'a> {
        Line::new(self.width, self.palette, out)
    }

    /// A line that belongs to no connection; it is never cut.
    pub(super) fn words(&self, style: anstyle::Style, words: &str, out: &mut Vec<u8>) {
        let mut line = Line::new(None, self.palette, out);
        line.push(style, words);
        line.finish();
    }

    /// What the marks mean.
    pub(super) fn legend(&self, out: &mut Vec<u8>) {
        let dim = self.palette.dim;
        self.words(dim, "── the kernel told of this segment, at one end or both", out);
        self.words(dim, "╌╌ deduced: TCP's rules ask for it, no event tells of it", out);
        self.words(dim, " ↻ sent again      +1.2ms  time since the step before", out);
    }

    /// Number, time and ends of a connection, whose steps follow.
    pub(super) fn header(&mut self, diagram: &Diagram, clock: WallClock, out: &mut Vec<u8>) {
        let total = self.total();
        let time = diagram.rows.iter().find_map(|row| row.time).unwrap_or(clock.now);
        let stamp = self.times.write(clock, time).trim_start().to_owned();
        let title = format!("━━ #{} ━━ {stamp} ", diagram.number);
        let mut line = self.line(out);
        let strong = self.palette.plain.bold();
        line.push(if self.palette == Palette::PLAIN { self.palette.plain } else { strong }, &title);
        line.push(self.palette.dim, &"━".repeat(total - title.chars().count()));
        line.finish();
        let [left, right] = [Side::Left, Side::Right].map(|side| self.name(diagram, side));
        let (left_len, right_len) = (left.chars().count(), right.chars().count());
        let mut line = self.line(out);
        line.push(self.palette.plain, &left);
        if left_len + right_len + 2 > total {
            line.finish();
            line = self.line(out);
            line.fill(total.saturating_sub(right_len));
        } else {
            line.fill(total - left_len - right_len);
        }
        line.push(self.palette.plain, &right);
        line.finish();
        if !diagram.begun && diagram.start != [None; 2] {
            self.row(&Parts { states: diagram.start, ..Parts::default() }, out);
        }
    }

    /// All rows that have not been drawn; with their sentences, where asked for.
    pub(super) fn rows(&mut self, diagram: &mut Diagram, clock: WallClock, out: &mut Vec<u8>) {
        let rows = std::mem::take(&mut diagram.rows);
        for row in &rows {
            let before = diagram.drawn_until;
            let after = row.time.zip(before).and_then(|(now, before)| now.checked_sub(before));
            // Several rows can come of one event.
            let after = after.filter(|after| *after > 0);
            diagram.drawn_until = row.time.or(before);
            let stamp = row.time.map(|time| self.times.write(clock, time).to_owned());
            let middle = self.middle(diagram, row);
            let style = self.style_of(row);
            let parts = Parts {
                stamp: stamp.unwrap_or_default(),
                after: after.map(|after| format!("+{}", duration(after))).unwrap_or_default(),
                states: row.states,
                middle,
                style,
            };
            self.row(&parts, out);
            self.remarks(diagram, row, clock, out);
        }
        diagram.begun = true;
    }

    fn remarks(&mut self, diagram: &mut Diagram, row: &Row, clock: WallClock, out: &mut Vec<u8>) {
        let note = match row.note {
            None | Some(Note::Forgotten | Note::Orphaned) => None,
            Some(Note::Ending(words)) => Some(words.to_owned()),
            Some(Note::ExpectedEnd(time)) => {
                let time = self.times.write(clock, time).trim_start();
                let second = time.split_once('.').map_or(time, |(second, _)| second);
                Some(format!("CLOSED expected at {second}, in 60 s"))
            }
        };
        if let Some(note) = note {
            self.between_lifelines(&note, self.palette.plain, out);
        }
        if self.style.explain {
            let mut sentences = explain(diagram, row);
            sentences.retain(|sentence| !diagram.explained.contains(sentence));
            diagram.explained.extend(&sentences);
            if !sentences.is_empty() {
                self.between_lifelines(&sentences.join(" "), self.palette.plain, out);
            }
        }
    }

    fn between_lifelines(&self, words: &str, style: anstyle::Style, out: &mut Vec<u8>) {
        let room = self.between() - 2;
        for line in wrap(words, room) {
            let len = line.chars().count();
            let middle = format!(" {line}{}", " ".repeat(room + 1 - len));
            self.row(&Parts { middle, style, ..Parts::default() }, out);
        }
    }

    fn row(&self, parts: &Parts, out: &mut Vec<u8>) {
        let Parts { stamp, after, states, middle, style } = parts;
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
        match &row.middle {
            Middle::Words(words) => centred(words, room, ' '),
            Middle::Data([left, right]) => {
                let words = match (left, right) {
                    (left, 0) => format!("data: {} ▷", bytes(*left)),
                    (0, right) => format!("data: ◁ {}", bytes(*right)),
                    (left, right) => format!("data: {} ▷   ◁ {}", bytes(*left), bytes(*right)),
                };
                centred(&words, room, ' ')
            }
            Middle::Arrow(arrow) => {
                let shaft = if arrow.told { '─' } else { '╌' };
                let label = self.label(diagram, arrow);
                match arrow.from {
                    Side::Left => centred(&label, room - 1, shaft) + "▶",
                    Side::Right => "◀".to_owned() + &centred(&label, room - 1, shaft),
                }
            }
        }
    }

    /// `SYN+ACK seq=1234 ack=5678`
    fn label(&self, diagram: &Diagram, arrow: &Arrow) -> String {
        let (here, there) = (arrow.from.index(), arrow.from.other().index());
        let next = |number: Option<u32>| number.map(|number| number.wrapping_add(1));
        let (name, seq, ack) = match arrow.kind {
            Kind::Syn => ("SYN", diagram.initial[here], None),
            Kind::SynAck => ("SYN+ACK", diagram.initial[here], next(diagram.initial[there])),
            Kind::Ack => ("ACK", None, next(diagram.initial[there])),
            Kind::Fin if arrow.rides => ("FIN+ACK", diagram.fin[here], next(diagram.fin[there])),
            Kind::Fin => ("FIN", diagram.fin[here], arrow.ack),
            Kind::AckOfFin => ("ACK", None, next(diagram.fin[there])),
            Kind::Rst => ("RST", None, None),
        };
        let mut label = match arrow.ordinal {
            0 => name.to_owned(),
            ordinal => format!("↻{ordinal} {name}"),
        };
        let numbers = [
            ("seq", arrow.sequence.or(seq), diagram.initial[here]),
            ("ack", ack.filter(|_| arrow.ordinal == 0), diagram.initial[there]),
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
        let (address, far) = match side {
            Side::Left => (diagram.tuple.local, diagram.tuple.peer),
            Side::Right => (diagram.tuple.peer, diagram.tuple.local),
        };
        let same_host = address.address().is_loopback() || address.address() == far.address();
        let who = match diagram.ends[side.index()] {
            Some(end) => who(&end.subject),
            None if same_host => "this host".to_owned(),
            None => "network".to_owned(),
        };
        let address = self.address(address);
        match side {
            Side::Left => format!("{who} {address}"),
            Side::Right => format!("{address} {who}"),
        }
    }

    fn address(&self, end: Endpoint) -> String {
        self.names.as_ref().map_or_else(|| end.to_string(), |names| names.named(end))
    }

    /// Asks for the names early: the header of a connection is written once it is known what both
    /// ends say of its first segment.
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
struct Parts {
    stamp: String,
    after: String,
    states: [Option<State>; 2],
    middle: String,
    style: anstyle::Style,
}

fn who(subject: &Subject) -> String {
    match subject.owner {
        None => "this host".to_owned(),
        owner => process(owner),
    }
}

/// `words` in the middle of a line of `fill`; cut where there is no room.
fn centred(words: &str, room: usize, fill: char) -> String {
    let words: String = words.chars().take(room - 2).collect();
    let rest = room - 2 - words.chars().count();
    let repeat = |count| std::iter::repeat_n(fill, count).collect::<String>();
    format!("{} {words} {}", repeat(rest / 2), repeat(rest - rest / 2))
}

/// Lines of at most `room` characters, broken between words.
fn wrap(words: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > room {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
