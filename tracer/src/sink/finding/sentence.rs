//! The sentence: what is wrong, with whom, for a tired person.

use super::{count, minutes, process, programs, service, whose};
use crate::{
    model::{
        finding::{
            AcceptQueue, Cause, Finding, Leak, Listener, NoLocalPort, OutOfDescriptors, Problem,
            Severity, Status, StuckHandshake, SynBacklog, TimeWaitOverflow,
        },
        host::Halt,
        owner::Process,
        ports::{PortUse, Scope},
        state::State,
    },
    sink::text::grouped,
};

/// What is wrong, in one sentence without a full stop.
pub fn sentence(finding: &Finding) -> String {
    let words = match &finding.problem {
        Problem::CloseWaitLeak(leak) => close_wait(leak, finding.severity),
        Problem::EphemeralPorts(ports) => ephemeral_ports(ports),
        Problem::NoLocalPort(failures) => no_local_port(failures),
        Problem::AcceptQueueFull(queue) => accept_queue(queue),
        Problem::SynBacklog(backlog) => syn_backlog(backlog),
        Problem::TimeWaitOverflow(overflow) => time_wait(overflow),
        Problem::Descriptors(out) => descriptors(out),
        Problem::StuckHandshake(stuck) => handshake(stuck),
    };
    if finding.status == Status::Cleared { format!("over: {words}") } else { words }
}

fn close_wait(leak: &Leak, severity: Severity) -> String {
    let connections = count(leak.sockets, "connection");
    let who = programs(&leak.holders);
    match leak.cause {
        Cause::NeverAccepted => never_accepted(leak.listener.as_ref(), &connections),
        Cause::Halted(halt) => {
            format!("{who} {} and holds {connections} that the peers have closed", halted(halt))
        }
        Cause::Inherited => format!(
            "{who} inherited {connections} by fork and does not close; the peers have closed, \
             and so has its parent {}",
            leak.parent.as_ref().map_or_else(String::new, process),
        ),
        Cause::Unread => format!(
            "{who} does not read {connections} to the end: {} unread, the peers have closed",
            count(leak.unread, "byte"),
        ),
        Cause::Held if severity == Severity::Info => {
            format!("{who} has not closed {connections} yet; the peers have")
        }
        Cause::Held => {
            format!("{who} does not close {connections}; the peers have closed")
        }
        Cause::Orphaned => {
            format!("{connections} closed by both ends wait in the kernel, nobody holds them")
        }
        Cause::Unseen => format!(
            "{connections} that the peers have closed are held, but by no descriptor that can \
             be seen"
        ),
    }
}

fn never_accepted(listener: Option<&Listener>, connections: &str) -> String {
    let Some(from) = listener else {
        return format!("{connections} never accepted; the listener is gone");
    };
    let full = if from.queue > from.backlog { " (full)" } else { "" };
    format!(
        "{connections} never accepted, listener {}, backlog {} of {}{full}; the peers have closed",
        whose(from, ", "),
        from.queue,
        from.backlog,
    )
}

pub(super) fn halted(halt: Halt) -> &'static str {
    match halt {
        Halt::Stopped => "is stopped (SIGSTOP)",
        Halt::Traced => "is held by a debugger (ptrace)",
        Halt::Frozen => "is frozen (cgroup freezer)",
    }
}

fn ephemeral_ports(ports: &PortUse) -> String {
    let used = format!("{} of {}", grouped(ports.busy().into()), count(ports.size.into(), "port"));
    let left = ports.minutes_left().filter(|_| ports.busy() < ports.size);
    let left = left.map_or_else(String::new, |left| format!(", none left in {}", minutes(left)));
    match ports.scope {
        Scope::Destination { local, peer } => {
            format!("{used} in use from {} to {peer}{left}", local.address())
        }
        Scope::Address(local) => format!(
            "{used} of {} in use by bind() before connect(), for all {} together{left}",
            local.address(),
            count(ports.destinations as u64, "destination"),
        ),
    }
}

fn no_local_port(failures: &NoLocalPort) -> String {
    let who = failures.process.as_ref().map_or_else(|| "a process".to_owned(), process);
    let times = match failures.count {
        1 => String::new(),
        times => format!(", {} times", grouped(times)),
    };
    format!("{who} found no free local port to connect to {}{times}", failures.peer)
}

fn accept_queue(queue: &AcceptQueue) -> String {
    let from = &queue.listener;
    let full = if from.queue > from.backlog {
        "is full: new connections are dropped"
    } else if from.queue * 5 >= from.backlog * 4 {
        "is nearly full"
    } else {
        "or another one here was full"
    };
    format!(
        "accept queue of listener {}{} {full}; backlog {} of {}",
        whose(from, ", "),
        if from.processes.is_empty() { "" } else { "," },
        from.queue,
        from.backlog,
    )
}

fn syn_backlog(backlog: &SynBacklog) -> String {
    let (drops, cookies) = (backlog.counted.syn_drops, backlog.counted.syn_cookies);
    let lost = match drops {
        0 => format!("{} answered with cookies", count(cookies, "SYN")),
        drops => format!("{} dropped", count(drops, "SYN")),
    };
    let to = backlog.local.map_or_else(String::new, |local| format!(" to {local}"));
    format!("{lost}: too many half-open connections{to}")
}

fn time_wait(overflow: &TimeWaitOverflow) -> String {
    let limit =
        overflow.limit.map_or_else(String::new, |limit| format!(" of {} allowed", grouped(limit)));
    let now = format!("{} in TIME_WAIT{limit}", count(overflow.time_wait, "socket"));
    match overflow.skipped {
        0 => now,
        skipped => format!("{now}: {} skipped it", count(skipped, "connection")),
    }
}

fn descriptors(out: &OutOfDescriptors) -> String {
    let descriptors = &out.descriptors;
    let left = descriptors.minutes_left();
    let left = left.map_or_else(String::new, |left| format!(", none left in {}", minutes(left)));
    format!(
        "{} has {} of {} descriptors open{left}",
        process(&out.program.process),
        grouped(descriptors.open),
        grouped(descriptors.limit),
    )
}

fn handshake(stuck: &StuckHandshake) -> String {
    let who =
        |process: Option<&Process>| process.map_or_else(|| "a process".to_owned(), super::process);
    let sockets = count(stuck.sockets, "connection");
    if stuck.state == State::SynSent {
        let who = who(stuck.process.as_ref());
        return format!("{who} gets no answer: {sockets} {} in SYN_SENT", service(stuck.service));
    }
    format!("{sockets} {} half-open: the clients do not answer", service(stuck.service))
}
