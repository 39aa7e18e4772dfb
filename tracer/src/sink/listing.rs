//! Lists of sockets, for people and for machines.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    json::Json,
    surroundings::Surroundings,
    text::{Palette, duration, grouped, in_container, process},
    wall_clock::WallClock,
};
use crate::{
    model::{
        owner::Owner,
        socket::{Socket, Timer, TimerKind},
        state::State,
    },
    sockets::Found,
};

/// One JSON object a line, of kind `socket`.
pub fn json(
    sockets: &[Socket],
    clock: WallClock,
    surroundings: Arc<dyn Surroundings>,
    out: &mut Vec<u8>,
) {
    let mut json = Json::new(surroundings);
    sockets.iter().for_each(|socket| json.socket(socket, clock, out));
}

/// A table with aligned columns, the lines cut at `width`.
pub fn text(
    Found { sockets, .. }: &Found,
    surroundings: &dyn Surroundings,
    palette: Palette,
    width: Option<usize>,
    out: &mut Vec<u8>,
) {
    let netns: Vec<u32> = sockets.iter().map(|socket| socket.subject.tuple.netns).collect();
    let several = netns.iter().any(|other| *other != netns[0]);
    let mut rows = vec![header(several)];
    rows.extend(sockets.iter().map(|socket| row(socket, several, surroundings)));
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
}

const COLUMNS: usize = 9;

fn header(several: bool) -> [String; COLUMNS] {
    let netns = if several { "NETNS" } else { "" };
    ["STATE", "AGE", "LOCAL", "PEER", "RECVQ", "SENDQ", "RTT", netns, "PROCESS"].map(str::to_owned)
}

fn row(socket: &Socket, several: bool, surroundings: &dyn Surroundings) -> [String; COLUMNS] {
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
        who(socket, &in_container(&socket.subject, surroundings)),
    ]
}

/// Holders and the timer: what no other column has room for.
fn who(socket: &Socket, container: &str) -> String {
    let mut words = match socket.holders.as_slice() {
        [] if socket.unaccepted => format!("(not accepted){container}"),
        [] if socket.orphaned => format!("(kernel){container}"),
        [] => format!("-{container}"),
        [first, others @ ..] => {
            let Owner { fd, .. } = *first;
            let fd = fd.map_or_else(String::new, |fd| format!(" fd {fd}"));
            let more = match others.len() {
                0 => String::new(),
                more => format!(" +{more}"),
            };
            format!("{}{container}{fd}{more}", process(Some(*first)))
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

/// The counts by state: of the namespace `home`, and apart from them those of the others.
pub fn counts(found: &Found, home: Option<u32>, palette: Palette, out: &mut Vec<u8>) {
    let netns = |socket: &&Socket| socket.subject.tuple.netns;
    let is_home = |socket: &&Socket| home.is_none_or(|home| netns(socket) == home);
    let (own, others): (Vec<&Socket>, Vec<&Socket>) = found.sockets.iter().partition(is_home);
    let mut lines = vec![match by_state(&own) {
        states if states.is_empty() => "= no sockets".to_owned(),
        states => format!("= {}: {states}", sockets(own.len())),
    }];
    if !others.is_empty() {
        let elsewhere = elsewhere(others.iter().map(netns).collect());
        lines.push(format!("+ {elsewhere}: {}", by_state(&others)));
    }
    if !found.elsewhere.is_empty() {
        let elsewhere = elsewhere(found.elsewhere.clone());
        lines.push(format!("+ {elsewhere}, not shown (--netns all)"));
    }
    match found.refused.len() {
        0 => {}
        1 => lines.push("+ 1 network namespace that may not be looked into".to_owned()),
        more => lines.push(format!("+ {more} network namespaces that may not be looked into")),
    }
    let style = palette.dim;
    for line in lines {
        out.extend_from_slice(format!("{style}{line}{style:#}\n").as_bytes());
    }
}

/// `7 sockets in 2 other network namespaces`, of one entry a socket.
fn elsewhere(mut netns: Vec<u32>) -> String {
    let count = netns.len();
    netns.sort_unstable();
    netns.dedup();
    let several = if netns.len() == 1 { "" } else { "s" };
    format!("{} in {} other network namespace{several}", sockets(count), netns.len())
}

fn sockets(count: usize) -> String {
    format!("{} socket{}", grouped(count as u64), if count == 1 { "" } else { "s" })
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
