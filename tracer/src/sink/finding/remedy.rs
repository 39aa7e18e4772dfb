//! What to do: who has to change what, commands to copy, and what does not help.
//!
//! Nothing is ever run.

use super::{Remedy, process, programs};
use crate::model::{
    endpoint::Endpoint,
    finding::{
        AcceptQueue, Cause, Finding, Leak, OutOfDescriptors, Problem, Service, StuckHandshake,
        SynBacklog, TimeWaitOverflow,
    },
    host::Halt,
    ports::{PortUse, Scope},
    state::State,
};

/// What helps, the best first.
pub fn remedies(finding: &Finding) -> Vec<Remedy> {
    // Sockets, ports and settings are those of a network namespace.
    let enter = finding.entry.map_or_else(String::new, |pid| format!("nsenter -t {pid} -n "));
    match &finding.problem {
        Problem::CloseWaitLeak(leak) => close_wait(leak, &enter),
        Problem::EphemeralPorts(ports) => ephemeral_ports(ports, &enter),
        Problem::NoLocalPort(failures) => no_local_port(failures.peer, &enter),
        Problem::AcceptQueueFull(queue) => accept_queue(queue, &enter),
        Problem::SynBacklog(backlog) => syn_backlog(backlog, &enter),
        Problem::TimeWaitOverflow(overflow) => time_wait(overflow, &enter),
        Problem::Descriptors(out) => descriptors(out),
        Problem::StuckHandshake(stuck) => handshake(stuck, &enter),
    }
}

fn advice(text: impl Into<String>) -> Remedy {
    Remedy { text: text.into(), command: None }
}

fn command(text: &str, command: String) -> Remedy {
    Remedy { text: text.into(), command: Some(command) }
}

fn close_wait(leak: &Leak, enter: &str) -> Vec<Remedy> {
    let who = programs(&leak.holders);
    let mut remedies = match leak.cause {
        Cause::NeverAccepted => return never_accepted(leak),
        Cause::Halted(halt) => resume(halt, leak.holders.first().map(|one| one.process.pid)),
        Cause::Inherited => vec![advice(
            "close the descriptor in the child after fork(), or open it with SOCK_CLOEXEC \
             (accept4) so that exec() closes it",
        )],
        Cause::Unread => vec![advice(format!(
            "{who} must read until read() returns 0, then close(): look for a reader that gave \
             up or waits for something else"
        ))],
        Cause::Orphaned => {
            vec![advice("nothing to do: the kernel gives up when retransmissions time out")]
        }
        Cause::Unseen => vec![advice(
            "look for io_uring users, descriptors in flight over Unix sockets, and kernel \
             clients such as NFS",
        )],
        Cause::Held => vec![advice(format!(
            "{who} must close() when read() returns 0 (end of file), on error paths too; a pool \
             must drop connections that the peer has closed"
        ))],
    };
    remedies.push(kill(leak, enter));
    remedies.extend(folklore(leak));
    remedies
}

/// What people try in vain.
fn folklore(leak: &Leak) -> Option<Remedy> {
    matches!(leak.cause, Cause::Held | Cause::Unread).then(|| {
        advice(
            "does not help: tcp_fin_timeout is for FIN_WAIT2; tcp_keepalive_time is for sockets \
             with SO_KEEPALIVE, whose descriptors stay open as well",
        )
    })
}

fn kill(leak: &Leak, enter: &str) -> Remedy {
    command(
        "stopgap: ends all connections of this service in CLOSE_WAIT in the kernel \
         (CONFIG_INET_DIAG_DESTROY), half-closes at work among them (the peer has sent all and \
         waits for the answer); the descriptors stay open, and new ones leak on",
        format!("{enter}ss -K -t state close-wait {}", filter(leak.service)),
    )
}

/// A filter of `ss` for the sockets of a service.
fn filter(service: Service) -> String {
    match service {
        Service::Here(local) => format!("'( sport = :{} )'", local.port),
        Service::There(peer) => destination(peer),
    }
}

/// A filter of `ss`, which takes no interface with an address.
fn destination(peer: Endpoint) -> String {
    format!("dst '{}'", Endpoint::new(peer.address(), peer.port))
}

fn never_accepted(leak: &Leak) -> Vec<Remedy> {
    let Some(from) = &leak.listener else { return Vec::new() };
    let pid = from.processes.first().map(|program| program.process.pid);
    if let Some(halt) = from.halted {
        return resume(halt, pid);
    }
    if leak.descriptors.is_some_and(|descriptors| descriptors.open >= descriptors.limit) {
        let who = programs(&from.processes);
        return vec![advice(format!(
            "{who} has no descriptor left to accept with: see that finding"
        ))];
    }
    let mut remedies = vec![advice(format!(
        "{} does not call accept(): look where it is stuck (all workers busy, a deadlock, out of \
         descriptors); restarting it frees the queue",
        programs(&from.processes)
    ))];
    let look = |pid| command("what its first thread waits for", format!("cat /proc/{pid}/stack"));
    remedies.extend(pid.map(look));
    remedies.push(advice(
        "does not help: ss -K ends the connections, but their places in the queue stay taken",
    ));
    remedies
}

fn resume(halt: Halt, pid: Option<u32>) -> Vec<Remedy> {
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

const REUSE: &str = "keep connections open and reuse them (keep-alive, a pool): the only cure that \
                     lasts";

fn ephemeral_ports(ports: &PortUse, enter: &str) -> Vec<Remedy> {
    let mut remedies = match ports.scope {
        Scope::Address(_) => vec![advice(
            "set IP_BIND_ADDRESS_NO_PORT before bind(): connect() then chooses the port, and \
             each destination has the whole range",
        )],
        Scope::Destination { .. } => Vec::new(),
    };
    let waiting = ports.states.get(&State::TimeWait).copied().unwrap_or(0);
    let leaking = ports.states.get(&State::CloseWait).copied().unwrap_or(0);
    if leaking > waiting {
        remedies.push(advice("most of these are in CLOSE_WAIT: see that finding"));
    }
    remedies.push(advice(REUSE));
    if waiting > 0 && matches!(ports.scope, Scope::Destination { .. }) {
        remedies.push(reuse(enter));
    }
    remedies.push(wider(enter));
    remedies.push(more());
    if waiting > 0 {
        remedies.push(time_wait_folklore());
    }
    remedies
}

fn no_local_port(peer: Endpoint, enter: &str) -> Vec<Remedy> {
    vec![
        command("who holds the ports", format!("{enter}ss -tanp {}", destination(peer))),
        advice(REUSE),
        reuse(enter),
        wider(enter),
        more(),
        time_wait_folklore(),
    ]
}

fn reuse(enter: &str) -> Remedy {
    command(
        "lets connect() take over ports from TIME_WAIT after a second; safe with timestamps, for \
         outgoing connections only",
        format!("{enter}sysctl -w net.ipv4.tcp_tw_reuse=1"),
    )
}

fn wider(enter: &str) -> Remedy {
    command(
        "a wider range; keep listeners' ports out of it by ip_local_reserved_ports",
        format!("{enter}sysctl -w net.ipv4.ip_local_port_range='10240 65000'"),
    )
}

fn more() -> Remedy {
    advice("the range is for each pair of addresses: more source or destination addresses help")
}

fn time_wait_folklore() -> Remedy {
    advice(
        "does not help: tcp_fin_timeout (TIME_WAIT is always 60 s), tcp_tw_recycle (gone since \
         4.12)",
    )
}

fn accept_queue(queue: &AcceptQueue, enter: &str) -> Vec<Remedy> {
    let from = &queue.listener;
    if let Some(halt) = from.halted {
        return resume(halt, from.processes.first().map(|program| program.process.pid));
    }
    let mut remedies = vec![advice(format!(
        "{} must accept() faster: more workers, or free what they wait for",
        programs(&from.processes)
    ))];
    remedies.push(advice(
        "a larger backlog (the program's listen(), limited by somaxconn) absorbs bursts, no more",
    ));
    if queue.somaxconn.is_some_and(|most| u64::from(from.backlog) >= most) {
        let most = u64::from(from.backlog).saturating_mul(4).max(4096);
        remedies.push(command(
            "this one is at that limit",
            format!("{enter}sysctl -w net.core.somaxconn={most}"),
        ));
    }
    remedies
}

fn syn_backlog(backlog: &SynBacklog, enter: &str) -> Vec<Remedy> {
    let mut remedies = vec![
        command("who sends them", format!("{enter}ss -tn state syn-recv")),
        advice("more room: a larger backlog (the program's listen(), limited by somaxconn)"),
    ];
    // Linux drops for want of room only without cookies, and only then has a limit beside the
    // backlog (tcp_conn_request).
    if backlog.counted.syn_drops > 0 {
        let most = backlog.limit.unwrap_or(0).saturating_mul(2).max(8192);
        remedies.push(command(
            "keeps serving in a SYN flood",
            format!("{enter}sysctl -w net.ipv4.tcp_syncookies=1"),
        ));
        remedies.push(command(
            "without SYN cookies this limits half-open connections as well",
            format!("{enter}sysctl -w net.ipv4.tcp_max_syn_backlog={most}"),
        ));
    }
    remedies
}

fn time_wait(overflow: &TimeWaitOverflow, enter: &str) -> Vec<Remedy> {
    let most = overflow.limit.unwrap_or(131_072).saturating_mul(2);
    vec![
        advice("TIME_WAIT is where the connection was closed first: here. Let the peers close"),
        advice(REUSE),
        command(
            "more room; each takes about 300 bytes",
            format!("{enter}sysctl -w net.ipv4.tcp_max_tw_buckets={most}"),
        ),
        advice(
            "does not help: tcp_fin_timeout, tcp_tw_recycle (gone since 4.12); a lower \
             tcp_max_tw_buckets breaks connections",
        ),
    ]
}

fn descriptors(out: &OutOfDescriptors) -> Vec<Remedy> {
    let pid = out.program.process.pid;
    let who = process(&out.program.process);
    let limit = out.descriptors.limit.saturating_mul(2);
    vec![
        advice(format!("stop the leak: {who} then gets its descriptors back")),
        command(
            "more time, until the next restart; raises the hard limit only if it is lower",
            format!(
                "prlimit --pid {pid} --nofile={limit}: 2>/dev/null \
                 || prlimit --pid {pid} --nofile={limit}:{limit}"
            ),
        ),
    ]
}

/// The address with its interface, for a shell: anybody may have named that.
fn host(peer: Endpoint) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match peer.zone().name().filter(|name| name.chars().all(is_plain)) {
        Some(name) => format!("{}%{name}", peer.address()),
        None => peer.address().to_string(),
    }
}

fn handshake(stuck: &StuckHandshake, enter: &str) -> Vec<Remedy> {
    match stuck.service {
        Service::There(peer) => vec![command(
            "the peer is down, or a firewall drops the SYNs: compare with a plain connection (exit \
             status 124: no answer to that one either)",
            format!("{enter}timeout 3 bash -c '</dev/tcp/{}/{}'", host(peer), peer.port),
        )],
        Service::Here(_) => vec![command(
            "a SYN flood, or SYN+ACKs that do not arrive: see where they come from",
            format!("{enter}ss -tn state syn-recv"),
        )],
    }
}
