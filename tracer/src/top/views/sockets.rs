//! The list of sockets, or of groups of them.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{left, left_by_end, put, right};
use crate::{
    model::{owner::Evidence, state::State, update::Role},
    sink::text::{duration, grouped, process},
    top::{
        app::App,
        rows::{Group, Row},
    },
};

/// What is shown, and the names of the columns.
const HEAD: u16 = 2;

/// Where the rows are.
pub(super) fn list_area(body: Rect) -> Rect {
    Rect { y: body.y + HEAD, height: body.height.saturating_sub(HEAD), ..body }
}

pub(super) fn draw(app: &App, body: Rect, buffer: &mut Buffer) {
    put(buffer, body, 0, &summary(app));
    let columns = Columns::of(usize::from(body.width));
    let grouped = app.list.grouping.is_some();
    let header = if grouped { group_header(&columns) } else { columns.header() };
    put(buffer, body, 1, &Line::styled(header, app.theme.dim()));
    let area = list_area(body);
    for row in 0..usize::from(area.height) {
        let index = app.list.offset + row;
        let line = if grouped {
            app.list.groups.get(index).map(|group| group_line(app, group, &columns))
        } else {
            app.list.row(index).map(|row| columns.line(app, row))
        };
        let Some(mut line) = line else { break };
        if index == app.list.selected {
            line = line.style(app.theme.selected());
        }
        put(buffer, area, row, &line);
    }
    if app.list.is_empty() {
        let words = if app.list.rows.is_empty() { " no sockets yet" } else { " no matches" };
        put(buffer, area, 0, &Line::styled(words, app.theme.dim()));
    }
}

/// `412 of 823 sockets by age  filter: hoarder close_wait`
fn summary(app: &App) -> Line<'static> {
    let list = &app.list;
    let selection = &list.selection;
    let all = list.rows.len();
    let listed = list.listed.len();
    let mut words = match listed == all {
        true => format!(" {} sockets", grouped(all as u64)),
        false => format!(" {} of {} sockets", grouped(listed as u64), grouped(all as u64)),
    };
    if let Some(grouping) = list.grouping {
        let groups = list.groups.len();
        let s = if groups == 1 { "" } else { "s" };
        words.push_str(&format!(" in {groups} group{s} by {}", grouping.name()));
    }
    let reversed = if selection.reversed { ", reversed" } else { "" };
    words.push_str(&format!(", sorted by {}{reversed}", selection.order.name()));
    let mut spans = vec![Span::raw(words)];
    if let Some(key) = &selection.within {
        spans.push(Span::styled(format!("  group: {}", key.text()), app.theme.title()));
    }
    if list.typing || !selection.filter.is_empty() {
        let style = if list.typing { app.theme.title() } else { app.theme.warning() };
        let cursor = if list.typing { "█" } else { "" };
        let filter = crate::sink::escape::escape(selection.filter.as_bytes()).into_owned();
        spans.push(Span::raw("  filter: "));
        spans.push(Span::styled(format!("{filter}{cursor}"), style));
    }
    Line::from(spans)
}

/// Widths of the columns; 0 where there is no room for one.
struct Columns {
    end: usize,
    process: usize,
    fd: usize,
    container: usize,
    netns: usize,
}

const STATE: usize = 11;
const AGE: usize = 8;

impl Columns {
    fn of(width: usize) -> Self {
        let rest = width.saturating_sub(1 + STATE + 1 + AGE + 1);
        let (end, fd, container, netns) = match width {
            ..100 => (21, 0, 0, 0),
            100..130 => (22, 5, 13, 0),
            130..170 => (28, 6, 13, 11),
            _ => (42, 6, 13, 11),
        };
        let shown = |width: usize| if width > 0 { width + 1 } else { 0 };
        let others: usize = [fd, container, netns].map(shown).iter().sum();
        let process = rest.saturating_sub(2 * (end + 1) + others);
        Self { end, process: process.min(40), fd, container, netns }
    }

    fn header(&self) -> String {
        let mut text = format!(
            " {} {} {} {} {}",
            left("STATE", STATE),
            right("AGE", AGE),
            left("LOCAL", self.end),
            left("PEER", self.end),
            left("PROCESS", self.process)
        );
        for (name, width) in [("FD", self.fd), ("CONTAINER", self.container), ("NETNS", self.netns)]
        {
            if width > 0 {
                text.push(' ');
                text.push_str(&left(name, width));
            }
        }
        text
    }

    fn line(&self, app: &App, row: &Row) -> Line<'static> {
        let theme = &app.theme;
        let age = app.picture.clock.now.saturating_sub(row.since);
        let sign = if row.at_least { "≥" } else { "" };
        let age = right(&format!("{sign}{}", duration(age)), AGE);
        let flag = if row.lingers { "⚑" } else { " " };
        let peer = match (row.state, row.role) {
            (State::Listen, _) | (_, Some(Role::Listener)) => "*".to_owned(),
            _ => row.tuple.peer.to_string(),
        };
        let mut spans = vec![
            Span::styled(flag, theme.bad()),
            Span::styled(row.state.name(), theme.state(row.state)),
            Span::raw(" ".repeat(STATE + 1 - row.state.name().len())),
            Span::styled(age, if row.lingers { theme.warning() } else { Style::new() }),
            Span::raw(format!(
                " {} {} ",
                left_by_end(&row.tuple.local.to_string(), self.end),
                left_by_end(&peer, self.end),
            )),
            Span::raw(left(&who(row), self.process)),
        ];
        if self.fd > 0 {
            let fd = row.owner.filter(|_| !row.orphaned).and_then(|owner| owner.fd);
            let fd = fd.map_or_else(String::new, |fd| fd.to_string());
            spans.push(Span::raw(format!(" {}", left(&fd, self.fd))));
        }
        if self.container > 0 {
            let container = row.container(&*app.list.surroundings).unwrap_or_default();
            let short = crate::model::container::short(&container);
            spans.push(Span::raw(format!(" {}", left(short, self.container))));
        }
        if self.netns > 0 {
            spans.push(Span::raw(format!(" {}", left(&row.tuple.netns.to_string(), self.netns))));
        }
        Line::from(spans)
    }
}

/// The owner; of an orphan the former one.
fn who(row: &Row) -> String {
    match (row.owner, row.orphaned) {
        (None, true) => "(kernel)".into(),
        (owner @ Some(_), true) => format!("was {}", process(owner)),
        (Some(owner), false)
            if owner.evidence == Evidence::Listener && row.state == State::CloseWait =>
        {
            format!("{} not accepted yet", process(Some(owner)))
        }
        (owner, false) => process(owner),
    }
}

const NUMBERS: [(&str, usize); 7] = [
    ("SOCKETS", 9),
    ("CLOSE_WAIT", 11),
    ("ESTABLISHED", 12),
    ("TIME_WAIT", 10),
    ("OTHER", 8),
    ("LINGER", 8),
    ("OLDEST", 9),
];

/// What is left for the names of groups; some numbers are left out where there is no room.
fn name_width(columns: &Columns) -> (usize, usize) {
    let width = 1 + STATE + 1 + AGE + 1 + 2 * (columns.end + 1) + columns.process;
    let shown = if width < 90 { 6 } else { 7 };
    let numbers: usize = NUMBERS.iter().take(shown).map(|(_, width)| width).sum();
    (width.saturating_sub(numbers + 1).clamp(12, 50), shown)
}

fn group_header(columns: &Columns) -> String {
    let (width, shown) = name_width(columns);
    let mut text = format!(" {}", left("GROUP", width));
    for (name, width) in &NUMBERS[..shown] {
        text.push_str(&right(name, *width));
    }
    text
}

fn group_line(app: &App, group: &Group, columns: &Columns) -> Line<'static> {
    let (width, shown) = name_width(columns);
    let count = |state: State| group.counts[state.index()];
    let known = [State::CloseWait, State::Established, State::TimeWait].map(count);
    let other = group.total() - known.iter().sum::<u32>();
    let age = match group.since {
        u64::MAX => String::new(),
        since => duration(app.picture.clock.now.saturating_sub(since)),
    };
    let numbers = [group.total(), known[0], known[1], known[2], other, group.lingering];
    let mut spans = vec![Span::raw(format!(" {}", left(&group.key.text(), width)))];
    for (index, (_, width)) in NUMBERS[..shown].iter().enumerate() {
        let text = match numbers.get(index) {
            None => age.clone(),
            Some(0) => String::new(),
            Some(number) => grouped(u64::from(*number)),
        };
        let style = match index {
            1 => app.theme.state(State::CloseWait),
            5 => app.theme.bad(),
            _ => Style::new(),
        };
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        spans.push(Span::raw(padding));
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}
