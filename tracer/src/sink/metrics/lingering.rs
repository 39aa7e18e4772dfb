//! How many sockets linger now, by state and name of the process.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{
    model::{
        endpoint::Tuple,
        state::State,
        update::{Linger, LingerStatus, Subject},
    },
    sink::escape::escape,
};

/// Names at one time; the processes of the rest are called [`OTHER`].
const NAMES: usize = 100;
const OTHER: &str = "other";
const UNKNOWN: &str = "unknown";

/// `comm`, or one of the two above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Of([u8; 16]),
    Unknown,
    Other,
}

/// Which socket: the cookie, or the ends where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    Cookie(u64, u32),
    Ends(Tuple),
}

/// What lingers now.
#[derive(Clone, Debug, Default)]
pub(super) struct Lingering {
    counts: HashMap<(State, Name), u64, RandomState>,
    /// Under which name each socket was counted: its holders change meanwhile.
    names: HashMap<Which, (State, Name), RandomState>,
}

impl Lingering {
    pub(super) fn count(&mut self, linger: &Linger) {
        let Subject { cookie, ordinal, tuple, .. } = linger.subject;
        let which = cookie.map_or(Which::Ends(tuple), |cookie| Which::Cookie(cookie, ordinal));
        match linger.status {
            LingerStatus::Raised | LingerStatus::Continues => {
                if !self.names.contains_key(&which) {
                    let key = (linger.state, self.name(linger));
                    *self.counts.entry(key).or_default() += 1;
                    self.names.insert(which, key);
                }
            }
            LingerStatus::Cleared => {
                let Some(key) = self.names.remove(&which) else { return };
                if let Some(count) = self.counts.get_mut(&key) {
                    *count -= 1;
                    if *count == 0 {
                        self.counts.remove(&key);
                    }
                }
            }
        }
    }

    fn name(&self, linger: &Linger) -> Name {
        let holder = linger.holders.first().or(linger.subject.owner.as_ref());
        let Some(holder) = holder.filter(|_| !linger.orphaned) else { return Name::Unknown };
        let name = Name::Of(holder.process.comm);
        let is_known = self.counts.keys().any(|(_, known)| *known == name);
        if is_known || self.distinct() < NAMES { name } else { Name::Other }
    }

    fn distinct(&self) -> usize {
        let mut names: Vec<[u8; 16]> = self
            .counts
            .keys()
            .filter_map(|(_, name)| if let Name::Of(comm) = name { Some(*comm) } else { None })
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// State, name of the process, sockets; sorted.
    pub(super) fn counts(&self) -> Vec<(State, String, u64)> {
        // What is written differently may have been the same after escaping; so it is added up.
        let mut told = std::collections::BTreeMap::new();
        for (&(state, name), &count) in &self.counts {
            let name = match name {
                Name::Of(comm) => {
                    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
                    escape(&comm[..end]).into_owned()
                }
                Name::Unknown => UNKNOWN.to_owned(),
                Name::Other => OTHER.to_owned(),
            };
            *told.entry((state, name)).or_default() += count;
        }
        told.into_iter().map(|((state, name), count)| (state, name, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::owner::{Evidence, Owner, Process};

    fn linger(cookie: u64, name: &str, status: LingerStatus) -> Linger {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name.as_bytes());
        let process = Process { pid: 1, comm, start_ns: 0 };
        let owner = Owner { process, evidence: Evidence::TaskFile, fd: None, others: 0 };
        Linger {
            holders: vec![owner],
            status,
            ..crate::sink::metrics::tests::linger(cookie, State::CloseWait)
        }
    }

    fn told(lingering: &Lingering) -> Vec<(String, u64)> {
        lingering.counts().into_iter().map(|(_, name, count)| (name, count)).collect()
    }

    #[test]
    fn a_socket_counts_once_and_under_one_name_until_it_is_cleared() {
        let mut lingering = Lingering::default();
        for status in [LingerStatus::Raised, LingerStatus::Continues] {
            lingering.count(&linger(1, "nginx", status));
        }
        lingering.count(&linger(2, "nginx", LingerStatus::Raised));
        assert_eq!(told(&lingering), [("nginx".to_owned(), 2)]);
        lingering.count(&linger(1, "renamed", LingerStatus::Cleared));
        assert_eq!(told(&lingering), [("nginx".to_owned(), 1)]);
        lingering.count(&linger(3, "nginx", LingerStatus::Cleared));
        lingering.count(&linger(2, "nginx", LingerStatus::Cleared));
        assert_eq!(told(&lingering), []);
        assert!(lingering.names.is_empty());
    }

    #[test]
    fn names_have_a_bound_and_cannot_speak() {
        let mut lingering = Lingering::default();
        for cookie in 0..3 * NAMES as u64 {
            lingering.count(&linger(cookie, &format!("\x1b{cookie}\"\n"), LingerStatus::Raised));
        }
        let told = told(&lingering);
        assert_eq!(told.len(), NAMES + 1);
        assert!(told.contains(&(OTHER.to_owned(), 2 * NAMES as u64)), "{told:?}");
        assert!(told.contains(&("\\x1b7\"\\x0a".to_owned(), 1)), "{told:?}");
    }
}
