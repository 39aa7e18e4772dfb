//! The keys, and what the columns mean.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::block;
use crate::{sink::text::not_available, top::app::App};

const KEYS: [(&str, &str); 17] = [
    ("1 … 5, Tab", "the screens; or click on their names"),
    ("? or h", "this help, and back"),
    ("q, Ctrl-C", "quit"),
    ("f or Space", "freeze what is shown, and go on"),
    ("x", "put the message at the bottom away"),
    ("", ""),
    ("/", "filter as you type, by words of state, addresses, process[pid],"),
    ("", "@container, as: close_wait nginx 10.0.0.7:443; Esc ends it"),
    ("s, S", "sort by state (who waits first), age, process, local, peer; reverse"),
    ("g", "group by process, peer, container, state; Enter opens a group"),
    ("Enter", "details: holders, times, what happened, ladder"),
    ("Esc", "one step back: details, group, filter"),
    ("↑ ↓, j k", "one line; PgUp PgDn, Home End, wheel: more"),
    ("", ""),
    ("±/MIN", "sockets more or less than a minute ago; blank until that is known"),
    ("IN/S", "sockets that entered this state, a second, lately"),
    ("LINGER, ⚑", "sockets that stay in a state for longer than --linger says"),
];

const STATES: [(&str, &str); 6] = [
    ("CLOSE_WAIT", "the peer has closed; this end's program must close() too. Many: a leak"),
    ("TIME_WAIT", "this end closed first; the kernel waits 60 s. Normal, unless ports run out"),
    ("FIN_WAIT2", "this end has closed; the peer has not"),
    ("SYN_SENT", "no answer yet: a firewall, a dead host, a full queue"),
    ("SYN_RECV", "half-open: the ACK of the handshake has not come"),
    ("≥", "there before the trace began: the time is the least"),
];

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let mut lines = vec![Line::styled(" Keys", theme.title())];
    lines.extend(list(app, &KEYS));
    lines.push(Line::default());
    lines.push(Line::styled(" What it means", theme.title()));
    lines.extend(list(app, &STATES));
    if let Some(hello) = app.picture.hello.as_ref().filter(|hello| !hello.degraded.is_empty()) {
        lines.push(Line::default());
        lines.push(Line::styled(" What cannot be had here", theme.title()));
        for degraded in &hello.degraded {
            lines.extend(block(
                ("", theme.dim()),
                2,
                &not_available(degraded),
                Style::new(),
                width,
            ));
        }
    }
    if !app.messages.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled(" Messages", theme.title()));
        for message in &app.messages {
            lines.extend(block(("", theme.dim()), 2, message, Style::new(), width));
        }
    }
    lines
}

fn list(app: &App, entries: &[(&'static str, &'static str)]) -> Vec<Line<'static>> {
    let line = |(name, what): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!("  {name:<11} "), app.theme.good()), Span::raw(*what)])
    };
    entries.iter().map(line).collect()
}
