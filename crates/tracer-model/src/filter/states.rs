//! Sets of TCP states, by the names of RFC 9293 and the groups of `ss`.

use std::fmt;

use tracer_event::state::State;

/// A set of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSet(u16);

impl StateSet {
    /// No state.
    pub const NONE: Self = Self(0);
    /// All states.
    pub const ALL: Self = Self((1 << State::COUNT) - 1);

    /// The set that a word names: a state, or a group of states as in ss(8).
    pub fn named(word: &str) -> Option<Self> {
        use State::{Closed, Listen, SynRecv, SynSent, TimeWait};
        let bucket = Self::from_iter([SynRecv, TimeWait]);
        let connected = Self::ALL.without(Self::from_iter([Closed, Listen]));
        let set = match word.to_ascii_lowercase().as_str() {
            "all" => Self::ALL,
            "connected" => connected,
            "synchronized" => connected.without(Self::from_iter([SynSent])),
            "bucket" => bucket,
            "big" => Self::ALL.without(bucket),
            "listening" => Self::from_iter([Listen]),
            "unconnected" | "unconn" => Self::from_iter([Closed]),
            word => Self::from_iter([word.parse::<State>().ok()?]),
        };
        Some(set)
    }

    /// The states of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other one.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a state is in it.
    pub fn contains(self, state: State) -> bool {
        self.0 & (1 << state.index()) != 0
    }

    /// Whether one of its states is in the other one.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Its states, in the order of a connection's life.
    pub fn iter(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |state| self.contains(*state))
    }
}

impl FromIterator<State> for StateSet {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        states.into_iter().fold(Self::NONE, |set, state| Self(set.0 | 1 << state.index()))
    }
}

impl fmt::Display for StateSet {
    /// As a filter has it, behind `state`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |state: State| state.name().to_ascii_lowercase().replace('_', "-");
        match *self {
            Self::ALL => f.write_str("all"),
            set => f.write_str(&set.iter().map(name).collect::<Vec<_>>().join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("all", "all")]
    #[case("ESTAB", "established")]
    #[case("fin-wait-1", "fin-wait1")]
    #[case("listening", "listen")]
    #[case("bucket", "syn-recv,time-wait")]
    #[case(
        "synchronized",
        "syn-recv,established,fin-wait1,fin-wait2,close-wait,last-ack,closing,time-wait"
    )]
    fn groups_are_those_of_ss(#[case] word: &str, #[case] states: &str) {
        assert_eq!(StateSet::named(word).unwrap().to_string(), states);
    }

    #[test]
    fn a_word_that_names_none_is_none() {
        assert_eq!(StateSet::named("closing-time"), None);
    }
}
