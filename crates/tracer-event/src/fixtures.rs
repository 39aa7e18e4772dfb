//! Events for tests: what they leave open, a test sets.

use std::net::IpAddr;

use super::{
    close::{Close, Reason},
    endpoint::{Endpoint, Tuple},
    state::State,
    subject::{Role, Subject},
    update::{ConnectionSummary, Linger, LingerStatus, Source, Transition},
};

/// A client of 10.0.0.1:80 on the same host.
pub fn subject(cookie: u64) -> Subject {
    let end = |port| Endpoint::new(IpAddr::from([10, 0, 0, 1]), port);
    let tuple = Tuple { local: end(40_000), peer: end(80), netns: 7 };
    Subject {
        cookie: Some(cookie),
        ordinal: 1,
        role: Some(Role::Client),
        ..Subject::of_addresses(tuple)
    }
}

/// A socket that has just been stuck for too long.
pub fn linger(cookie: u64, state: State) -> Linger {
    Linger {
        time: 1,
        subject: subject(cookie),
        state,
        age: 2,
        idle: Some(2),
        at_least: false,
        threshold: 1,
        status: LingerStatus::Raised,
        orphaned: false,
        holders: Vec::new(),
        why: None,
        creator: None,
    }
}

/// A change of state of socket 1.
pub fn transition(from: State, to: State) -> Transition {
    Transition { elapsed: Some(3_000_000), ..Transition::new(subject(1), 5, from, to) }
}

/// A connection that is over.
pub fn connection(subject: Subject, time: u64, reason: Reason) -> ConnectionSummary {
    ConnectionSummary {
        time,
        subject,
        state: State::Closed,
        began: None,
        ended: None,
        duration: 0,
        spent: [0; State::COUNT],
        at_least: false,
        handshake: None,
        accept_wait: None,
        bytes_sent: None,
        bytes_received: None,
        retransmits: None,
        close: Some(Close::new(reason, None)),
        source: Source::Tracepoint,
    }
}
