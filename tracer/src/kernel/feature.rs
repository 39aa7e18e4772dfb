//! What a kernel or privileges may not allow: one vocabulary for a trace that says what it does
//! without, and for `tracer features`, which lists all of it.

use crate::event::header::Degraded;

/// Something that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is called.
    pub name: &'static str,
    /// What is lost without it.
    pub lost: &'static str,
}

impl Feature {
    const fn new(name: &'static str, lost: &'static str) -> Self {
        Self { name, lost }
    }

    /// Says that it cannot be had, and how to get it.
    pub(crate) fn missing(self, reason: impl Into<String>, remedy: &'static str) -> Degraded {
        let Self { name, lost } = self;
        Degraded {
            feature: name.into(),
            lost: lost.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// Whether it is what is missing.
    pub fn is_in(self, degraded: &Degraded) -> bool {
        self.name == degraded.feature
    }
}

/// The programs load and attach.
pub const TRACING: Feature = Feature::new("tracing", "nothing is traced");
/// The kernel describes its types.
pub const BTF: Feature = Feature::new(
    "BTF",
    "only addresses, ports and states are known: no cookie, namespace, RTT, sequence numbers, \
     close reason, nor sockets from before",
);
/// The second program on the main tracepoint.
pub const GUARD: Feature = Feature::new(
    "inet_sock_set_state",
    "events that the kernel skips under load are lost, but counted",
);
/// RST segments that arrive.
pub const RECEIVE_RESET: Feature =
    Feature::new("tcp_receive_reset", "received resets are told from ICMP errors by guess");
/// RST segments that are sent.
pub const SEND_RESET: Feature =
    Feature::new("tcp_send_reset", "data after close is reported as a received reset");
/// RST segments that answer what is for no socket.
pub const RESET_WITHOUT_SOCKET: Feature = Feature::new(
    "resets without a socket",
    "that this host refuses connections to ports where nobody listens is not shown",
);
/// SYN and FIN segments sent again.
pub const RETRANSMIT: Feature =
    Feature::new("tcp_retransmit_skb", "retransmitted SYNs and FINs are not shown");
/// SYN+ACK segments sent again.
pub const RETRANSMIT_SYNACK: Feature =
    Feature::new("tcp_retransmit_synack", "retransmitted SYN+ACKs are not shown");
/// A number for each socket that is never used again.
pub const COOKIES: Feature = Feature::new(
    "socket cookies",
    "sockets are told apart by their address, which the kernel reuses",
);
/// The list of all sockets.
pub const SOCKETS: Feature =
    Feature::new("iter/tcp", "sockets that were there before the tracer are not shown");
/// The list of all descriptors.
pub const HOLDERS: Feature =
    Feature::new("iter/task_file", "descriptors of lingering sockets are not named");
/// The task that acts, whose members are read.
pub const TASK: Feature = Feature::new(
    "bpf_get_current_task",
    "who opens and closes is named as its thread is, and an id that another process has taken \
     over meanwhile is not told from it",
);
/// Who accepts connections.
pub const ACCEPT: Feature = Feature::new(
    "accept",
    "a server's sockets are named by their listener, with a `?`, until they are closed or a look \
     at the descriptors shows who holds them",
);
/// Sockets of services that listen with MPTCP, which no helper of the kernel takes for TCP's.
pub const MPTCP: Feature = Feature::new(
    "MPTCP",
    "of what listens with MPTCP, as services in Go do, it is not told who holds its sockets, how \
     old its half-open connections are, nor which of its orphans still wait for the peer's FIN",
);
/// What a process is, told when it acts: names lie at addresses that are to be read.
pub const PROGRAMS: Feature = Feature::new(
    "programs",
    "of processes that end before anybody can look, program and parent are not known",
);
/// User stacks of connect() and accept().
pub const STACKS: Feature =
    Feature::new("stacks", "it is not told which code made a socket (--stacks)");
/// setns().
pub const NAMESPACES: Feature = Feature::new(
    "other network namespaces",
    "sockets from before are known in the tracer's own namespace only; events come from all",
);
/// `/proc` of processes of others.
pub const PROCESSES: Feature = Feature::new(
    "other processes",
    "of processes with other users or capabilities, programs, descriptors and namespaces are not \
     known",
);
/// Nice value of the reader.
pub const PRECEDENCE: Feature = Feature::new(
    "precedence",
    "on a busy host the reader waits for its turn, and events can be lost meanwhile",
);
/// Names of control groups.
pub const CONTAINERS: Feature =
    Feature::new("containers", "sockets are shown without their container");
/// Confinement of threads by path and port.
pub const LANDLOCK: Feature = Feature::new(
    "landlock",
    "an output that makes files anew is not kept from writing elsewhere, nor listening on other \
     ports",
);
/// Confinement of system calls.
pub const SECCOMP: Feature =
    Feature::new("seccomp", "the kernel does not keep the tracer from executing and writing");

/// All, those that the others need first.
pub const ALL: [Feature; 22] = [
    TRACING,
    BTF,
    GUARD,
    RECEIVE_RESET,
    SEND_RESET,
    RESET_WITHOUT_SOCKET,
    RETRANSMIT,
    RETRANSMIT_SYNACK,
    COOKIES,
    SOCKETS,
    HOLDERS,
    TASK,
    ACCEPT,
    MPTCP,
    PROGRAMS,
    STACKS,
    NAMESPACES,
    PROCESSES,
    PRECEDENCE,
    CONTAINERS,
    LANDLOCK,
    SECCOMP,
];
