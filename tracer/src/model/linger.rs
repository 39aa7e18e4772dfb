//! Thresholds beyond which a socket lingers in its state.

use std::{str::FromStr, time::Duration};

use super::state::{State, UnknownState};

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

    /// The states that have a threshold.
    pub fn states(&self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(|&state| self.of(state).is_some())
    }
}

impl Default for Thresholds {
    /// 30 s for CLOSE_WAIT and TIME_WAIT.
    fn default() -> Self {
        let mut thresholds = Self::NONE;
        let default = Some(Duration::from_secs(30).as_nanos() as u64);
        thresholds.0[State::CloseWait.index()] = default;
        thresholds.0[State::TimeWait.index()] = default;
        thresholds
    }
}

/// Why a list of thresholds is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ThresholdError {
    /// No `=` in an entry.
    #[error("{0:?} is not of the form STATE=DURATION, as in close-wait=30s")]
    Form(String),
    /// No such state.
    #[error(transparent)]
    State(#[from] UnknownState),
    /// Nobody lingers in these.
    #[error("{0} cannot linger: a socket may stay in it as long as it likes")]
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
        if matches!(list, "none" | "off") {
            return Ok(Self::NONE);
        }
        let mut thresholds = Self::default();
        for entry in list.split(',') {
            let (state, duration) =
                entry.split_once('=').ok_or_else(|| ThresholdError::Form(entry.to_owned()))?;
            let state: State = state.trim().parse()?;
            if matches!(state, State::Closed | State::Listen) {
                return Err(ThresholdError::Endless(state));
            }
            thresholds.0[state.index()] = match duration.trim() {
                "none" | "off" => None,
                text => Some(parse_duration(state, text)?),
            };
        }
        Ok(thresholds)
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

    #[rstest]
    #[case("close-wait", "\"close-wait\" is not of the form")]
    #[case("closewate=3s", "\"closewate\" is no TCP state")]
    #[case("close-wait=3 apples", "CLOSE_WAIT: \"3 apples\" is no duration")]
    #[case("close-wait=0s", "CLOSE_WAIT: \"0s\" is no duration")]
    #[case("established=99999999999999y", "ESTABLISHED: ")]
    #[case("listen=3s", "LISTEN cannot linger")]
    #[case("", "\"\" is not of the form")]
    fn errors_name_the_operand(#[case] list: &str, #[case] start: &str) {
        let message = list.parse::<Thresholds>().unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
}
