//! Lists of sockets, for people and for machines.

pub mod groups;

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use crate::sockets::Found;
use tracer_event::{duration::count, enricher::Context};
use tracer_event::{
    socket::{Socket, Timer, TimerKind},
    state::State,
};
use tracer_output::{
    json::Json,
    phrase,
    phrases::said,
    text::{Line, Palette, duration, grouped, in_container, process, shortened, without_middle},
    width::columns,
    wrap::broken,
};
use tracer_texts::Texts;

/// One JSON object a line, of kind `socket`.
pub fn json(sockets: &[Socket], context: Context<'_>, out: &mut Vec<u8>) {
    let mut json = Json::default();
    sockets.iter().for_each(|socket| json.socket(socket, context, out));
}

/// A table with aligned columns, the lines cut at `width`; without texts in English.
pub fn text(
    sockets: &[Socket],
    context: Context<'_>,
    texts: Option<&Texts>,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) {
    let netns: Vec<u32> = sockets.iter().map(|socket| socket.subject.tuple.netns).collect();
    let several = netns.iter().any(|other| *other != netns[0]);
    let mut table = Cells::default();
    header(several, texts, &mut table);
    for socket in sockets {
        row(socket, several, context, texts, &mut table);
    }
    let widths = table.fitted(width);
    for (index, row) in table.rows().enumerate() {
        let style = match index.checked_sub(1).map(|index| &sockets[index]) {
            None => palette.dim,
            Some(socket) => match socket.state {
                State::Established => palette.open,
                State::CloseWait | State::TimeWait => palette.warning,
                State::SynSent | State::SynRecv => palette.opening,
                State::Listen => palette.plain,
                _ => palette.closing,
            },
        };
        write_row(row, &widths, Line::new(width, palette, out), style);
    }
}

const COLUMNS: usize = 10;
/// The owner's, which is the last.
const LAST: usize = COLUMNS - 1;
/// Between two columns.
const GAP: usize = 2;
/// What there is room for of an owner at least.
const OWNER: usize = 20;
/// Between an owner and what the kernel will do.
const TIMER: &str = "  ";
/// Columns that give way to it, the first one first: RTT, the queues, IDLE.
const SPARED: [usize; 4] = [7, 6, 5, 2];
/// Addresses, which are shortened in the middle where that is not enough, to no less than one of
/// IPv4.
const ADDRESSES: [usize; 2] = [3, 4];
const IPV4: usize = 21;

/// The cells of a table, one behind the other: a string each would take longer than all the rest.
#[derive(Default)]
struct Cells {
    text: String,
    /// Where each cell ends, and how many columns it takes.
    ends: Vec<(usize, usize)>,
}

impl Cells {
    fn begun(&self) -> usize {
        self.ends.last().map_or(0, |&(end, _)| end)
    }

    /// Ends a cell that has been written to `text`.
    fn end(&mut self) {
        let cell = &self.text[self.begun()..];
        let width = if cell.is_ascii() { cell.len() } else { columns(cell) };
        self.ends.push((self.text.len(), width));
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.end();
    }

    fn number(&mut self, number: u32) {
        self.push(itoa::Buffer::new().format(number));
    }

    fn widths(&self) -> [usize; COLUMNS] {
        let mut widths = [0; COLUMNS];
        for row in self.ends.chunks(COLUMNS) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.1.max(*width);
            }
        }
        widths
    }

    /// The widths, 0 for columns that leave no room for the owner on a terminal: who it is matters
    /// more than how it goes.
    fn fitted(&self, room: Option<usize>) -> [usize; COLUMNS] {
        let mut widths = self.widths();
        let Some(room) = room else { return widths };
        let owner = widths[LAST];
        let others = |widths: &[usize; COLUMNS]| {
            widths[..LAST]
                .iter()
                .filter(|width| **width > 0)
                .map(|width| width + GAP)
                .sum::<usize>()
        };
        let excess =
            |widths: &[usize; COLUMNS]| (others(widths) + owner.min(OWNER)).saturating_sub(room);
        for column in SPARED {
            if excess(&widths) == 0 {
                break;
            }
            widths[column] = 0;
        }
        for _ in 0..excess(&widths) {
            let [local, peer] = ADDRESSES;
            let longest = if widths[local] > widths[peer] { local } else { peer };
            if widths[longest] > IPV4 {
                widths[longest] -= 1;
            }
        }
        widths[LAST] = owner.min(room.saturating_sub(others(&widths)));
        widths
    }

    fn rows(&self) -> impl Iterator<Item = [&str; COLUMNS]> {
        let mut begun = 0;
        self.ends.chunks_exact(COLUMNS).map(move |row| {
            let mut cells = [""; COLUMNS];
            for (cell, &(end, _)) in cells.iter_mut().zip(row) {
                *cell = &self.text[begun..end];
                begun = end;
            }
            cells
        })
    }
}

fn header(several: bool, texts: Option<&Texts>, cells: &mut Cells) {
    let netns = if several { "NETNS" } else { "" };
    ["STATE", "AGE", "IDLE", "LOCAL", "PEER", "RECVQ", "SENDQ", "RTT", netns, "PROCESS"]
        .iter()
        .for_each(|name| cells.push(said(texts, name)));
}

fn row(
    socket: &Socket,
    several: bool,
    context: Context<'_>,
    texts: Option<&Texts>,
    cells: &mut Cells,
) {
    let tuple = socket.subject.tuple;
    let or_dash = |time: Option<u64>| time.map_or(Cow::Borrowed("-"), |time| duration(time).into());
    cells.push(socket.state.name());
    if socket.at_least {
        cells.text.push('≥');
    }
    cells.push(&or_dash(socket.age));
    cells.push(&or_dash(socket.idle));
    // Writing to a String cannot fail.
    let _ = write!(cells.text, "{}", tuple.local);
    cells.end();
    if socket.state == State::Listen {
        cells.push("*");
    } else {
        let _ = write!(cells.text, "{}", tuple.peer);
        cells.end();
    }
    cells.number(socket.receive_queue);
    cells.number(socket.send_queue);
    cells.push(&or_dash(socket.rtt));
    if several {
        cells.number(tuple.netns);
    } else {
        cells.push("");
    }
    who(socket, &in_container(&socket.subject, context), texts, &mut cells.text);
    cells.end();
}

/// Holders and the timer: what no other column has room for.
fn who(socket: &Socket, container: &str, texts: Option<&Texts>, words: &mut String) {
    match socket.holders.as_slice() {
        [] => {
            let owner = socket.subject.owner;
            match socket {
                Socket { orphaned: true, .. } => words.push_str(said(texts, "(kernel)")),
                Socket { unaccepted: false, .. } => words.push_str(&process(owner)),
                // Whose listener it waits for.
                _ if owner.is_some() => {
                    words.push_str(&process(owner));
                    words.extend([" ", said(texts, "(not accepted)")]);
                }
                _ => words.push_str(said(texts, "(not accepted)")),
            }
            words.push_str(container);
        }
        [first, others @ ..] => {
            words.push_str(&process(Some(*first)));
            words.push_str(container);
            // Writing to a String cannot fail.
            if let Some(fd) = first.fd {
                let _ = write!(words, " fd {fd}");
            }
            if !others.is_empty() {
                let _ = write!(words, " +{}", others.len());
            }
        }
    }
    if let Some(timer) = socket.timer {
        words.extend([TIMER, &due(timer, texts)]);
    }
}

/// What the kernel will do, and when.
fn due(Timer { name, expires_in_ns }: Timer, texts: Option<&Texts>) -> String {
    let time = duration(expires_in_ns);
    match name {
        TimerKind::Retransmit => {
            phrase!(texts, "screen-retransmits", [time], "retransmits in {time}")
        }
        TimerKind::ZeroWindowProbe => {
            phrase!(texts, "screen-probes-window", [time], "probes the window in {time}")
        }
        TimerKind::LossProbe => {
            phrase!(texts, "screen-probes-loss", [time], "probes for loss in {time}")
        }
        TimerKind::Keepalive => phrase!(texts, "screen-keepalive", [time], "keepalive in {time}"),
        TimerKind::TimeWait => phrase!(texts, "screen-ends", [time], "ends in {time}"),
        TimerKind::SynAck => {
            phrase!(texts, "screen-repeats", [time], "repeats SYN+ACK in {time}")
        }
    }
}

fn write_row(
    row: [&str; COLUMNS],
    widths: &[usize; COLUMNS],
    mut line: Line<'_>,
    style: anstyle::Style,
) {
    for (index, (cell, &width)) in row.into_iter().zip(widths).enumerate() {
        if width == 0 {
            continue;
        }
        match index {
            1 | 2 | 5 | 6 | 7 => line.right(style, cell, width),
            _ if ADDRESSES.contains(&index) => {
                line.left(style, &without_middle(cell, width), width);
            }
            LAST => {
                // Who it is matters more than what the kernel will do.
                let who = cell.split_once(TIMER).filter(|_| columns(cell) > width);
                let who = who.map_or(cell, |(who, _)| who);
                let excess = columns(who).saturating_sub(width);
                line.left(style, &shortened(who, excess, 3), width);
            }
            _ => line.left(style, cell, width),
        }
        line.space();
    }
    line.finish();
}

/// How many sockets were not shown.
pub fn more(number: usize, texts: Option<&Texts>, palette: Palette, out: &mut Vec<u8>) {
    if number > 0 {
        let (style, sockets) = (palette.dim, sockets(number, texts));
        let words = phrase!(texts, "screen-limited", [sockets], "{sockets} more (--limit)");
        out.extend_from_slice(format!("{style}… {words}{style:#}\n").as_bytes());
    }
}

/// The counts by state: of the namespace `home`, and apart from them those of the others.
pub fn counts(
    found: &Found,
    home: Option<u32>,
    texts: Option<&Texts>,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) {
    let netns = |socket: &&Socket| socket.subject.tuple.netns;
    let is_home = |socket: &&Socket| home.is_none_or(|home| netns(socket) == home);
    let (own, others): (Vec<&Socket>, Vec<&Socket>) = found.sockets.iter().partition(is_home);
    let mut lines = vec![match by_state(&own) {
        states if states.is_empty() => {
            let none = ["no sockets", "no sockets in this network namespace"];
            format!("= {}", said(texts, none[usize::from(!others.is_empty())]))
        }
        states => format!("= {}: {states}", sockets(own.len(), texts)),
    }];
    if !others.is_empty() {
        let elsewhere = elsewhere(others.iter().map(netns).collect(), texts);
        lines.push(format!("+ {elsewhere}: {}", by_state(&others)));
    }
    if !found.elsewhere.is_empty() {
        let elsewhere = elsewhere(found.elsewhere.clone(), texts);
        let not_shown = said(texts, "not shown");
        lines.push(format!("+ {elsewhere}, {not_shown} (--netns all)"));
    }
    if !found.refused.is_empty() {
        let number = found.refused.len();
        let namespaces = count(number as u64, "network namespace");
        let words =
            phrase!(texts, "screen-refused", [number], "{namespaces} that may not be looked into");
        lines.push(format!("+ {words}"));
    }
    let style = palette.dim;
    let room = width.map(|width| width.saturating_sub(2).max(20));
    for line in lines {
        let line = broken(&line, room).join("\n  ");
        out.extend_from_slice(format!("{style}{line}{style:#}\n").as_bytes());
    }
}

/// `7 sockets in 2 other network namespaces`, of one entry a socket.
fn elsewhere(mut netns: Vec<u32>, texts: Option<&Texts>) -> String {
    let sockets = sockets(netns.len(), texts);
    netns.sort_unstable();
    netns.dedup();
    let number = netns.len();
    let namespaces = count(number as u64, "other network namespace");
    phrase!(texts, "screen-elsewhere", [sockets, number], "{sockets} in {namespaces}")
}

fn sockets(number: usize, texts: Option<&Texts>) -> String {
    let (number, english) = (grouped(number as u64), count(number as u64, "socket"));
    phrase!(texts, "screen-count", [number], "{english}")
}

/// `3 LISTEN, 2 ESTABLISHED`
fn by_state(sockets: &[&Socket]) -> String {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for socket in sockets {
        *counts.entry(socket.state.index()).or_default() += 1;
    }
    let by_state: Vec<String> = counts
        .into_iter()
        .map(|(state, count)| format!("{} {}", grouped(count), State::ALL[state]))
        .collect();
    by_state.join(", ")
}
