//! Words that several findings have.

use std::collections::BTreeMap;

use super::{Descriptors, Halt, Limit, Line, Listener, LostSegment, Program, Service, Setting};
use crate::{
    container::{PodName, short},
    duration::{duration, grouped, whole_seconds},
    endpoint::Endpoint,
    escape::{escape, harmless},
    phrase::{Phrase, Wording, wording},
    process::{Executable, Process},
    state::State,
};

/// All together; a recording may say any numbers.
pub(super) fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// `python3[812]`
pub fn process(process: &Process) -> String {
    format!("{}[{}]", escape(process.name()), process.pid)
}

/// `python3`: the name that processes of one program share.
pub(super) fn name(known: Option<&Process>) -> String {
    known.map_or_else(String::new, |process| escape(process.name()).into())
}

/// Programs named.
const PROGRAMS: usize = 3;

/// `python3[812]` of each, by commas, the first of them.
pub(super) fn programs(programs: &[Program]) -> Wording {
    if programs.is_empty() {
        return Wording::new("the process that listens", Phrase::new("a-process"));
    }
    let names = programs.iter().take(PROGRAMS).map(|program| process(&program.process));
    and_more(&names.collect::<Vec<_>>(), programs.len().saturating_sub(PROGRAMS))
}

/// Names by commas, and how many more there are.
pub(super) fn and_more(names: &[String], more: usize) -> Wording {
    let names = names.join(", ");
    match more {
        0 => names.into(),
        more => {
            let more = grouped(more as u64);
            wording!("and-more", "{names}, {more} more", [names, more])
        }
    }
}

/// `10.0.0.1:80 × 3` of each, by commas, the first of them.
pub(super) fn each_peer(peers: &[(Endpoint, u64)], shown: usize) -> Wording {
    let each = |&(peer, count): &(Endpoint, u64)| format!("{} × {}", end(peer), grouped(count));
    let names: Vec<String> = peers.iter().take(shown).map(each).collect();
    and_more(&names, peers.len().saturating_sub(shown))
}

/// A listener and who holds it, where that can be seen: `:8080`, what comes between, `python3[812]`.
pub fn whose(from: &Listener, between: &str) -> Wording {
    let local = listener(from.local);
    let which = match from.candidates {
        0 | 1 => local.into(),
        several => wording!(
            "one-of-several",
            "{address} (not known which of {count} that share it)",
            address = local,
            count = several.to_string(),
        ),
    };
    match from.processes.as_slice() {
        [] => which,
        processes => {
            let who = programs(processes);
            let english = format!("{which}{between}{who}");
            let held = Phrase::new("held-by").with("address", which).with("who", who);
            Wording::new(english, held)
        }
    }
}

/// `:8080` where the address says nothing.
pub(super) fn listener(local: Endpoint) -> String {
    if local.is_unspecified() { format!(":{}", local.port) } else { local.to_string() }
}

pub(super) fn service(service: Service) -> Wording {
    match service {
        Service::Here(local) => wording!("here", "to {address} here", address = listener(local)),
        Service::There(peer) => Wording::new(format!("to {peer}"), peer.to_string()),
    }
}

/// An address, with its port where it has one.
pub(super) fn end(end: Endpoint) -> String {
    if end.port == 0 { end.address().to_string() } else { end.to_string() }
}

/// `a process` where it is not known.
pub(super) fn a_process(known: Option<&Process>) -> Wording {
    known.map_or_else(
        || Wording::new("a process", Phrase::new("a-process")),
        |known| process(known).into(),
    )
}

/// `curl[812] and 3 more of that name`: a process, and how many others of its name.
pub(super) fn of_a_name(known: Option<&Process>, others: u64) -> Wording {
    let who = a_process(known);
    if others == 0 {
        return who;
    }
    let more = grouped(others);
    wording!("others-of-name", "{who} and {more} more of that name", [who, more])
}

/// `, for 12 s`: since when.
pub(super) fn since(since: u64) -> Wording {
    const SECOND: u64 = 1_000_000_000;
    let time = whole_seconds(since);
    let english = if since < SECOND { String::new() } else { format!(", for {time}") };
    Wording::new(english, time)
}

/// `≥ 12.0s` where the true time is at least that.
pub(super) fn least(at_least: bool, time: u64) -> String {
    format!("{}{}", if at_least { "≥ " } else { "" }, duration(time))
}

/// `, in the last 12 s`: in which time.
pub(super) fn within(time: u64) -> Wording {
    let since = since(time);
    let english = since.to_string().replacen("for", "in the last", 1);
    Wording::new(english, since)
}

/// `, exhausted in 12 min`, if so.
pub(super) fn none_left(left: Option<f64>) -> Option<Wording> {
    left.map(|left| exhausted(", ", left))
}

/// `exhausted in 12 min`, `3 h`, `5 days`, `less than a minute`; in English behind `before`.
pub(super) fn exhausted(before: &str, minutes: f64) -> Wording {
    let (name, time) = match minutes {
        ..1.0 => ("left-minute", "less than a minute".to_owned()),
        1.0..120.0 => ("left-minutes", format!("{minutes:.0} min")),
        120.0..2_880.0 => ("left-hours", format!("{:.0} h", minutes / 60.0)),
        _ => ("left-days", format!("{:.0} days", minutes / 1_440.0)),
    };
    let left = time.split(' ').next().unwrap_or_default().to_owned();
    Wording::new(format!("{before}exhausted in {time}"), Phrase::new(name).with("left", left))
}

pub(super) fn connections(number: u64) -> Wording {
    wording!("some-connections", "{count}", count = Wording::count(number, "connection"))
}

pub(super) fn ports(number: u32) -> Wording {
    wording!("some-ports", "{count}", count = Wording::count(number.into(), "port"))
}

pub(super) fn bytes(number: u64) -> Wording {
    wording!("some-bytes", "{count}", count = Wording::count(number, "byte"))
}

/// A rate with as many digits as it deserves.
pub(super) fn rate(rate: f64) -> String {
    if rate.abs() < 10.0 { format!("{rate:.1}") } else { grouped(rate.abs().round() as u64) }
}

/// Why a process cannot run, in words.
pub fn halted(halt: Halt) -> Wording {
    match halt {
        Halt::Stopped => wording!("halted-stopped", "is stopped (SIGSTOP)"),
        Halt::Traced => wording!("halted-traced", "is held by a debugger (ptrace)"),
        Halt::Frozen => wording!("halted-frozen", "is frozen (cgroup freezer)"),
    }
}

pub(super) fn line(label: &'static str, text: impl Into<Wording>) -> Line {
    Line { label, text: text.into() }
}

pub(super) fn states(states: &BTreeMap<State, u64>) -> String {
    let each = states.iter().map(|(state, count)| format!("{} {state}", grouped(*count)));
    each.collect::<Vec<_>>().join(", ")
}

/// The same, with those that no process holds.
pub(super) fn with_orphans(states: Wording, orphans: u64) -> Wording {
    match orphans {
        0 => states,
        orphans => wording!(
            "states-orphaned",
            "{states}, {orphans} orphaned (held by the kernel)",
            [states],
            orphans = grouped(orphans)
        ),
    }
}

/// A container, behind the name of its pod where that is known.
pub(super) fn container(id: &str, pod: Option<&PodName>) -> String {
    let id = harmless(short(id));
    pod.map_or_else(|| id.to_string(), |pod| format!("{pod}/{id}"))
}

/// The same of the first of several, and how many more there are.
pub(super) fn of_programs(programs: &[Program]) -> Vec<Line> {
    let mut lines: Vec<Line> = programs.iter().take(PROGRAMS).filter_map(of_program).collect();
    let more = programs.len().saturating_sub(PROGRAMS);
    if more > 0 && !lines.is_empty() {
        let count = grouped(more as u64);
        lines.push(line("process", wording!("more-processes", "{count} more", [count])));
    }
    lines
}

/// What runs there, and in which container.
pub(super) fn of_program(program: &Program) -> Option<Line> {
    let path = program.executable.as_ref().map(|Executable(path)| format!(" {path}"));
    let known = path.is_some() || program.container.is_some();
    let who = format!("{}{}", process(&program.process), path.unwrap_or_default());
    let text = match program.container.as_deref() {
        None => who.into(),
        Some(id) => {
            let id = container(id, program.pod_name.as_ref());
            wording!("in-container", "{who} in container {id}", [who, id])
        }
    };
    known.then(|| line("process", text))
}

pub(super) fn growth(growth: f64) -> Wording {
    let sign = match growth {
        ..0.0 => "-",
        growth if growth > 0.0 => "+",
        _ => return wording!("no-growth", "none while observed"),
    };
    let rate = format!("{sign}{}", rate(growth.abs()));
    wording!("per-minute", "{rate}/min", [rate])
}

pub(super) fn of_limit(open: &Descriptors) -> Wording {
    let left = open.minutes_left.map(|left| exhausted(": ", left));
    wording!(
        "of-limit",
        "{open} of {limit} descriptors{left}",
        [left],
        open = grouped(open.open),
        limit = grouped(open.limit)
    )
}

/// Where a segment of a handshake within this host is lost.
pub(super) fn lost(segment: LostSegment) -> Wording {
    match segment {
        LostSegment::Syn => {
            wording!("lost-syn", "the SYN does not reach the listener on this host")
        }
        LostSegment::SynAck => wording!(
            "lost-syn-ack",
            "the SYN arrives at the listener on this host, its SYN+ACK does not reach the client"
        ),
        LostSegment::Ack => wording!(
            "lost-ack",
            "the client on this host is connected, its ACK does not reach the listener"
        ),
        LostSegment::DroppedSyn => wording!(
            "lost-dropped-syn",
            "the listener on this host drops the SYN, as its accept queue is full"
        ),
    }
}

/// What decides when the kernel gives up.
pub(super) fn limit(limit: Limit) -> Wording {
    let Limit { setting, value } = limit;
    match setting {
        Setting::Retries => wording!(
            "limit-retries",
            "net.ipv4.tcp_retries2 = {value}, no TCP_USER_TIMEOUT",
            value = value.to_string(),
        ),
        Setting::OrphanRetries if value == 8 => wording!(
            "limit-orphan-retries",
            "net.ipv4.tcp_orphan_retries: 8 while the time-out is below its maximum"
        ),
        Setting::OrphanRetries => format!("net.ipv4.tcp_orphan_retries = {value}").into(),
        Setting::UserTimeout => {
            format!("TCP_USER_TIMEOUT = {}", duration(value * 1_000_000)).into()
        }
        Setting::KeepaliveProbes => {
            wording!("limit-probes", "{value} keepalive probes", value = value.to_string())
        }
    }
}
