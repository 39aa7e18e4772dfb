//! `reset`: an RST was sent or received.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::Record;

use super::{
    segment::{Answered, Direction},
    state::State,
    subject::{Role, Subject, role},
};

/// An RST was sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {
    /// When.
    #[serde(skip)]
    pub time: u64,
    /// State of the socket.
    pub state: State,
    /// Which part the socket plays.
    #[serde(rename = "role", with = "role")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// The segment.
    pub segment: Rst,
}

/// An RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rst {
    /// Always `RST`.
    pub r#type: RstType,
    /// Which way it went.
    pub direction: Direction,
    /// Of an RST without a socket: what it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answered>,
    /// Why this kernel sent it, where the kernel says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ResetReason>,
}

/// The one type of a segment that resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RstType {
    /// It aborts the connection.
    Rst,
}

macro_rules! reasons {
    ($($reason:ident = $words:literal,)+) => {
        /// Why the kernel sends an RST: `enum sk_rst_reason`, numbered from 1 as in Linux 6.12 and
        /// later (include/net/rstreason.h; the same in 6.18 and 7.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ResetReason {
            $(
                #[doc = concat!($words, ".")]
                $reason,
            )+
        }

        impl ResetReason {
            const BY_NUMBER: &[Self] = &[$(Self::$reason),+];

            /// In words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$reason => $words,)+
                }
            }
        }
    };
}

reasons! {
    NoSocket = "RST sent: no such connection",
    TcpInvalidAckSequence = "RST sent: invalid acknowledgment number",
    TcpRfc7323Paws = "RST sent: old timestamp (PAWS)",
    TcpTooOldAck = "RST sent: acknowledgment too old",
    TcpAckUnsentData = "RST sent: acknowledges unsent data",
    TcpFlags = "RST sent: invalid flags",
    TcpOldAck = "RST sent: old acknowledgment",
    TcpAbortOnData = "RST sent: data after close",
    TcpTimewaitSocket = "RST sent: segment for TIME_WAIT",
    InvalidSyn = "RST sent: invalid SYN",
    TcpAbortOnClose = "RST sent: closed with unread data",
    TcpAbortOnLinger = "RST sent: TCP_LINGER2 is negative",
    TcpAbortOnMemory = "RST sent: out of memory",
    TcpState = "RST sent: connection aborted",
    TcpKeepaliveTimeout = "RST sent: keepalive timeout",
    TcpDisconnectWithData = "RST sent: disconnected with unsent data",
    MptcpRstEunspec = "RST sent: MPTCP: unspecified error",
    MptcpRstEmptcp = "RST sent: MPTCP: protocol error",
    MptcpRstEresource = "RST sent: MPTCP: lack of resources",
    MptcpRstEprohibit = "RST sent: MPTCP: prohibited",
    MptcpRstEwq2big = "RST sent: MPTCP: too much outstanding data",
    MptcpRstEbadperf = "RST sent: MPTCP: unacceptable performance",
    MptcpRstEmiddlebox = "RST sent: MPTCP: middlebox interference",
    Error = "RST sent: unexpected error",
}

impl ResetReason {
    /// The one of a record; `None` where the kernel did not say.
    pub fn of(record: &Record) -> Option<Self> {
        let index = usize::from(record.reset_reason).checked_sub(1)?;
        Self::BY_NUMBER.get(index).copied()
    }
}

impl Rst {
    /// Of a socket.
    pub fn new(direction: Direction) -> Self {
        Self { r#type: RstType::Rst, direction, answers: None, reason: None }
    }

    /// The one that answers a segment for no socket of this host.
    pub fn answering(answered: Answered) -> Self {
        Self { answers: Some(answered), ..Self::new(Direction::Sent) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, None)]
    #[case(1, Some("no_socket"))]
    #[case(3, Some("tcp_rfc7323_paws"))]
    #[case(11, Some("tcp_abort_on_close"))]
    #[case(21, Some("mptcp_rst_ewq2big"))]
    #[case(24, Some("error"))]
    #[case(25, None)]
    fn reasons_have_the_kernels_names(#[case] number: u8, #[case] name: Option<&str>) {
        let reason = ResetReason::of(&Record { reset_reason: number, ..Record::EMPTY });
        let written = reason.map(|reason| serde_json::to_value(reason).unwrap());
        assert_eq!(written.as_ref().and_then(|value| value.as_str()), name);
    }
}
