//! Thresholds beyond which a socket lingers in its state.
//!
//! The defaults ([`DEFAULT`]) lie beyond what a healthy connection needs and, where the kernel
//! ends a state by itself, beyond that, so that a flag means that something is wrong:
//!
//! | state | default | why |
//! |---|---|---|
//! | CLOSE_WAIT | 30 s | no timer ends it, only close(): an application that has read the end of the stream closes within the time of a request. While it still sends, it is not flagged (`progress`) |
//! | TIME_WAIT | 75 s | the kernel keeps it for 60 s (`TCP_TIMEWAIT_LEN`), up to 64 s by the resolution of its timer wheel; one that stays longer was armed again by late FINs: our last ACKs do not arrive |
//! | FIN_WAIT2 | 75 s | an orphan is dropped after 60 s (`tcp_fin_timeout`), by the same wheel; what stays is held by a process whose peer neither closes nor sends |
//! | SYN_SENT | 10 s | three SYNs sent again without an answer (after 1, 3 and 7 s; since 6.5 more); the kernel gives up after 127 s (`tcp_syn_retries` 6) |
//! | SYN_RECV | 10 s | the same for SYN+ACKs (`tcp_synack_retries` 5: 63 s). Half-open connections are seen by snapshots only: one that is completed before the next snapshot is not flagged |
//! | LAST_ACK, CLOSING | 10 s | a round trip ends them; five FINs sent again without an answer at the least time-out of 200 ms. The kernel gives up after some 100 s (`tcp_orphan_retries` 8) |
//!
//! ESTABLISHED has no default, since connections may idle; nor has FIN_WAIT1, which lasts as long
//! as a slow peer takes for what was written before.

use std::{str::FromStr, sync::LazyLock};

use tracer_event::state::{State, UnknownState};

/// The defaults, as the option `--linger` takes them; with spaces, at which the help can wrap.
pub const DEFAULT: &str = "close-wait=30s, time-wait=75s, fin-wait2=75s, syn-sent=10s, \
                           syn-recv=10s, last-ack=10s, closing=10s";

/// A snapshot this long before a flag is as good as one at its time, nanoseconds.
pub const LOOK_LEAD: u64 = 100_000_000;

/// How long a socket may stay in each state before it is flagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds([Option<u64>; State::COUNT]);

impl Thresholds {
    /// Nothing is flagged.
    pub const NONE: Self = Self([None; State::COUNT]);

    /// Threshold of a state, nanoseconds.
    pub fn of(&self, state: State) -> Option<u64> {
        self.0[state.index()]
    }

    /// With the thresholds of a list in place of its own.
    fn with(mut self, list: &str) -> Result<Self, ThresholdError> {
        for entry in list.split(',') {
            let (state, duration) =
                entry.split_once('=').ok_or_else(|| ThresholdError::Form(entry.to_owned()))?;
            let state: State = state.trim().parse()?;
            if matches!(state, State::Closed | State::Listen) {
                return Err(ThresholdError::Endless(state));
            }
            self.0[state.index()] = match duration.trim() {
                "none" | "off" => None,
                text => Some(parse_duration(state, text)?),
            };
        }
        Ok(self)
    }

    /// The states that have a threshold.
    pub fn states(&self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(|&state| self.of(state).is_some())
    }
}

impl Default for Thresholds {
    /// As [`DEFAULT`] says.
    fn default() -> Self {
        // Asked for once a socket: read once.
        static READ: LazyLock<Thresholds> =
            LazyLock::new(|| Thresholds::NONE.with(DEFAULT).unwrap_or(Thresholds::NONE));
        *READ
    }
}

/// Why a list of thresholds is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ThresholdError {
    /// No `=` in an entry.
    #[error("{0:?} is not of the form STATE=TIME, such as close-wait=30s")]
    Form(String),
    /// No such state.
    #[error(transparent)]
    State(#[from] UnknownState),
    /// Nobody lingers in these.
    #[error("{0} has no limit: a socket may stay in it for ever")]
    Endless(State),
    /// The duration is none.
    #[error("{state}: {text:?} is no duration, as 500ms, 30s, 2m or 1h are")]
    Duration {
        /// Of this state.
        state: State,
        /// What was written.
        text: String,
    },
}

impl FromStr for Thresholds {
    type Err = ThresholdError;

    /// `close-wait=30s,time-wait=off`; states that are not named keep their defaults, `none`
    /// alone switches everything off.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        match list {
            "none" | "off" => Ok(Self::NONE),
            list => Self::default().with(list),
        }
    }
}

fn parse_duration(state: State, text: &str) -> Result<u64, ThresholdError> {
    humantime::parse_duration(text)
        .ok()
        .and_then(|duration| u64::try_from(duration.as_nanos()).ok())
        .filter(|&nanoseconds| nanoseconds > 0)
        .ok_or_else(|| ThresholdError::Duration { state, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn named_states_change_and_others_keep_their_default() {
        let thresholds: Thresholds =
            "close-wait=500ms, FIN_WAIT2=2m,time-wait=off".parse().unwrap();
        assert_eq!(thresholds.of(State::CloseWait), Some(500_000_000));
        assert_eq!(thresholds.of(State::FinWait2), Some(120_000_000_000));
        assert_eq!(thresholds.of(State::TimeWait), None);
        let only: Thresholds = "syn-sent=1s".parse().unwrap();
        assert_eq!(only.of(State::CloseWait), Some(30_000_000_000));
        assert_eq!("none".parse(), Ok(Thresholds::NONE));
    }

    #[test]
    fn the_defaults_are_those_that_are_shown() {
        let (shown, off) = (DEFAULT.parse::<Thresholds>(), "none".parse::<Thresholds>());
        assert_eq!((shown, off), (Ok(Thresholds::default()), Ok(Thresholds::NONE)));
        let seconds = |state| Thresholds::default().of(state).map(|ns| ns / 1_000_000_000);
        let expected = [
            (State::CloseWait, 30),
            (State::TimeWait, 75),
            (State::FinWait2, 75),
            (State::SynSent, 10),
            (State::SynRecv, 10),
            (State::LastAck, 10),
            (State::Closing, 10),
        ];
        for (state, threshold) in expected {
            assert_eq!(seconds(state), Some(threshold), "{state}");
        }
        assert_eq!(Thresholds::default().states().count(), expected.len());
    }

    /// 60 s in the last level of the timer wheel that holds them may become 64.
    #[test]
    fn what_the_kernel_ends_by_itself_is_not_flagged_before() {
        let thresholds = Thresholds::default();
        for state in [State::TimeWait, State::FinWait2] {
            assert!(thresholds.of(state) > Some(65_000_000_000), "{state}");
        }
    }

    #[rstest]
    #[case("close-wait", "\"close-wait\" is not of the form")]
    #[case("closewate=3s", "\"closewate\" is no TCP state")]
    #[case("close-wait=3 apples", "CLOSE_WAIT: \"3 apples\" is no duration")]
    #[case("close-wait=0s", "CLOSE_WAIT: \"0s\" is no duration")]
    #[case("established=99999999999999y", "ESTABLISHED: ")]
    #[case("listen=3s", "LISTEN has no limit")]
    #[case("", "\"\" is not of the form")]
    fn errors_name_the_operand(#[case] list: &str, #[case] start: &str) {
        let message = list.parse::<Thresholds>().unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
}
