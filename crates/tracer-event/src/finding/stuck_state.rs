//! `stuck_state`: sockets stay in a state longer than those of a healthy connection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Line, Remedy, Severity,
    commands::filter,
    remedies::{advice, command},
    words::line,
};
use crate::{
    duration::duration,
    phrase::{Wording, wording},
    state::State,
};

/// Connections of one process with one service that are stuck in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StuckState {
    /// In this state.
    pub state: State,
    /// Which.
    #[serde(flatten)]
    pub connections: Connections,
    /// For how long the oldest of them at least has been, with nothing moving.
    #[serde(rename = "oldest_ns")]
    pub oldest: u64,
    /// Where a healthy connection is no longer than this.
    #[serde(rename = "threshold_ns")]
    pub threshold: u64,
}

impl StuckState {
    /// What it waits for.
    fn cause(&self) -> Wording {
        match self.state {
            State::SynSent | State::SynRecv => {
                wording!("stuck-no-answer", "the peer does not answer")
            }
            State::FinWait2 => wording!("stuck-peer-open", "the peer has not closed its side"),
            State::TimeWait => {
                wording!("stuck-late-fins", "late FINs start it again: the last ACKs do not arrive")
            }
            State::FinWait1 | State::Closing | State::LastAck => {
                wording!("stuck-fin", "the FIN is not acknowledged")
            }
            State::CloseWait | State::Established | State::Listen | State::Closed => {
                wording!("stuck-data", "what was sent is not acknowledged")
            }
        }
    }
}

impl Explain for StuckState {
    fn about() -> About {
        About {
            when: "nothing has moved in a state for the time at which a live trace flags it (`--linger`: FIN_WAIT2 and \
                   TIME_WAIT 75 s, SYN_SENT, SYN_RECV, FIN_WAIT1, LAST_ACK and CLOSING 10 s), and no other finding \
                   says why; always info",
            evidence: "since when the socket is in its state, by events, or by its last acknowledgement",
            unknown: "how long sockets have been there that were there before and are acknowledged by keepalive \
                      probes: watch for longer (`--for`)",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        wording!(
            "stuck-in-state",
            "{connections}: in {state} for up to {oldest}, {cause}",
            connections = self.connections.words(),
            state = self.state.to_string(),
            oldest = duration(self.oldest),
            cause = self.cause()
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = self.connections.evidence();
        let healthy = wording!(
            "no-longer",
            "{state} no longer than {time}",
            state = self.state.to_string(),
            time = duration(self.threshold),
        );
        lines.push(line("healthy", healthy));
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let name = match self.state {
            State::SynSent => "syn-sent",
            State::SynRecv => "syn-recv",
            State::FinWait1 => "fin-wait-1",
            State::FinWait2 => "fin-wait-2",
            State::TimeWait => "time-wait",
            State::LastAck => "last-ack",
            State::Closing => "closing",
            _ => "close-wait",
        };
        let service = filter(self.connections.service);
        let mut remedies = vec![command(
            wording!("remedy-see-timers", "see them, with their timers"),
            format!("{enter}ss -tnoip state {name} {service}"),
        )];
        if self.state == State::FinWait2 && self.connections.is_held() {
            remedies.insert(
                0,
                advice(wording!(
                    "remedy-bound-fin",
                    "a process that has called shutdown(SHUT_WR) should wait for the peer's end no longer than a \
                     time-out (SO_RCVTIMEO), then close(): the kernel ends what is closed after tcp_fin_timeout"
                )),
            );
        }
        remedies
    }

    super::of_connections!();

    fn key(&self) -> String {
        format!("{} {}", self.state, self.connections.key())
    }
}
