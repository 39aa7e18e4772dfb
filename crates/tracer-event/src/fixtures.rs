//! Events for tests: what they leave open, a test sets.

use std::net::IpAddr;

use super::{
    endpoint::{Endpoint, Tuple},
    state::State,
    subject::{Role, Subject},
    update::{Linger, LingerStatus, Source, Transition},
};

/// A client of 10.0.0.1:80 on the same host.
pub fn subject(cookie: u64) -> Subject {
    let end = |port| Endpoint::new(IpAddr::from([10, 0, 0, 1]), port);
    Subject {
        cookie: Some(cookie),
        ordinal: 1,
        tuple: Tuple { local: end(40_000), peer: end(80), netns: 7 },
        uid: None,
        inode: None,
        cgroup: 0,
        owner: None,
        role: Some(Role::Client),
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
    Transition {
        time: 5,
        subject: subject(1),
        from,
        to,
        kernel: None,
        source: Source::Tracepoint,
        elapsed: Some(3_000_000),
        handshake: None,
        sequence: None,
        sent: None,
        close: None,
        orphaned: false,
        at_exit: false,
    }
}
