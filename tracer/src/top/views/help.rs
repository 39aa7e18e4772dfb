//! The keys, and what the columns and states mean.

use ratatui::{style::Style, text::Line};

use super::paint::block;
use crate::top::app::App;
use tracer_output::text::not_available;

/// Where the explanations begin.
const INDENT: usize = 14;

const KEYS: [(&str, &str); 17] = [
    ("1 … 5, Tab", "choose a screen; or click on its name"),
    ("? or h", "show or close this help"),
    ("q", "back from details, help and a command; elsewhere quit"),
    ("Ctrl-C", "quit"),
    ("f or Space", "freeze the screen; again to resume"),
    ("x", "dismiss the message at the bottom"),
    (
        "/",
        "filter as you type, by state, address, process[pid] or @container: close_wait nginx \
        10.0.0.7:443; Esc clears the filter",
    ),
    ("s, S", "sort by state, age, process, local or peer; S reverses the order"),
    ("g", "group by process, peer, container or state; Enter opens a group"),
    ("Enter", "details of a socket: holders, times, timeline, segments"),
    ("c", "copy the command of a finding's remedy; again: the next one"),
    ("Esc", "go back one step: details, group, filter"),
    ("↑ ↓, j k", "one line; PgUp PgDn, Home End or the wheel: more"),
    ("", ""),
    ("±/MIN", "sockets gained or lost over the last minute; blank if unknown"),
    ("IN/S", "sockets that entered this state per second, over the last 5 s"),
    ("LINGER, ⚑", "sockets in a state for longer than its --linger threshold"),
];

const STATES: [(&str, &str); 6] = [
    ("CLOSE_WAIT", "the peer has closed, the local program must close() too; many: a leak"),
    ("TIME_WAIT", "closed first by this end; kept for 60 s. Normal, unless ports run out"),
    ("FIN_WAIT2", "this end has closed, the peer has not"),
    ("SYN_SENT", "no answer yet: a firewall, a dead host or a full queue"),
    ("SYN_RECV", "half-open: the handshake's last ACK has not arrived"),
    ("≥", "at least: the socket existed before the trace began"),
];

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let mut lines = vec![title(app, "Keys")];
    lines.extend(list(app, &KEYS, width));
    lines.extend([Line::default(), title(app, "Terms")]);
    lines.extend(list(app, &STATES, width));
    let degraded = app.ui_snapshot.header.iter().flat_map(|header| &header.degraded);
    let missing: Vec<String> =
        degraded.map(|degraded| not_available(degraded, app.texts())).collect();
    for (words, texts) in [("Not available on this host", &missing), ("Messages", &app.messages)] {
        if !texts.is_empty() {
            lines.extend([Line::default(), title(app, words)]);
        }
        for text in texts {
            lines.extend(block(("", theme.dim()), 2, text, Style::new(), width));
        }
    }
    lines
}

fn title(app: &App, words: &str) -> Line<'static> {
    Line::styled(format!(" {}", app.said(words)), app.theme.title())
}

fn list(app: &App, entries: &[(&str, &str)], width: usize) -> Vec<Line<'static>> {
    let lines = |(name, what): &(&str, &str)| {
        let label = format!("  {}", app.said(name));
        block((&label, app.theme.good()), INDENT, app.said(what), Style::new(), width)
    };
    entries.iter().flat_map(lines).collect()
}
