//! Remedies that several findings have.

use super::{Halt, Program, Remedy, alike::who_do};
use crate::{
    escape::harmless,
    phrase::{Wording, wording},
    process::Process,
};

pub(super) fn advice(text: Wording) -> Remedy {
    Remedy { text, command: None }
}

pub(super) fn command(text: Wording, command: String) -> Remedy {
    Remedy { text, command: Some(command) }
}

/// Shows what all threads of a process wait for.
pub(super) fn stacks(pid: u32) -> Remedy {
    command(
        wording!("remedy-stacks", "what its threads wait for"),
        format!("tail -n +1 /proc/{pid}/task/*/stack"),
    )
}

pub(super) fn close_on_exec() -> Remedy {
    advice(wording!(
        "remedy-close-on-exec",
        "a child that does not serve the connection must close it after fork(); or open it with SOCK_CLOEXEC (accept4) so \
         that exec() closes it"
    ))
}

pub(super) fn accept_faster(who: Wording) -> Remedy {
    advice(wording!(
        "remedy-accept-faster",
        "{who} must accept() faster: more workers, or free what they wait for",
        [who]
    ))
}

pub(super) fn no_descriptor_left(who: &[Program]) -> Remedy {
    advice(wording!(
        "remedy-no-descriptor",
        "{who} no descriptor left to accept with: see that finding",
        who = who_do(who, "has", "have")
    ))
}

/// Of a server that forks for each connection.
pub(super) fn serve() -> Remedy {
    advice(wording!(
        "remedy-child-serves",
        "a child that serves the connection must close() when read() returns 0 (end of file), and \
         look for that while it works or waits (PostgreSQL client_connection_check_interval)"
    ))
}

/// Lets a process run again.
pub(super) fn resume(halt: Halt, first: Option<&Program>) -> Vec<Remedy> {
    let Some(Program { process: Process { pid, .. }, freezer, .. }) = first else {
        return Vec::new();
    };
    vec![match halt {
        Halt::Stopped => {
            command(wording!("remedy-continue", "let it run again"), format!("kill -CONT {pid}"))
        }
        Halt::Traced => command(
            wording!("remedy-detach", "detach or continue the debugger that holds it"),
            format!("grep TracerPid /proc/{pid}/status"),
        ),
        Halt::Frozen => {
            let thaw = wording!(
                "remedy-thaw",
                "thaw its control group: a container by docker unpause, a unit by systemctl thaw, \
                 any other by its file"
            );
            // The names of groups are anybody's: a word to a shell, whatever is in it.
            let quote = |file: &str| format!("'{}'", harmless(file).replace('\'', r"'\''"));
            let value = |file: &str| if file.ends_with(".state") { "THAWED" } else { "0" };
            match freezer {
                None => advice(thaw),
                Some(file) => command(thaw, format!("echo {} > {}", value(file), quote(file))),
            }
        }
    }]
}

pub(super) fn reuse() -> Remedy {
    advice(wording!(
        "remedy-reuse",
        "reuse connections (keep-alive, a bounded pool) and close those that nobody needs: the only cure \
         that lasts"
    ))
}

pub(super) fn more_addresses() -> Remedy {
    advice(wording!(
        "remedy-more-addresses",
        "the range is for each pair of addresses: more source or destination addresses help"
    ))
}

pub(super) fn tw_reuse(enter: &str) -> Remedy {
    command(
        wording!(
            "remedy-tw-reuse",
            "lets connect() take over ports from TIME_WAIT after a second; safe with timestamps, \
             for outgoing connections only"
        ),
        format!("{enter}sysctl -w net.ipv4.tcp_tw_reuse=1"),
    )
}

pub(super) fn wider_range(enter: &str) -> Remedy {
    command(
        wording!(
            "remedy-wider-range",
            "a wider range; keep listeners' ports out of it by ip_local_reserved_ports"
        ),
        format!("{enter}sysctl -w net.ipv4.ip_local_port_range='10240 65000'"),
    )
}

pub(super) fn time_wait_folklore() -> Remedy {
    advice(wording!(
        "remedy-not-fin-timeout",
        "does not help: tcp_fin_timeout (TIME_WAIT is always 60 s), tcp_tw_recycle (gone since \
         4.12)"
    ))
}

/// What drops segments between two ends of one host.
pub(super) fn firewall(enter: &str) -> Remedy {
    command(
        wording!(
            "remedy-firewall",
            "within one host a packet filter drops or rejects segments (iptables is shown as well), or rp_filter \
             or a qdisc (tc -s qdisc) drops them: look for the rule, in the namespace of either end"
        ),
        format!("{enter}nft list ruleset"),
    )
}
