//! The states of RFC 9293, section 3.3.2, by the kernel's numbers and the names people use.

use std::{fmt, str::FromStr};

/// How long the kernel keeps a TIME_WAIT: `TCP_TIMEWAIT_LEN`, include/net/tcp.h, not tunable.
pub const TIME_WAIT_SECONDS: u64 = 60;

/// State of a TCP socket. The numbers are the kernel's (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are RFC 9293's")]
pub enum State {
    Established = tracer_wire::state::ESTABLISHED,
    SynSent = tracer_wire::state::SYN_SENT,
    SynRecv = tracer_wire::state::SYN_RECV,
    FinWait1 = tracer_wire::state::FIN_WAIT1,
    FinWait2 = tracer_wire::state::FIN_WAIT2,
    TimeWait = tracer_wire::state::TIME_WAIT,
    Closed = tracer_wire::state::CLOSE,
    CloseWait = tracer_wire::state::CLOSE_WAIT,
    LastAck = tracer_wire::state::LAST_ACK,
    Listen = tracer_wire::state::LISTEN,
    Closing = tracer_wire::state::CLOSING,
}

// In the order of a connection's life.
named!(State, "a TCP state" {
    [Self::Closed] "CLOSED",
    [Self::Listen] "LISTEN",
    [Self::SynSent] "SYN_SENT",
    [Self::SynRecv] "SYN_RECV",
    [Self::Established] "ESTABLISHED",
    [Self::FinWait1] "FIN_WAIT1",
    [Self::FinWait2] "FIN_WAIT2",
    [Self::CloseWait] "CLOSE_WAIT",
    [Self::LastAck] "LAST_ACK",
    [Self::Closing] "CLOSING",
    [Self::TimeWait] "TIME_WAIT",
});

impl State {
    /// By the kernel's numbers; a request socket (TCP_NEW_SYN_RECV) is in SYN_RECV.
    const OF_KERNEL: [Option<Self>; 16] = {
        let mut states = [None; 16];
        states[tracer_wire::state::NEW_SYN_RECV as usize] = Some(Self::SynRecv);
        let mut index = 0;
        while index < Self::COUNT {
            states[Self::ALL[index] as usize] = Some(Self::ALL[index]);
            index += 1;
        }
        states
    };

    /// From the kernel's number.
    #[inline]
    pub fn from_kernel(number: u8) -> Option<Self> {
        *Self::OF_KERNEL.get(usize::from(number))?
    }

    /// Position in [`Self::ALL`], for arrays by state.
    #[inline]
    pub fn index(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::Listen => 1,
            Self::SynSent => 2,
            Self::SynRecv => 3,
            Self::Established => 4,
            Self::FinWait1 => 5,
            Self::FinWait2 => 6,
            Self::CloseWait => 7,
            Self::LastAck => 8,
            Self::Closing => 9,
            Self::TimeWait => 10,
        }
    }

    /// As OpenTelemetry's `network.connection.state` has it.
    pub fn connection_state(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Listen => "listen",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_received",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait_1",
            Self::FinWait2 => "fin_wait_2",
            Self::CloseWait => "close_wait",
            Self::LastAck => "last_ack",
            Self::Closing => "closing",
            Self::TimeWait => "time_wait",
        }
    }

    /// The states that can follow on Linux: the diagram of RFC 9293, figure 5, and the aborts that
    /// lead from any state to CLOSED.
    pub fn successors(self) -> &'static [Self] {
        match self {
            Self::Closed => &[Self::Listen, Self::SynSent],
            // A new socket for each connection begins as a copy of its listener.
            Self::Listen => &[Self::SynRecv, Self::Closed],
            Self::SynSent => &[Self::Established, Self::SynRecv, Self::Closed],
            Self::SynRecv => &[Self::Established, Self::FinWait1, Self::CloseWait, Self::Closed],
            Self::Established => &[Self::FinWait1, Self::CloseWait, Self::Closed],
            // FIN and ACK in one segment: the kernel passes FIN_WAIT2 all the same (tcp_rcv_state_process).
            Self::FinWait1 => &[Self::FinWait2, Self::Closing, Self::Closed],
            Self::FinWait2 | Self::Closing => &[Self::TimeWait, Self::Closed],
            Self::CloseWait => &[Self::LastAck, Self::Closed],
            Self::LastAck | Self::TimeWait => &[Self::Closed],
        }
    }

    /// The states between this one and `target` on the shortest legal way, neither included;
    /// `None` where there is no way. Aborts through CLOSED are no way.
    pub fn path_to(self, target: Self) -> Option<Vec<Self>> {
        let mut ways = vec![vec![self]];
        let mut seen = vec![self];
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let last = *way.last().unwrap_or(&self);
                for &next in last.successors() {
                    if next == target {
                        return Some(way[1..].to_vec());
                    }
                    if next != Self::Closed && !seen.contains(&next) {
                        seen.push(next);
                        longer.push([way.as_slice(), &[next]].concat());
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no TCP state; states are {names}", names = names())]
pub struct UnknownState(pub String);

fn names() -> String {
    State::ALL.map(|state| state.name().to_lowercase().replace('_', "-")).join(", ")
}

impl FromStr for State {
    type Err = UnknownState;

    /// Takes `close-wait`, `CLOSE_WAIT`, `closewait` and what `ss` writes (`ESTAB`, `FIN-WAIT-1`,
    /// `SYN-RECEIVED`).
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let plain = |s: &str| s.replace(['-', '_'], "").to_ascii_uppercase();
        let wanted = match plain(word).as_str() {
            "ESTAB" => "ESTABLISHED".to_owned(),
            "CLOSE" => "CLOSED".to_owned(),
            "SYNRECEIVED" => "SYNRECV".to_owned(),
            other => other.to_owned(),
        };
        Self::ALL
            .into_iter()
            .find(|state| plain(state.name()) == wanted)
            .ok_or_else(|| UnknownState(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::State::{self, *};

    #[test]
    fn index_is_the_position_in_all() {
        for (position, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state.index(), position);
        }
    }

    #[test]
    fn numbers_and_names_lead_back_to_the_state() {
        for state in State::ALL {
            assert_eq!(State::from_kernel(state as u8), Some(state));
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert_eq!(State::from_kernel(12), Some(SynRecv));
        assert_eq!(State::from_kernel(0), None);
        assert_eq!(State::from_kernel(13), None);
    }

    #[rstest]
    #[case("close-wait", CloseWait)]
    #[case("closewait", CloseWait)]
    #[case("ESTAB", Established)]
    #[case("FIN-WAIT-1", FinWait1)]
    #[case("syn-received", SynRecv)]
    fn spellings_of_other_tools_are_understood(#[case] word: &str, #[case] state: State) {
        assert_eq!(word.parse(), Ok(state));
    }

    #[test]
    fn a_wrong_word_is_named_with_the_right_ones() {
        let message = "CLOSING_TIME".parse::<State>().unwrap_err().to_string();
        assert!(message.starts_with("\"CLOSING_TIME\" is no TCP state"), "{message}");
        assert!(message.contains("close-wait"), "{message}");
    }

    /// Every edge of RFC 9293, figure 5, that a Linux socket can take.
    #[rstest]
    #[case(Closed, Listen)]
    #[case(Closed, SynSent)]
    #[case(Listen, SynRecv)]
    #[case(Listen, Closed)]
    #[case(SynSent, SynRecv)]
    #[case(SynSent, Established)]
    #[case(SynSent, Closed)]
    #[case(SynRecv, Established)]
    #[case(SynRecv, FinWait1)]
    #[case(Established, FinWait1)]
    #[case(Established, CloseWait)]
    #[case(FinWait1, FinWait2)]
    #[case(FinWait1, Closing)]
    #[case(FinWait2, TimeWait)]
    #[case(Closing, TimeWait)]
    #[case(CloseWait, LastAck)]
    #[case(LastAck, Closed)]
    #[case(TimeWait, Closed)]
    fn edges_of_the_diagram_are_legal(#[case] from: State, #[case] to: State) {
        assert!(from.successors().contains(&to));
    }

    #[rstest]
    #[case(Closed, Established)]
    #[case(Established, SynSent)]
    #[case(TimeWait, Established)]
    #[case(CloseWait, FinWait1)]
    #[case(FinWait2, Closing)]
    #[case(LastAck, TimeWait)]
    #[case(FinWait1, TimeWait)]
    fn other_edges_are_not(#[case] from: State, #[case] to: State) {
        assert!(!from.successors().contains(&to));
    }

    #[rstest]
    #[case(SynSent, FinWait1, Some(vec![Established]))]
    #[case(Established, LastAck, Some(vec![CloseWait]))]
    #[case(SynSent, Established, Some(vec![]))]
    #[case(Listen, CloseWait, Some(vec![SynRecv]))]
    #[case(FinWait1, TimeWait, Some(vec![FinWait2]))]
    #[case(TimeWait, Established, None)]
    fn the_missing_steps_are_found(
        #[case] from: State,
        #[case] to: State,
        #[case] between: Option<Vec<State>>,
    ) {
        assert_eq!(from.path_to(to), between);
    }
}
