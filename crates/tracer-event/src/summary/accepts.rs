//! How long connections waited for accept(), by listener and process.

use std::collections::{BTreeMap, HashSet};

use hdrhistogram::Histogram;

use crate::{connection::ConnectionSummary, endpoint::Tuple};

/// Listeners that are told apart; each takes some 35 KiB.
const LISTENERS: usize = 32;

/// Longest time that is told apart from longer ones: ten minutes, in nanoseconds.
const LONGEST: u64 = 600_000_000_000;

/// Whose connections: the port of the listener, and the name of the process that accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acceptor {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The listener's port.
    pub port: u16,
    /// The process, as the kernel keeps its name; zeros where it is not known.
    pub comm: [u8; 16],
}

/// Times from ESTABLISHED to accept(), nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepts {
    /// The first listeners, each with its own times.
    pub listeners: BTreeMap<Acceptor, Histogram<u64>>,
    /// All others.
    pub others: Option<Histogram<u64>>,
    /// Connections that were reported while they were open (`--interval`): each counts once.
    reported: HashSet<(Option<u64>, u32, Tuple)>,
}

/// Times in nanoseconds, none yet.
pub(super) fn times() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that fit")]
    Histogram::new_with_bounds(1, LONGEST, 2).expect("1 < LONGEST, two digits")
}

impl Accepts {
    pub(super) fn count(&mut self, connection: &ConnectionSummary) {
        let ConnectionSummary { ref subject, accept_wait: Some(wait), close, .. } = *connection
        else {
            return;
        };
        let which = (subject.cookie, subject.ordinal, subject.tuple);
        let is_new = match close {
            None => self.reported.insert(which),
            Some(_) => !self.reported.remove(&which),
        };
        if !is_new {
            return;
        }
        let tuple = subject.tuple;
        let comm = subject.owner.map_or([0; 16], |owner| owner.process.comm);
        let acceptor = Acceptor { netns: tuple.netns, port: tuple.local.port, comm };
        let is_known = self.listeners.contains_key(&acceptor) || self.listeners.len() < LISTENERS;
        let waits = match is_known {
            true => self.listeners.entry(acceptor).or_insert_with(times),
            false => self.others.get_or_insert_with(times),
        };
        waits.saturating_record(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{close::Reason, fixtures, subject::Subject};

    fn connection(cookie: u64, port: u16, wait: Option<u64>, is_over: bool) -> ConnectionSummary {
        let mut subject = Subject { cookie: Some(cookie), ..Subject::default() };
        subject.tuple.local.port = port;
        let over = fixtures::connection(subject, 0, Reason::Graceful);
        ConnectionSummary { accept_wait: wait, close: over.close.filter(|_| is_over), ..over }
    }

    #[test]
    fn each_connection_counts_once_and_listeners_have_a_bound() {
        let mut accepts = Accepts::default();
        for is_over in [false, false, true] {
            accepts.count(&connection(1, 80, Some(5), is_over));
        }
        accepts.count(&connection(2, 80, Some(5), true));
        accepts.count(&connection(3, 80, None, true));
        let [waits] = &accepts.listeners.values().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!((waits.len(), accepts.reported.len()), (2, 0));
        for port in 0..100 {
            accepts.count(&connection(10 + u64::from(port), port, Some(5), true));
        }
        assert_eq!(accepts.listeners.len(), LISTENERS);
        assert_eq!(accepts.others.map(|waits| waits.len()), Some(100 - LISTENERS as u64));
    }
}
