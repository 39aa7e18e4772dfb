//! What a kernel or privileges may not allow: one vocabulary for a trace that says what is missing
//! from it, and for `tracer features`, which lists all of it.

use tracer_event::header::Degraded;

/// Something that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// What is lost without it.
    pub lost: &'static str,
}

impl Feature {
    /// Reports that it is missing, and how to get it.
    pub fn missing(self, reason: impl Into<String>, remedy: &'static str) -> Degraded {
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

macro_rules! features {
    ($($constant:ident = $name:literal: $lost:literal;)+) => {
        $(
            #[doc = concat!("Without it ", $lost, ".")]
            pub const $constant: Feature = Feature { name: $name, lost: $lost };
        )+

        /// All of them, each after those that it needs.
        pub const ALL: [Feature; [$($name),+].len()] = [$($constant),+];
    };
}

features! {
    TRACING = "tracing": "nothing is traced";
    BTF = "BTF":
        "only addresses, ports and states are known: no cookie, namespace, RTT, sequence numbers, \
         close reason, nor sockets from before";
    GUARD = "inet_sock_set_state": "events that the kernel skips under load are lost, but counted";
    RECEIVE_RESET = "tcp_receive_reset": "whether an RST or an ICMP error ended a connection is a guess";
    SEND_RESET = "tcp_send_reset": "data after close is reported as a received reset";
    RESET_WITHOUT_SOCKET = "resets without a socket":
        "connections that this host refuses, as nobody listens there, are not shown";
    RETRANSMIT = "tcp_retransmit_skb": "retransmitted SYNs and FINs are not shown";
    RETRANSMIT_SYNACK = "tcp_retransmit_synack": "retransmitted SYN+ACKs are not shown";
    COOKIES = "socket cookies": "sockets are told apart by their address, which the kernel reuses";
    SOCKETS = "iter/tcp": "sockets that exist already are not shown";
    HOLDERS = "iter/task_file": "descriptors of stuck sockets are not shown";
    TASK = "bpf_get_current_task":
        "a process is named after the thread that opens or closes a socket, and a process ID that \
         was reused meanwhile is not noticed";
    ACCEPT = "accept":
        "a server's sockets are named by their listener, with a `?`, until they are closed or a \
         snapshot shows who holds them";
    RETURNS = "fexit":
        "while a trace runs, each system call of the host takes about 10 ns longer, and who accepts \
         by io_uring or in a 32-bit program is not seen";
    MPTCP = "MPTCP":
        "of listeners with MPTCP, as services in Go have, it is not known who holds their sockets, \
         how old half-open connections are, and which orphans still wait for the peer's FIN";
    PROGRAMS = "programs":
        "program and parent of processes that end at once are not known";
    STACKS = "stacks": "which code created a socket is not known (--stacks)";
    NAMESPACES = "other network namespaces":
        "sockets from before are known in the tracer's own namespace only; events come from all";
    PROCESSES = "other processes":
        "programs, descriptors and namespaces of processes with other users or capabilities are \
         not known";
    PRECEDENCE = "precedence":
        "on a busy host the reader waits for its turn, and events can be lost meanwhile";
    CONTAINERS = "containers": "sockets are shown without their container";
    LANDLOCK = "landlock":
        "outputs that create files could write elsewhere too, and listen on other ports";
    SECCOMP = "seccomp": "the kernel does not forbid tracer to execute programs and to write files";
}
