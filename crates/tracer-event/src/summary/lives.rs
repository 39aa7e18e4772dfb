//! What people want to know at the end: how fast connections opened, how they ended, what lingers.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::accepts::{Accepts, times};
use crate::{
    close::Reason,
    finding::{Problem, ProcessEnded},
    linger::LingerStatus,
    state::State,
    subject::Role,
    update::Update,
};

/// Processes that have ended are named so far.
const PROCESSES: usize = 5;

/// Handshakes, ends and what lingers.
#[derive(Clone, Debug, PartialEq)]
pub struct Lives {
    /// Handshake times of clients, nanoseconds, to two digits.
    pub connected: Histogram<u64>,
    /// Of servers: from their SYN+ACK to the ACK.
    pub accepted: Histogram<u64>,
    /// How long connections waited for accept().
    pub accepts: Accepts,
    /// How many ended for which reason, in the order of their first occurrence.
    pub ends: Vec<(Reason, u64)>,
    /// Sockets that are flagged now, by state.
    pub lingering: BTreeMap<State, u64>,
    /// The last processes that have ended, and how many there were.
    pub processes: (Vec<ProcessEnded>, u64),
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            connected: times(),
            accepted: times(),
            accepts: Accepts::default(),
            ends: Vec::new(),
            lingering: BTreeMap::new(),
            processes: (Vec::new(), 0),
        }
    }
}

impl Lives {
    pub(super) fn count(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(transition) => {
                let time = transition.handshake.and_then(|known| known.duration_ns);
                match (transition.subject.role, time) {
                    (Some(Role::Client), Some(time)) => self.connected.saturating_record(time),
                    (Some(Role::Server), Some(time)) => self.accepted.saturating_record(time),
                    _ => {}
                }
            }
            Update::Connection(connection) => {
                self.accepts.count(connection);
                let Some(reason) = connection.close.map(|close| close.reason) else { return };
                match self.ends.iter_mut().find(|(other, _)| *other == reason) {
                    Some((_, count)) => *count += 1,
                    None => self.ends.push((reason, 1)),
                }
            }
            Update::Linger(lingers) => {
                for linger in *lingers {
                    let count = self.lingering.entry(linger.state).or_default();
                    match linger.status {
                        LingerStatus::Raised => *count += 1,
                        LingerStatus::Continues => {}
                        LingerStatus::Cleared => *count = count.saturating_sub(1),
                    }
                }
            }
            Update::Finding(finding) => {
                if let Problem::ProcessEnded(ended) = &finding.problem {
                    let (last, count) = &mut self.processes;
                    *count += 1;
                    if last.len() == PROCESSES {
                        last.remove(0);
                    }
                    last.push(ProcessEnded::clone(ended));
                }
            }
            Update::Retransmit(_) | Update::Reset(_) | Update::Loss(_) => {}
        }
    }
}
