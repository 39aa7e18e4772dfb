//! Words that several findings have.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Descriptors, Halt, Limit, Line, Listener, LostSegment, Program, Remedy, Service, Setting,
};
use crate::{
    activity::{Doing, Wait, WaitKind},
    container::short,
    duration::{duration, grouped, whole_seconds},
    endpoint::Endpoint,
    escape::{escape, harmless},
    process::{Executable, Process},
    state::State,
};

pub(super) fn advice(text: impl Into<String>) -> Remedy {
    Remedy { text: text.into(), command: None }
}

pub(super) fn command(text: &str, command: String) -> Remedy {
    Remedy { text: text.into(), command: Some(command) }
}

/// All together; a recording may say any numbers.
pub(super) fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// `python3[812]`
pub fn process(process: &Process) -> String {
    format!("{}[{}]", escape(process.name()), process.pid)
}

/// `python3[812]` of each, by commas, the first three of them.
pub(super) fn programs(programs: &[Program]) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> =
        programs.iter().take(SHOWN).map(|program| process(&program.process)).collect();
    if programs.len() > SHOWN {
        names.push(format!("{} more", programs.len() - SHOWN));
    }
    if names.is_empty() { "the process that listens".into() } else { names.join(", ") }
}

/// A listener and who holds it, where that can be seen: `:8080`, what comes between, `python3[812]`.
pub fn whose(from: &Listener, between: &str) -> String {
    let local = listener(from.local);
    let which = match from.candidates {
        0 | 1 => local,
        several => format!("{local} (not known which of {several} that share it)"),
    };
    match from.processes.as_slice() {
        [] => which,
        processes => format!("{which}{between}{}", programs(processes)),
    }
}

/// `:8080` where the address says nothing.
pub(super) fn listener(local: Endpoint) -> String {
    if local.is_unspecified() { format!(":{}", local.port) } else { local.to_string() }
}

pub(super) fn service(service: Service) -> String {
    match service {
        Service::Here(local) => format!("to {} here", listener(local)),
        Service::There(peer) => format!("to {peer}"),
    }
}

/// An address, with its port where it has one.
pub(super) fn end(end: Endpoint) -> String {
    if end.port == 0 { end.address().to_string() } else { end.to_string() }
}

/// `5-12, 14, 20`; the rest counted where there are many runs.
pub(super) fn runs(numbers: &[u32]) -> String {
    const SHOWN: usize = 8;
    let runs: Vec<&[u32]> =
        numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next)).collect();
    let mut text = String::new();
    for run in runs.iter().take(SHOWN) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            [] => Ok(()),
        };
    }
    if runs.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// `a process` where it is not known.
pub(super) fn a_process(known: Option<&Process>) -> String {
    known.map_or_else(|| "a process".to_owned(), process)
}

/// `, for 12 s`: since when.
pub(super) fn since(since: u64) -> String {
    format!(", for {}", whole_seconds(since))
}

/// `, exhausted in 12 min`, if so.
pub(super) fn none_left(left: Option<f64>) -> String {
    left.map_or_else(String::new, |left| format!(", exhausted in {}", minutes(left)))
}

/// `12 minutes`, `3 hours`, `5 days`; `less than a minute`.
pub(super) fn minutes(minutes: f64) -> String {
    match minutes {
        ..1.0 => "less than a minute".into(),
        1.0..120.0 => format!("{minutes:.0} min"),
        120.0..2_880.0 => format!("{:.0} h", minutes / 60.0),
        _ => format!("{:.0} days", minutes / 1_440.0),
    }
}

/// A rate with as many digits as it deserves.
pub(super) fn rate(rate: f64) -> String {
    if rate.abs() < 10.0 { format!("{rate:.1}") } else { grouped(rate.abs().round() as u64) }
}

/// Why a process cannot run, in words.
pub fn halted(halt: Halt) -> &'static str {
    match halt {
        Halt::Stopped => "is stopped (SIGSTOP)",
        Halt::Traced => "is held by a debugger (ptrace)",
        Halt::Frozen => "is frozen (cgroup freezer)",
    }
}

pub(super) fn line(label: &'static str, text: String) -> Line {
    Line { label, text }
}

pub(super) fn states(states: &BTreeMap<State, u64>) -> String {
    let each = states.iter().map(|(state, count)| format!("{} {state}", grouped(*count)));
    each.collect::<Vec<_>>().join(", ")
}

/// What runs there, and in which container.
pub(super) fn of_program(program: &Program) -> Option<Line> {
    let Program { executable, container, .. } = program;
    let path = executable.as_ref().map(|Executable(path)| path.to_string());
    let container = container.as_deref().map(|id| format!("in container {}", harmless(short(id))));
    let known: Vec<String> = path.into_iter().chain(container).collect();
    (!known.is_empty())
        .then(|| line("process", format!("{} {}", process(&program.process), known.join(" "))))
}

pub(super) fn of_listener(from: &Listener) -> Vec<Line> {
    let mut lines: Vec<Line> = from.processes.iter().filter_map(of_program).collect();
    if let Some(halt) = from.halted {
        let who = programs(&from.processes);
        lines.push(line("state", format!("{who} {}", halted(halt))));
    } else if let (Some(doing), Some(first)) = (&from.doing, from.processes.first()) {
        lines.extend(of_activity(doing, &first.process));
    }
    lines
}

/// What a process does, in a few words after its name: `sleeps`, `is busy (98 % of a processor)`.
pub(super) fn does(doing: &Doing) -> Option<String> {
    const BUSY: u32 = 50;
    let Doing { cpu_percent, blocked, ref waits } = *doing;
    if blocked > 0 {
        return Some("is blocked in the kernel (uninterruptible)".into());
    }
    if let Some(percent) = cpu_percent.filter(|percent| *percent >= BUSY) {
        return Some(format!("is busy ({percent} % of a processor)"));
    }
    let function = &waits.first()?.function;
    Some(match WaitKind::of(function) {
        WaitKind::Accept => "waits in accept() of another socket".into(),
        WaitKind::Receive => "waits for data of a peer".into(),
        WaitKind::Events | WaitKind::Poll | WaitKind::Ring => "waits for other events".into(),
        WaitKind::Sleep => "sleeps".into(),
        WaitKind::Lock => "waits for a lock".into(),
        WaitKind::Child => "waits for a child process".into(),
        WaitKind::Other if function.is_empty() || &**function == "0" => return None,
        WaitKind::Other => format!("waits in {}", harmless(function)),
    })
}

/// Where the threads of a process wait.
pub(super) fn of_activity(doing: &Doing, who: &Process) -> Option<Line> {
    let Doing { cpu_percent, blocked, ref waits } = *doing;
    let wait = |wait: &Wait| match wait.threads {
        1 => harmless(&wait.function).into_owned(),
        threads => format!("{} × {threads}", harmless(&wait.function)),
    };
    let known = waits.iter().filter(|wait| !matches!(&*wait.function, "" | "0"));
    let mut parts: Vec<String> = known.map(wait).collect();
    if blocked > 0 {
        parts.push(format!("{blocked} uninterruptible"));
    }
    let waits = (!parts.is_empty()).then(|| format!("threads wait in {}", parts.join(", ")));
    let cpu = cpu_percent.map(|percent| format!("{percent} % of a processor"));
    let parts: Vec<String> = waits.into_iter().chain(cpu).collect();
    (!parts.is_empty()).then(|| line("state", format!("{}: {}", process(who), parts.join("; "))))
}

/// Shows what all threads of a process wait for.
pub(super) fn stacks(pid: u32) -> Remedy {
    command("what its threads wait for", format!("tail -n +1 /proc/{pid}/task/*/stack"))
}

pub(super) const CLOSE_ON_EXEC: &str = "close the descriptor in the child after fork(), or open it with SOCK_CLOEXEC (accept4) so \
     that exec() closes it";

pub(super) fn growth(growth: f64) -> String {
    if growth > 0.0 {
        format!("+{}/min", rate(growth))
    } else if growth < 0.0 {
        format!("-{}/min", rate(-growth))
    } else {
        "none while observed".into()
    }
}

pub(super) fn of_limit(open: &Descriptors) -> String {
    let left = open.minutes_left.map(minutes);
    let left = left.map_or_else(String::new, |left| format!(": exhausted in {left}"));
    format!("{} of {} descriptors{left}", grouped(open.open), grouped(open.limit))
}

/// A filter of `ss` for the sockets of a service.
pub(super) fn filter(service: Service) -> String {
    match service {
        Service::Here(local) => format!("'( sport = :{} )'", local.port),
        Service::There(peer) => destination(peer),
    }
}

/// A filter of `ss`, which takes no interface with an address.
pub(super) fn destination(peer: Endpoint) -> String {
    format!("dst '{}'", Endpoint::new(peer.address(), peer.port))
}

pub(super) fn resume(halt: Halt, pid: Option<u32>) -> Vec<Remedy> {
    let Some(pid) = pid else { return Vec::new() };
    vec![match halt {
        Halt::Stopped => command("let it run again", format!("kill -CONT {pid}")),
        Halt::Traced => command(
            "detach or continue the debugger that holds it",
            format!("grep TracerPid /proc/{pid}/status"),
        ),
        Halt::Frozen => {
            command("thaw its cgroup (docker unpause, or)", format!("cat /proc/{pid}/cgroup"))
        }
    }]
}

pub(super) const REUSE: &str =
    "keep connections open and reuse them (keep-alive, a pool): the only cure that lasts";
pub(super) const MORE_ADDRESSES: &str =
    "the range is for each pair of addresses: more source or destination addresses help";

pub(super) fn tw_reuse(enter: &str) -> Remedy {
    command(
        "lets connect() take over ports from TIME_WAIT after a second; safe with timestamps, for \
         outgoing connections only",
        format!("{enter}sysctl -w net.ipv4.tcp_tw_reuse=1"),
    )
}

pub(super) fn wider_range(enter: &str) -> Remedy {
    command(
        "a wider range; keep listeners' ports out of it by ip_local_reserved_ports",
        format!("{enter}sysctl -w net.ipv4.ip_local_port_range='10240 65000'"),
    )
}

pub(super) fn time_wait_folklore() -> Remedy {
    advice(
        "does not help: tcp_fin_timeout (TIME_WAIT is always 60 s), tcp_tw_recycle (gone since \
         4.12)",
    )
}

/// Where a segment of a handshake within this host is lost.
pub(super) fn lost(segment: LostSegment) -> &'static str {
    match segment {
        LostSegment::Syn => "the SYN does not reach the listener on this host",
        LostSegment::SynAck => {
            "the SYN arrives at the listener on this host, its SYN+ACK does not reach the client"
        }
        LostSegment::Ack => {
            "the client on this host is connected, its ACK does not reach the listener"
        }
    }
}

/// What drops segments between two ends of one host.
pub(super) fn firewall(enter: &str) -> Remedy {
    command(
        "within one host a packet filter drops segments (iptables is shown as well), rp_filter or a \
         qdisc (tc -s qdisc): look for the rule, in the namespace of either end",
        format!("{enter}nft list ruleset"),
    )
}

/// A plain connection to an address, as a command.
pub(super) fn reachable(peer: Endpoint, port: u16) -> String {
    format!("timeout 3 bash -c '</dev/tcp/{}/{port}'", host(peer))
}

/// The address with its interface, for a shell: anybody may have named that.
fn host(peer: Endpoint) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match peer.zone().name().filter(|name| name.chars().all(is_plain)) {
        Some(name) => format!("{}%{name}", peer.address()),
        None => peer.address().to_string(),
    }
}

/// What decides when the kernel gives up.
pub(super) fn limit(limit: Limit) -> String {
    let Limit { setting, value } = limit;
    match setting {
        Setting::Retries => format!("net.ipv4.tcp_retries2 = {value}, no TCP_USER_TIMEOUT"),
        Setting::OrphanRetries if value == 8 => {
            "net.ipv4.tcp_orphan_retries: 8 while the time-out is below its maximum".into()
        }
        Setting::OrphanRetries => format!("net.ipv4.tcp_orphan_retries = {value}"),
        Setting::UserTimeout => format!("TCP_USER_TIMEOUT = {}", duration(value * 1_000_000)),
        Setting::KeepaliveProbes => format!("{value} keepalive probes"),
    }
}
