//! `connection`: a connection as a whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    close::Close,
    state::State,
    subject::{Role, Subject, role},
    transition::{Handshake, Source},
    wall,
};

/// A connection as a whole: told when it is over for its application, that is when its socket gets
/// to TIME_WAIT or CLOSED; while it is open at intervals (`--interval`) and when the trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSummary {
    /// When it was over; of one that is open: when its counters were read.
    #[serde(skip)]
    pub time: u64,
    /// Its state: TIME_WAIT or CLOSED where it is over.
    pub state: State,
    /// Which part the socket played.
    #[serde(rename = "role", with = "role")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// How the end, or that it is open, is known.
    pub source: Source,
    /// When it began: RFC 3339; null where it was there before the tracer.
    #[serde(with = "wall::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub began: Option<u64>,
    /// When it was over for its application; null where it is open.
    #[serde(with = "wall::optional")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended: Option<u64>,
    /// From `began`, or from when it was first seen, until `ended` or `time`: the sum of `states`.
    #[serde(rename = "duration_ns")]
    pub duration: u64,
    /// Time in each state that it was in, nanoseconds. TIME_WAIT is not part of it.
    // By [`State::index`].
    #[serde(rename = "states", serialize_with = "by_name", deserialize_with = "by_index")]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub spent: [u64; State::COUNT],
    /// The time in the state it was found in is at least what `states` says.
    pub at_least: bool,
    /// Its handshake, where it was seen.
    pub handshake: Option<Handshake>,
    /// Time from ESTABLISHED until accept() returned it, nanoseconds; null where it was not
    /// accepted here, or one of the two was not seen.
    #[serde(default, rename = "accept_wait_ns")]
    pub accept_wait: Option<u64>,
    /// Payload sent and acknowledged, bytes.
    pub bytes_sent: Option<u64>,
    /// Payload received, bytes.
    pub bytes_received: Option<u64>,
    /// Retransmitted segments.
    pub retransmits: Option<u32>,
    /// How it ended; null where it is open.
    pub close: Option<Close>,
}

impl ConnectionSummary {
    /// The duration of a connection that was in its states for these times.
    #[inline]
    pub fn duration(spent: &[u64; State::COUNT]) -> u64 {
        spent.iter().fold(0, |sum, time| time.saturating_add(sum))
    }
}

fn by_name<S: Serializer>(spent: &[u64; State::COUNT], serializer: S) -> Result<S::Ok, S::Error> {
    let states = State::ALL.into_iter().map(|state| (state.name(), spent[state.index()]));
    serializer.collect_map(states.filter(|&(_, time)| time > 0))
}

fn by_index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; State::COUNT], D::Error> {
    let mut spent = [0; State::COUNT];
    for (state, time) in BTreeMap::<State, u64>::deserialize(deserializer)? {
        spent[state.index()] = time;
    }
    Ok(spent)
}
