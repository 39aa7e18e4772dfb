//! Lists of sockets, for people and for machines.

use std::collections::BTreeMap;

use super::{
    json::Json,
    text::{Palette, duration, grouped, process},
    wall_clock::WallClock,
};
use crate::model::{
    owner::Owner,
    socket::{Socket, Timer, TimerKind},
    state::State,
};

/// One JSON object a line, of kind `socket`.
pub fn json(sockets: &[Socket], clock: WallClock, out: &mut Vec<u8>) {
    let mut json = Json::default();
    sockets.iter().for_each(|socket| json.socket(socket, clock, out));
}

/// A table with aligned columns, the lines cut at `width`, and the counts by state.
pub fn text(sockets: &[Socket], palette: Palette, width: Option<usize>, out: &mut Vec<u8>) {
    let netns: Vec<u32> = sockets.iter().map(|socket| socket.subject.tuple.netns).collect();
    let several = netns.iter().any(|other| *other != netns[0]);
    let mut rows = vec![header(several)];
    rows.extend(sockets.iter().map(|socket| row(socket, several)));
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (index, row) in rows.iter().enumerate() {
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
        write_row(row, &widths, style, width, out);
    }
    write_counts(sockets, palette, out);
}

const COLUMNS: usize = 9;

fn header(several: bool) -> [String; COLUMNS] {
    let netns = if several { "NETNS" } else { "" };
    ["STATE", "AGE", "LOCAL", "PEER", "RECVQ", "SENDQ", "RTT", netns, "PROCESS"].map(str::to_owned)
}

fn row(socket: &Socket, several: bool) -> [String; COLUMNS] {
    let tuple = socket.subject.tuple;
    let or_dash = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), duration);
    [
        socket.state.to_string(),
        or_dash(socket.age),
        tuple.local.to_string(),
        if socket.state == State::Listen { "*".into() } else { tuple.peer.to_string() },
        socket.receive_queue.to_string(),
        socket.send_queue.to_string(),
        or_dash(socket.rtt),
        if several { tuple.netns.to_string() } else { String::new() },
        who(socket),
    ]
}

/// Holders and the timer: what no other column has room for.
fn who(socket: &Socket) -> String {
    let mut words = match socket.holders.as_slice() {
        [] if socket.unaccepted => "(not accepted)".to_owned(),
        [] if socket.orphaned => "(kernel)".to_owned(),
        [] => "-".to_owned(),
        [first, others @ ..] => {
            let Owner { fd, .. } = *first;
            let fd = fd.map_or_else(String::new, |fd| format!(" fd {fd}"));
            let more = match others.len() {
                0 => String::new(),
                more => format!(" +{more}"),
            };
            format!("{}{fd}{more}", process(Some(*first)))
        }
    };
    if let Some(Timer { name, expires_in_ns }) = socket.timer {
        let name = match name {
            TimerKind::Retransmit => "retransmits",
            TimerKind::ZeroWindowProbe => "probes the window",
            TimerKind::LossProbe => "probes for loss",
            TimerKind::Keepalive => "keepalive",
            TimerKind::TimeWait => "ends",
            TimerKind::SynAck => "repeats SYN+ACK",
        };
        words.push_str(&format!("  {name} in {}", duration(expires_in_ns)));
    }
    words
}

fn write_row(
    row: &[String; COLUMNS],
    widths: &[usize; COLUMNS],
    style: anstyle::Style,
    limit: Option<usize>,
    out: &mut Vec<u8>,
) {
    let mut line = String::new();
    for (index, (cell, &width)) in row.iter().zip(widths).enumerate() {
        if width == 0 {
            continue;
        }
        let right = matches!(index, 1 | 4 | 5 | 6);
        let padded = if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        line.push_str(&padded);
        line.push_str("  ");
    }
    let line = line.trim_end();
    let line: String = match limit {
        Some(limit) if line.chars().count() > limit => {
            line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
        }
        _ => line.to_owned(),
    };
    if style.is_plain() {
        out.extend_from_slice(line.as_bytes());
    } else {
        out.extend_from_slice(format!("{style}{line}{style:#}").as_bytes());
    }
    out.push(b'\n');
}

fn write_counts(sockets: &[Socket], palette: Palette, out: &mut Vec<u8>) {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for socket in sockets {
        *counts.entry(socket.state.index()).or_default() += 1;
    }
    let by_state: Vec<String> = counts
        .into_iter()
        .map(|(state, count)| format!("{} {}", grouped(count), State::ALL[state]))
        .collect();
    let total = grouped(sockets.len() as u64);
    let line = match by_state.as_slice() {
        [] => "= no sockets".to_owned(),
        states => format!("= {total} sockets: {}", states.join(", ")),
    };
    let style = palette.dim;
    out.extend_from_slice(format!("{style}{line}{style:#}\n").as_bytes());
}
