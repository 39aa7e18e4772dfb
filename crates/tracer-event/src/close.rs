//! How a connection ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    icmp::{Errno, Icmp},
    reset::ResetReason,
};

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Both sides sent FIN and had it acknowledged.
    Graceful,
    /// The peer sent RST.
    ResetReceived,
    /// close() while received data had not been read: RST sent (RFC 2525, section 2.17).
    ResetSentUnreadData,
    /// close() with SO_LINGER and a time of zero: RST sent.
    #[serde(rename = "reset_sent_linger0")]
    ResetSentLingerZero,
    /// Data arrived after close(): RST sent.
    ResetSentDataAfterClose,
    /// The listener was closed before the connection was accepted: RST sent.
    ResetSentUnaccepted,
    /// The peer answered the SYN with RST.
    Refused,
    /// An ICMP message answered the SYN; the application need not have been told of it yet.
    Unreachable,
    /// No answer to the SYNs.
    ConnectTimeout,
    /// No answer to retransmitted segments, or TCP_USER_TIMEOUT.
    RetransmitTimeout,
    /// No answer to keepalive probes.
    KeepaliveTimeout,
    /// The peer's window stayed at zero.
    ZeroWindowTimeout,
    /// The kernel's patience with an orphan in FIN_WAIT2 is over (tcp_fin_timeout, TCP_LINGER2):
    /// the peer has never closed.
    #[serde(rename = "fin_wait2_timeout")]
    FinWait2Timeout,
    /// The application gave up before the connection was made, or TCP_REPAIR.
    AbortedLocally,
    /// SOCK_DESTROY, as by `ss -K`.
    Killed,
    /// connect() found no free local port.
    NoLocalPort,
    /// connect() with AF_UNSPEC.
    Disconnected,
    /// Not enough is known.
    Unknown,
}

impl Reason {
    /// All reasons by the names that JSON has.
    pub const NAMES: [(&'static str, Self); 18] = [
        ("graceful", Self::Graceful),
        ("reset_received", Self::ResetReceived),
        ("reset_sent_unread_data", Self::ResetSentUnreadData),
        ("reset_sent_linger0", Self::ResetSentLingerZero),
        ("reset_sent_data_after_close", Self::ResetSentDataAfterClose),
        ("reset_sent_unaccepted", Self::ResetSentUnaccepted),
        ("refused", Self::Refused),
        ("unreachable", Self::Unreachable),
        ("connect_timeout", Self::ConnectTimeout),
        ("retransmit_timeout", Self::RetransmitTimeout),
        ("keepalive_timeout", Self::KeepaliveTimeout),
        ("zero_window_timeout", Self::ZeroWindowTimeout),
        ("fin_wait2_timeout", Self::FinWait2Timeout),
        ("aborted_locally", Self::AbortedLocally),
        ("killed", Self::Killed),
        ("no_local_port", Self::NoLocalPort),
        ("disconnected", Self::Disconnected),
        ("unknown", Self::Unknown),
    ];

    /// The name that JSON has.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| *name)
    }
}

/// Who took the first step to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Initiator {
    /// This end.
    Local,
    /// The peer.
    Peer,
    /// A timer of this host's kernel.
    Kernel,
    /// The network, by an ICMP message.
    Network,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Close {
    /// Why.
    pub reason: Reason,
    /// Who took the first step.
    pub initiator: Option<Initiator>,
    /// The ICMP error that made it unreachable, where the kernel has kept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// What connect() or SO_ERROR has told the application of it; left out where it has not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Errno>,
    /// Why the kernel sent the RST that ended it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_reason: Option<ResetReason>,
    /// For how long no data had moved when it left ESTABLISHED, nanoseconds: a spread that is
    /// small among connections shows a timer.
    #[serde(default, rename = "idle_ns", skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// All of that time this end had waited for an answer to what it had sent: for findings, not told.
    #[serde(skip)]
    pub awaited: bool,
}

impl Close {
    /// Without an ICMP error.
    pub fn new(reason: Reason, initiator: Option<Initiator>) -> Self {
        let (icmp, error, reset_reason, idle) = (None, None, None, None);
        Self { reason, initiator, icmp, error, reset_reason, idle, awaited: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for (name, reason) in Reason::NAMES {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("{name:?}"));
        }
    }
}
