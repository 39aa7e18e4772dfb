//! The list of sockets, or of groups of them.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::paint::{Align, Column, header, put, row, some};
use crate::top::{
    app::App,
    rows::{Group, Row},
};
use tracer_event::{
    container, duration::count, escape::escape, process::Evidence, state::State, update::Role,
};
use tracer_output::{
    phrase,
    text::{duration, grouped, process},
};

/// The summary and the names of the columns.
const HEAD: u16 = 2;

/// Where the rows are.
pub(super) fn list_area(body: Rect) -> Rect {
    Rect { y: body.y + HEAD, height: body.height.saturating_sub(HEAD), ..body }
}

pub(super) fn draw(app: &App, body: Rect, buffer: &mut Buffer) {
    let list = &app.list;
    let width = usize::from(body.width);
    put(buffer, body, 0, &summary(app));
    let columns = columns(width);
    let group_columns = group_columns(&columns);
    let shown = if list.grouping.is_some() { &group_columns[..] } else { &columns[..] };
    put(buffer, body, 1, &header(app, shown));
    let area = list_area(body);
    for line in 0..usize::from(area.height) {
        let index = list.offset + line;
        let drawn = if list.grouping.is_some() {
            list.groups.get(index).map(|group| group_line(app, group, shown))
        } else {
            list.row(index).map(|row| socket(app, row, shown))
        };
        let Some(drawn) = drawn else { break };
        let selected = index == list.selected;
        let style = if selected { app.theme.selected() } else { Style::new() };
        put(buffer, area, line, &drawn.style(style));
    }
    if list.len() == 0 {
        let words = if list.rows.is_empty() { "no sockets yet" } else { "no matches" };
        put(buffer, area, 0, &Line::styled(format!(" {}", app.said(words)), app.theme.dim()));
    }
}

/// `412 of 823 sockets, sorted by age  filter: hoarder close_wait`
fn summary(app: &App) -> Line<'static> {
    let list = &app.list;
    let selection = &list.selection;
    let [all, listed] = [list.rows.len(), list.listed.len()].map(|len| grouped(len as u64));
    let texts = app.texts();
    let sockets = if list.rows.len() == 1 { "socket" } else { "sockets" };
    let mut words = String::from(" ");
    words.push_str(&if listed == all {
        phrase!(texts, "top-all-sockets", [all], "{all} {sockets}")
    } else {
        phrase!(texts, "top-some-sockets", [listed, all], "{listed} of {all} {sockets}")
    });
    if let Some(grouping) = list.grouping {
        let (number, by) = (list.groups.len(), app.said(grouping.name()));
        let groups = count(number as u64, "group");
        words.push_str(&phrase!(texts, "top-groups", [number, by], " in {groups} by {by}"));
    }
    let by = app.said(selection.order.name());
    words.push_str(&phrase!(texts, "top-sorted", [by], ", sorted by {by}"));
    if selection.reversed {
        words.push_str(&format!(", {}", app.said("reversed")));
    }
    let mut spans = vec![Span::raw(words)];
    if let Some(key) = &selection.within {
        let words = format!("  {}: {}", app.said("group"), app.said(&key.text()));
        spans.push(Span::styled(words, app.theme.title()));
    }
    if list.typing || !selection.filter.is_empty() {
        let style = if list.typing { app.theme.title() } else { app.theme.warning() };
        let cursor = if list.typing { "█" } else { "" };
        let filter = escape(selection.filter.as_bytes());
        spans.push(Span::raw(format!("  {}: ", app.said("filter"))));
        spans.push(Span::styled(format!("{filter}{cursor}"), style));
    }
    Line::from(spans)
}

/// The columns; those for which there is no room have no width.
fn columns(width: usize) -> [Column; 8] {
    let (end, fd, container, netns) = match width {
        ..100 => (21, 0, 0, 0),
        100..130 => (22, 5, 13, 0),
        130..170 => (28, 6, 13, 11),
        _ => (42, 6, 13, 11),
    };
    let mut columns = [
        Column("STATE", 11, Align::Left),
        Column("AGE", 8, Align::Right),
        Column("LOCAL", end, Align::Endpoint),
        Column("PEER", end, Align::Endpoint),
        Column("PROCESS", 0, Align::Process),
        Column("FD", fd, Align::Left),
        Column("CONTAINER", container, Align::Left),
        Column("NETNS", netns, Align::Left),
    ];
    columns[4].1 = width.saturating_sub(1 + used(&columns)).min(40);
    columns
}

/// Width of some columns, each with the blank beside it.
fn used(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.1).filter(|width| *width > 0).map(|width| width + 1).sum()
}

/// The columns of groups, from the start to the end of the processes; some numbers are left out
/// where there is no room.
fn group_columns(columns: &[Column; 8]) -> Vec<Column> {
    let room = used(&columns[..5]);
    let mut all = vec![
        Column("GROUP", 0, Align::Left),
        Column("SOCKETS", 8, Align::Right),
        Column("CLOSE_WAIT", 10, Align::Right),
        Column("ESTABLISHED", 11, Align::Right),
        Column("TIME_WAIT", 9, Align::Right),
        Column("OTHER", 7, Align::Right),
        Column("LINGER", 7, Align::Right),
        Column("OLDEST", 8, Align::Right),
    ];
    if room < 90 {
        all.pop();
    }
    all[0].1 = room.saturating_sub(1 + used(&all)).clamp(12, 50);
    all
}

fn socket(app: &App, socket: &Row, columns: &[Column]) -> Line<'static> {
    let theme = &app.theme;
    let subject = &socket.subject;
    let (flag, warning) =
        if socket.lingers { ("⚑", theme.warning()) } else { (" ", Style::new()) };
    let peer = match (socket.state, subject.role) {
        (State::Listen, _) | (_, Some(Role::Listener)) => "*".to_owned(),
        _ => subject.tuple.peer.to_string(),
    };
    let fd = subject.owner.filter(|_| !socket.orphaned).and_then(|owner| owner.fd);
    let container = socket.container.as_deref().unwrap_or_default();
    let plain = |text: String| (text, Style::new());
    let cells = [
        (socket.state.name().to_owned(), theme.state(socket.state)),
        (age(app, socket.since, socket.at_least), warning),
        plain(subject.tuple.local.to_string()),
        plain(peer),
        plain(owner(app, socket)),
        plain(fd.map_or_else(String::new, |fd| fd.to_string())),
        plain(container::short(container).to_owned()),
        plain(subject.tuple.netns.to_string()),
    ];
    row(Span::styled(flag, theme.bad()), columns, cells)
}

/// The owner; of an orphan the former one.
fn owner(app: &App, row: &Row) -> String {
    let owner = row.subject.owner;
    let listener = owner.is_some_and(|owner| owner.evidence == Evidence::Listener);
    match (owner, row.orphaned) {
        (None, true) => app.said("(kernel)").into(),
        (Some(_), true) => format!("{} {}", app.said("was"), process(owner)),
        (_, false) if listener && row.state == State::CloseWait => {
            format!("{} {}", process(owner), app.said("not accepted yet"))
        }
        (_, false) => process(owner),
    }
}

fn group_line(app: &App, group: &Group, columns: &[Column]) -> Line<'static> {
    let count = |state: State| group.counts[state.index()];
    let known = [State::CloseWait, State::Established, State::TimeWait].map(count);
    let other = group.total() - known.iter().sum::<u32>();
    let oldest = match group.since {
        u64::MAX => String::new(),
        since => age(app, since, group.at_least),
    };
    let plain = |text: String| (text, Style::new());
    let number = |count: u32| plain(some(count.into()));
    let styled = |count: u32, style: Style| (some(count.into()), style);
    let cells = [
        plain(app.said(&group.key.text()).to_owned()),
        number(group.total()),
        styled(known[0], app.theme.state(State::CloseWait)),
        number(known[1]),
        number(known[2]),
        number(other),
        styled(group.lingering, app.theme.bad()),
        plain(oldest),
    ];
    row(Span::raw(" "), columns, cells)
}

/// `≥4.2s`
fn age(app: &App, since: u64, at_least: bool) -> String {
    let age = duration(app.ui_snapshot.clock.now.saturating_sub(since));
    format!("{}{age}", if at_least { "≥" } else { "" })
}
