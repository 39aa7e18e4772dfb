//! Sockets in groups: how many of which process, peer, container or state, and how long they have
//! been there.

use std::{borrow::Cow, collections::BTreeMap};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::{duration::count, enricher::Context, socket::Socket, state::State};
use tracer_output::{
    phrase,
    phrases::said,
    text::{Line, Palette, duration, grouped, in_container, process, shortened, without_middle},
    width::columns,
    wrap::broken,
};
use tracer_texts::Texts;

/// What the sockets of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Grouping {
    /// The process that holds them
    Process,
    /// The peer's address, with its port where that is the server's
    Peer,
    /// The container
    Container,
    /// The state
    State,
}

impl Grouping {
    fn title(self) -> &'static str {
        match self {
            Self::Process => "PROCESS",
            Self::Peer => "PEER",
            Self::Container => "CONTAINER",
            Self::State => "STATE",
        }
    }

    /// A name of at most `width` columns: an address keeps its port, a process its number.
    fn fitted(self, name: &str, width: usize) -> Cow<'_, str> {
        match self {
            Self::Peer => without_middle(name, width).into(),
            Self::Process => shortened(name, columns(name).saturating_sub(width), 3),
            Self::Container | Self::State => name.into(),
        }
    }

    fn of(self, socket: &Socket, context: Context<'_>, texts: Option<&Texts>) -> String {
        let subject = &socket.subject;
        match self {
            Self::Process => {
                let holder = socket.holders.first().copied().or(subject.owner);
                process(holder) + &in_container(subject, context)
            }
            Self::Peer if socket.state == State::Listen => {
                format!("* {}", said(texts, "(listening)"))
            }
            Self::Peer => subject.peer_service().to_string(),
            Self::Container => match in_container(subject, context) {
                none if none.is_empty() => "-".to_owned(),
                container => container,
            },
            Self::State => socket.state.to_string(),
        }
    }
}

#[derive(Default)]
struct Group {
    sockets: u64,
    states: BTreeMap<usize, u64>,
    oldest: Option<u64>,
    idle: Option<u64>,
}

impl Group {
    fn add(&mut self, socket: &Socket) {
        self.sockets += 1;
        *self.states.entry(socket.state.index()).or_default() += 1;
        self.oldest = self.oldest.max(socket.age);
        self.idle = self.idle.max(socket.idle);
    }

    fn stuck(&self) -> u64 {
        self.states.get(&State::CloseWait.index()).copied().unwrap_or(0)
    }

    fn cells(&self, name: String) -> [String; 5] {
        let time = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), duration);
        let mut states: Vec<(usize, u64)> = self.states.iter().map(|(&at, &n)| (at, n)).collect();
        states.sort_by_key(|&(state, count)| (std::cmp::Reverse(count), state));
        let states = states.into_iter();
        let states = states.map(|(state, n)| format!("{} {}", grouped(n), State::ALL[state]));
        let states = states.collect::<Vec<_>>().join(", ");
        [grouped(self.sockets), time(self.oldest), time(self.idle), name, states]
    }
}

/// Between two columns.
const GAP: usize = 2;
/// What there is room for of a name at least: an address of IPv4 with its port.
const NAME: usize = 21;

/// The rows, of which the first one has the titles. Where there is not enough room, names give way
/// to the states, which go on below themselves.
fn table(
    rows: &[[String; 5]],
    grouping: Grouping,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) {
    let wide = |column: usize| rows.iter().map(|row| columns(&row[column])).max();
    let mut widths = [0, 1, 2, 3, 4].map(|column| wide(column).unwrap_or(0));
    let numbers: usize = widths[..3].iter().map(|width| width + GAP).sum();
    if let Some(room) = width {
        let states = widths[4] + GAP;
        widths[3] = widths[3].min(room.saturating_sub(numbers + states).max(NAME));
    }
    let [.., name, _] = widths;
    let beside = numbers + name + GAP;
    for (index, row) in rows.iter().enumerate() {
        let style = if index == 0 { palette.dim } else { palette.plain };
        let room = width.map(|room| room.saturating_sub(beside));
        for (part, states) in broken(&row[4], room).iter().enumerate() {
            let mut line = Line::new(width, palette, out);
            if part == 0 {
                for (cell, &width) in row.iter().zip(&widths[..3]) {
                    line.right(style, cell, width);
                    line.space();
                }
                line.left(style, &grouping.fitted(&row[3], name), name);
                line.space();
            } else {
                line.fill(beside);
            }
            line.push(style, states);
            line.finish();
        }
    }
}

/// A table of groups, at most `limit`: those with most in CLOSE_WAIT first, then the largest.
pub fn text(
    sockets: &[Socket],
    (grouping, limit): (Grouping, usize),
    context: Context<'_>,
    texts: Option<&Texts>,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) {
    let mut groups: HashMap<String, Group, RandomState> = HashMap::default();
    for socket in sockets {
        groups.entry(grouping.of(socket, context, texts)).or_default().add(socket);
    }
    let mut groups: Vec<(String, Group)> = groups.into_iter().collect();
    groups.sort_by(|(one, a), (other, b)| {
        (b.stuck(), b.sockets).cmp(&(a.stuck(), a.sockets)).then_with(|| one.cmp(other))
    });
    let more = groups.len().saturating_sub(limit);
    groups.truncate(limit);
    let titles = ["SOCKETS", "OLDEST", "IDLE", grouping.title(), "STATES"];
    let titles = titles.map(|title| said(texts, title).to_owned());
    let mut rows: Vec<[String; 5]> = [titles]
        .into_iter()
        .chain(groups.into_iter().map(|(name, group)| group.cells(name)))
        .collect();
    if grouping == Grouping::State {
        // Their name says it.
        rows.iter_mut().for_each(|row| row[4].clear());
    }
    table(&rows, grouping, (palette, width), out);
    if more > 0 {
        let mut line = Line::new(width, palette, out);
        let (number, groups) = (grouped(more as u64), count(more as u64, "group"));
        let words = phrase!(texts, "screen-more-groups", [number], "{groups} more (--limit)");
        line.push(palette.dim, &format!("… {words}"));
        line.finish();
    }
}
