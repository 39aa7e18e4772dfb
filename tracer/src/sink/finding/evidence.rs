//! The evidence under a sentence, a line each.

use std::collections::BTreeMap;

use super::{
    Line, count, end, listener, minutes, process, programs, rate, runs, sentence, service,
};
use crate::{
    model::{
        container::short,
        finding::{
            AcceptQueue, Descriptors, Finding, Leak, Listener, Made, OutOfDescriptors, Problem,
            Program, Service, StuckHandshake, SynBacklog, TimeWaitOverflow,
        },
        ports::{PortUse, Scope},
        state::State,
    },
    sink::{
        escape::{escape, harmless},
        stack,
        text::{duration, grouped},
    },
};

/// Stacks shown.
const STACKS: usize = 3;
/// Far ends named.
const PEERS: usize = 4;

/// What shows it.
pub fn evidence(finding: &Finding) -> Vec<Line> {
    let mut lines = match &finding.problem {
        Problem::CloseWaitLeak(leak) => close_wait(leak),
        Problem::EphemeralPorts(ports) => ephemeral_ports(ports),
        Problem::NoLocalPort(failures) => failures
            .size
            .map(|size| line("range", count(size.into(), "port")))
            .into_iter()
            .collect(),
        Problem::AcceptQueueFull(queue) => accept_queue(queue),
        Problem::SynBacklog(backlog) => syn_backlog(backlog),
        Problem::TimeWaitOverflow(overflow) => time_wait(overflow),
        Problem::Descriptors(out) => descriptors(out),
        Problem::StuckHandshake(stuck) => handshake(stuck),
    };
    if let Some(pid) = finding.entry {
        lines.push(line("namespace", format!("net:[{}], that of process {pid}", finding.netns)));
    }
    lines
}

fn line(label: &'static str, text: String) -> Line {
    Line { label, text }
}

fn close_wait(leak: &Leak) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(leak.holders.iter().filter_map(program));
    if let Some(from) = &leak.listener {
        lines.extend(of_listener(from));
    }
    if !leak.fds.is_empty() {
        let fds = if leak.fds.len() == 1 { "fd" } else { "fds" };
        let owner = match leak.holders.as_slice() {
            [first, _, ..] => format!(" of {}", process(&first.process)),
            _ => String::new(),
        };
        lines.push(line(fds, format!("{}{owner}", runs(&leak.fds))));
    }
    lines.push(line(
        if leak.peers.len() == 1 { "peer" } else { "peers" },
        format!("{}, {}", peers(leak), service(leak.service)),
    ));
    let least = if leak.at_least { "≥ " } else { "" };
    lines.push(line("oldest", format!("{least}{} in CLOSE_WAIT", duration(leak.oldest))));
    lines.push(line("growth", growth(leak.growth)));
    if leak.unread > 0 {
        lines.push(line("unread", count(leak.unread, "byte")));
    }
    lines.extend(leak.descriptors.as_ref().map(|open| line("open", of_limit(open))));
    if !leak.far_ends.is_empty() {
        let orphans = match leak.far_orphans {
            0 => String::new(),
            orphans => format!(", {} orphaned (held by the kernel)", grouped(orphans)),
        };
        lines.push(line("far ends", format!("{} on this host{orphans}", states(&leak.far_ends))));
    }
    lines.extend(leak.made.iter().flat_map(|made| of_code(made, leak.sockets)));
    lines
}

fn states(states: &BTreeMap<State, u64>) -> String {
    let each = states.iter().map(|(state, count)| format!("{} {state}", grouped(*count)));
    each.collect::<Vec<_>>().join(", ")
}

/// The code that made the sockets.
fn of_code(made: &Made, sockets: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    for (stack, count) in made.stacks.iter().take(STACKS) {
        let stacks = if made.stacks.len() == 1 { "one stack" } else { "this stack" };
        let of =
            if *count == sockets { String::new() } else { format!(" of {}", grouped(sockets)) };
        let s = if *count == 1 && of.is_empty() { "" } else { "s" };
        let head = format!("{}{of} socket{s}, {stacks}:", grouped(*count));
        lines.push(line("stack", head));
        lines.extend(stack::lines(stack).into_iter().map(|call| line("", call)));
    }
    if let Some(rest) = made.stacks.len().checked_sub(STACKS).filter(|rest| *rest > 0) {
        lines.push(line("stack", format!("{} more", count(rest as u64, "stack"))));
    }
    if made.before > 0 {
        let words = "made before this began, or not recorded: observe for longer (--for)";
        lines.push(line("stack", format!("{} {words}", count(made.before, "socket"))));
    }
    lines
}

/// What runs there, and in which container.
fn program(program: &Program) -> Option<Line> {
    let Program { executable, container, .. } = program;
    let path = executable.as_ref().map(|path| escape(path).into_owned());
    let container = container.as_deref().map(|id| format!("in container {}", harmless(short(id))));
    let known: Vec<String> = path.into_iter().chain(container).collect();
    (!known.is_empty())
        .then(|| line("process", format!("{} {}", process(&program.process), known.join(" "))))
}

fn of_listener(from: &Listener) -> Vec<Line> {
    let mut lines: Vec<Line> = from.processes.iter().filter_map(program).collect();
    if let Some(halt) = from.halted {
        let who = programs(&from.processes);
        lines.push(line("state", format!("{who} {}", sentence::halted(halt))));
    }
    lines
}

fn peers(leak: &Leak) -> String {
    let several = leak.peers.len() > 1 || leak.sockets > 1;
    let mut shown: Vec<String> = leak
        .peers
        .iter()
        .take(PEERS)
        .map(
            |&(peer, count)| {
                if several { format!("{} × {}", end(peer), grouped(count)) } else { end(peer) }
            },
        )
        .collect();
    if leak.peers.len() > PEERS {
        shown.push(format!("{} more", leak.peers.len() - PEERS));
    }
    shown.join(", ")
}

fn growth(growth: f64) -> String {
    if growth > 0.0 {
        format!("{} more a minute", rate(growth))
    } else if growth < 0.0 {
        format!("{} fewer a minute", rate(-growth))
    } else {
        "none while observed".into()
    }
}

fn of_limit(open: &Descriptors) -> String {
    let left = open.minutes_left();
    let left = left.map_or_else(String::new, |left| format!(": none left in {}", minutes(left)));
    format!("{} of {} descriptors{left}", grouped(open.open), grouped(open.limit))
}

fn ephemeral_ports(ports: &PortUse) -> Vec<Line> {
    let mut lines = vec![line("sockets", states(&ports.states))];
    let named = ports.processes.iter().take(PEERS);
    let named: Vec<String> = named
        .map(|(owner, sockets)| format!("{} × {}", process(owner), grouped(*sockets)))
        .collect();
    if !named.is_empty() {
        lines.push(line("processes", named.join(", ")));
    }
    if let Some(waiting) = ports.states.get(&State::TimeWait) {
        let first = format!("this end first: {} in TIME_WAIT", grouped(*waiting));
        lines.push(line("closed by", first));
    }
    if ports.reusable > 0 {
        lines.push(line(
            "reusable",
            format!("{} more, from TIME_WAIT", count(ports.reusable.into(), "port")),
        ));
    }
    if let (Scope::Destination { .. }, true) = (ports.scope, ports.rate > 0.0) {
        lines.push(line("rate", format!("{} new connections a second", rate(ports.rate))));
    }
    if let Scope::Address(_) = ports.scope {
        lines.push(line("why", "no port serves two destinations, as connect() would do".into()));
    }
    lines.push(line("growth", growth(ports.growth)));
    lines
}

fn accept_queue(queue: &AcceptQueue) -> Vec<Line> {
    let mut lines = of_listener(&queue.listener);
    let overflows = queue.counted.listen_overflows;
    if overflows > 0 {
        let all = format!("{} dropped while observed", count(overflows, "connection attempt"));
        lines.push(line("dropped", all));
    }
    if let Some(most) = queue.somaxconn {
        lines.push(line("limit", format!("net.core.somaxconn = {most}")));
    }
    lines
}

fn syn_backlog(backlog: &SynBacklog) -> Vec<Line> {
    let mut lines = vec![line("half-open", count(backlog.half_open, "connection"))];
    if let Some(limit) = backlog.limit {
        lines.push(line("limit", format!("net.ipv4.tcp_max_syn_backlog = {limit}")));
    }
    lines
}

fn time_wait(overflow: &TimeWaitOverflow) -> Vec<Line> {
    let named = |(one, sockets): &(Service, u64)| {
        line("closed here", format!("{} {}", count(*sockets, "connection"), service(*one)))
    };
    overflow.services.iter().map(named).collect()
}

fn descriptors(out: &OutOfDescriptors) -> Vec<Line> {
    let mut lines: Vec<Line> = program(&out.program).into_iter().collect();
    lines.push(line("growth", growth(out.descriptors.growth)));
    lines
}

fn handshake(stuck: &StuckHandshake) -> Vec<Line> {
    let what = if stuck.state == State::SynSent { "SYN" } else { "SYN+ACK" };
    let mut lines = vec![line(
        "tries",
        format!("{what} sent again up to {}", count(stuck.retransmits.into(), "time")),
    )];
    if let (Service::Here(local), Some(owner)) = (stuck.service, &stuck.process) {
        lines.push(line("listener", format!("{}, {}", listener(local), process(owner))));
    }
    lines
}
