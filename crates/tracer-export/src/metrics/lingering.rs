//! How many sockets linger now, by state, process name and workload.
//!
//! Processes choose their names, so that anybody who may start processes can create any number of
//! them. All are counted, since there are no more of them than sockets, but only some are shown. The
//! order depends on who uses a name, not on when it appeared: services first, then each party's most
//! frequent name, then each one's second, so that no party displaces another.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    family::{Labels, label},
    workloads::{OTHER, Workload},
};
use tracer_event::{
    container::Cgroup,
    endpoint::Tuple,
    escape::escape,
    state::State,
    update::{Linger, LingerStatus, Subject},
};

/// Names that are shown, each of a workload; all other processes are called [`OTHER`].
const NAMES: usize = 100;
const UNKNOWN: &str = "unknown";

/// Who has started a process: a service, or somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Party {
    /// False comes first: it is one that the administrator has set up.
    stranger: bool,
    /// The container, the unit, or whose session it is.
    name: Arc<str>,
}

impl Party {
    fn of(group: Option<&Cgroup>) -> Self {
        let (stranger, name) = Self::named_by(group);
        Self { stranger, name: name.into() }
    }

    /// Whether it is a stranger, and its name.
    fn named_by(group: Option<&Cgroup>) -> (bool, &str) {
        let Some(Cgroup { path, container, .. }) = group else { return (true, "") };
        let mut components = path.split('/').filter(|component| !component.is_empty());
        // What users start is in user.slice, whatever they call it there.
        if components.clone().next() == Some("user.slice") {
            return (true, components.nth(1).unwrap_or_default());
        }
        let unit = components.find(|component| component.ends_with(".service"));
        match container.as_deref().or(unit) {
            // A user's container has the user in its name.
            Some(name) => (name.contains('/'), name),
            None => (true, ""),
        }
    }
}

/// `comm`, and who has started the process; `None` where it is not known whose the socket is.
type Name = Option<([u8; 16], Party, Workload)>;

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
    /// Counts a socket; `group` is its control group.
    pub(super) fn count(&mut self, linger: &Linger, group: impl FnOnce() -> Option<Arc<Cgroup>>) {
        let Subject { cookie, ordinal, tuple, .. } = linger.subject;
        let which = cookie.map_or(Which::Ends(tuple), |cookie| Which::Cookie(cookie, ordinal));
        match linger.status {
            LingerStatus::Raised | LingerStatus::Continues => {
                if !self.names.contains_key(&which) {
                    let key = (linger.state, name(linger, group));
                    *self.counts.entry(key.clone()).or_default() += 1;
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

    /// The names that are shown, and of which workload.
    fn shown(&self) -> BTreeSet<([u8; 16], &Workload)> {
        let mut by_party: BTreeMap<&Party, BTreeMap<([u8; 16], &Workload), u64>> = BTreeMap::new();
        for ((_, name), count) in &self.counts {
            if let Some((comm, party, workload)) = name {
                let of_party = by_party.entry(party).or_default();
                *of_party.entry((*comm, workload)).or_default() += count;
            }
        }
        let mut places = Vec::new();
        for (party, names) in by_party {
            let mut names: Vec<_> =
                names.into_iter().map(|(name, count)| (Reverse(count), name)).collect();
            names.sort_unstable();
            let place = |(rank, (count, name))| (party.stranger, rank, count, name);
            places.extend(names.into_iter().enumerate().map(place));
        }
        places.sort_unstable();
        let mut shown = BTreeSet::new();
        for (.., name) in places {
            if shown.len() < NAMES {
                shown.insert(name);
            }
        }
        shown
    }

    /// State, name of the process and workload, sockets; sorted.
    pub(super) fn counts(&self) -> Vec<(State, Labels, u64)> {
        let known = self.shown();
        // What is written differently may have been the same after escaping; so it is added up.
        let mut shown = BTreeMap::new();
        for ((state, name), &count) in &self.counts {
            let (name, workload) = match name {
                Some((comm, _, workload)) if known.contains(&(*comm, workload)) => {
                    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
                    (escape(&comm[..end]).into_owned(), workload.labels())
                }
                Some(_) => (OTHER.to_owned(), Labels::new()),
                None => (UNKNOWN.to_owned(), Labels::new()),
            };
            let labels: Labels =
                [label("process.name", name)].into_iter().chain(workload).collect();
            *shown.entry((*state, labels)).or_default() += count;
        }
        shown.into_iter().map(|((state, labels), count)| (state, labels, count)).collect()
    }
}

fn name(linger: &Linger, group: impl FnOnce() -> Option<Arc<Cgroup>>) -> Name {
    let holder = linger.holders.first().or(linger.subject.owner.as_ref());
    let holder = holder.filter(|_| !linger.orphaned)?;
    let group = group();
    Some((holder.process.comm, Party::of(group.as_deref()), workload(group.as_deref())))
}

/// What a control group belongs to, unless a user has made it and chosen its name.
pub(super) fn workload(group: Option<&Cgroup>) -> Workload {
    group.filter(|group| !Party::named_by(Some(group)).0).map(Workload::of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use tracer_event::{
        fixtures,
        process::{Evidence, Owner},
    };

    fn count(lingering: &mut Lingering, linger: &Linger) {
        lingering.count(linger, || None);
    }

    fn linger(cookie: u64, name: &str, status: LingerStatus) -> Linger {
        let process = fixtures::process(1, name);
        let owner = Owner { process, evidence: Evidence::TaskFile, fd: None, others: 0 };
        Linger { holders: vec![owner], status, ..fixtures::linger(cookie, State::CloseWait) }
    }

    fn told(lingering: &Lingering) -> Vec<(String, u64)> {
        let counts = lingering.counts().into_iter();
        counts.map(|(_, labels, count)| (labels[0].1.to_string(), count)).collect()
    }

    #[test]
    fn a_socket_counts_once_and_under_one_name_until_it_is_cleared() {
        let mut lingering = Lingering::default();
        for status in [LingerStatus::Raised, LingerStatus::Continues] {
            count(&mut lingering, &linger(1, "nginx", status));
        }
        count(&mut lingering, &linger(2, "nginx", LingerStatus::Raised));
        assert_eq!(told(&lingering), [("nginx".to_owned(), 2)]);
        count(&mut lingering, &linger(1, "renamed", LingerStatus::Cleared));
        assert_eq!(told(&lingering), [("nginx".to_owned(), 1)]);
        count(&mut lingering, &linger(3, "nginx", LingerStatus::Cleared));
        count(&mut lingering, &linger(2, "nginx", LingerStatus::Cleared));
        assert_eq!(told(&lingering), []);
        assert!(lingering.names.is_empty());
    }

    #[test]
    fn names_have_a_bound_and_cannot_speak() {
        let mut lingering = Lingering::default();
        for cookie in 0..3 * NAMES as u64 {
            let name = format!("\x1b{cookie:03}\"\n");
            count(&mut lingering, &linger(cookie, &name, LingerStatus::Raised));
        }
        let told = told(&lingering);
        assert_eq!(told.len(), NAMES + 1);
        assert!(told.contains(&(OTHER.to_owned(), 2 * NAMES as u64)), "{told:?}");
        assert!(told.contains(&("\\x1b007\"\\x0a".to_owned(), 1)), "{told:?}");
    }

    const SERVICE: &str = "/system.slice/nginx.service";
    const USER: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service";

    /// Somebody's processes come first and have more of everything, but for what is told here.
    #[rstest]
    #[case::more_lingers_in_one_session(USER, USER, 1, 2)]
    #[case::a_service_comes_before_users(USER, SERVICE, 9, 1)]
    #[case::and_before_what_is_in_no_unit("/", SERVICE, 9, 1)]
    #[case::no_service_fills_the_places_of_another("/system.slice/a.service", SERVICE, 9, 1)]
    #[case::nor_a_user("/user.slice/user-1001.slice/session-1.scope", USER, 9, 1)]
    fn chosen_names_do_not_hide_a_leak(
        #[case] theirs: &str,
        #[case] own: &str,
        #[case] each: u64,
        #[case] sockets: u64,
    ) {
        let mut lingering = Lingering::default();
        let group = |path: &str| Some(Arc::new(Cgroup::new(path.into(), None)));
        let mut cookies = 0..;
        let mut add = |name: &str, path: &str, sockets| {
            for cookie in cookies.by_ref().take(sockets as usize) {
                lingering.count(&linger(cookie, name, LingerStatus::Raised), || group(path));
            }
        };
        (0..110).for_each(|number| add(&format!("x{number}"), theirs, each));
        add("nginx", own, sockets);
        let told = told(&lingering);
        assert!(told.contains(&("nginx".to_owned(), sockets)), "{told:?}");
        assert_eq!(told.len(), NAMES + 1);
    }

    #[test]
    fn a_name_is_told_for_each_unit_but_not_for_what_users_call_theirs() {
        let mut lingering = Lingering::default();
        for (cookie, path) in ["/system.slice/a.service", "/system.slice/b.service", USER, USER]
            .into_iter()
            .enumerate()
        {
            lingering.count(&linger(cookie as u64, "nginx", LingerStatus::Raised), || {
                Some(Arc::new(Cgroup::new(path.into(), None)))
            });
        }
        let counts = lingering.counts().into_iter();
        let told: Vec<_> = counts.map(|(_, labels, count)| (labels, count)).collect();
        let name = || label("process.name", "nginx");
        let unit = |name: &'static str| label("systemd.unit", name);
        let of_unit = |unit_name| (vec![name(), unit(unit_name)], 1);
        assert_eq!(told, [(vec![name()], 2), of_unit("a.service"), of_unit("b.service")]);
    }

    #[test]
    fn a_container_is_a_service_unless_a_user_has_made_it() {
        let party = |path: &str, container: Option<&str>| {
            Party::of(Some(&Cgroup::new(path.into(), container.map(Into::into))))
        };
        let path = "/kubepods.slice/cri-containerd-1.scope";
        assert!(!party(path, Some("1")).stranger);
        assert!(party("/user.slice/user-7.slice/docker-1.scope", Some("1")).stranger);
        assert!(party("/sub/docker-1.scope", Some("user-7/1")).stranger);
        assert!(Party::of(None).stranger);
    }
}
