//! Ends of connections by what they belong to: a unit of systemd, or a container and its pod.
//!
//! Users may start what they like under any name, so that what is theirs has no labels here; only
//! root can make up units and containers. Still there may be thousands of them in a day: a
//! workload has a place until another one needs it and it has been silent for an hour.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_event::{
    close::Reason,
    container::{Cgroup, PodName},
    escape::escape,
};

use super::family::{Family, Labels, Points, Unit, label, word};

/// Workloads that are shown; all others are called [`OTHER`].
const WORKLOADS: usize = 100;
/// A silent one keeps its place so long, nanoseconds.
const SILENCE: u64 = 3_600_000_000_000;
pub(super) const OTHER: &str = "other";

/// What a process belongs to. Of users' own processes, and of those of which it is not known,
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Workload {
    unit: Option<Arc<str>>,
    pod: Option<Arc<str>>,
    pod_name: Option<PodName>,
    container: Option<Arc<str>>,
}

impl Workload {
    /// Of a control group that no user has made.
    pub(super) fn of(group: &Cgroup) -> Self {
        let Cgroup { path: _, container, pod, pod_name, unit } = group;
        // A name may be of any characters; most need no escape, and are shared.
        let text = |text: &Option<Arc<str>>| {
            text.as_ref().map(|it| match escape(it.as_bytes()) {
                Cow::Borrowed(_) => Arc::clone(it),
                Cow::Owned(safe) => safe.into(),
            })
        };
        Self {
            unit: text(unit),
            pod: text(pod),
            // Made of letters that need no escape.
            pod_name: pod_name.clone(),
            container: text(container),
        }
    }

    fn other() -> Self {
        Self { unit: Some(OTHER.into()), ..Self::default() }
    }

    /// Those that there are.
    pub(super) fn labels(&self) -> Labels {
        let Self { unit, pod, pod_name, container } = self;
        let name = pod_name.as_ref().map(|pod| &pod.name);
        let namespace = pod_name.as_ref().map(|pod| &pod.namespace);
        [
            ("systemd.unit", unit.as_ref()),
            ("k8s.pod.uid", pod.as_ref()),
            ("k8s.pod.name", name),
            ("k8s.namespace.name", namespace),
            ("container.id", container.as_ref()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some(label(key, value?.to_string())))
        .collect()
    }
}

/// Ends by workload and reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Workloads {
    counts: HashMap<Workload, Counted, RandomState>,
    other: Closes,
}

type Closes = HashMap<Reason, u64, RandomState>;

#[derive(Clone, Debug, Default)]
struct Counted {
    closes: Closes,
    /// When the last one was counted.
    last: u64,
}

impl Workloads {
    /// Counts the end of a connection.
    pub(super) fn count(&mut self, workload: Workload, reason: Reason, now: u64) {
        if !self.counts.contains_key(&workload) && self.counts.len() >= WORKLOADS {
            let silent = self.counts.iter().min_by_key(|(_, counted)| counted.last);
            let silent = silent.filter(|(_, counted)| now.saturating_sub(counted.last) > SILENCE);
            let Some(silent) = silent.map(|(silent, _)| silent.clone()) else {
                *self.other.entry(reason).or_default() += 1;
                return;
            };
            self.counts.remove(&silent);
        }
        let counted = self.counts.entry(workload).or_default();
        counted.last = counted.last.max(now);
        *counted.closes.entry(reason).or_default() += 1;
    }

    pub(super) fn family(&self) -> Family {
        let of = |labels: Labels, closes: &Closes| {
            let one = move |(reason, &count): (&Reason, &u64)| {
                let reason = label("tcp.close.reason", word(reason));
                (labels.iter().cloned().chain([reason]).collect::<Labels>(), count)
            };
            closes.iter().map(one).collect::<Vec<_>>()
        };
        let known = self.counts.iter().flat_map(|(workload, it)| of(workload.labels(), &it.closes));
        let all = known.chain(of(Workload::other().labels(), &self.other));
        // A unit may be called as the others are.
        let mut points: BTreeMap<Labels, u64> = BTreeMap::new();
        all.for_each(|(labels, count)| *points.entry(labels).or_default() += count);
        Family {
            name: "tracer.workload.closes",
            unit: Unit::Of("{connection}"),
            help: "Ends of connections by systemd unit, or container and pod, and by reason",
            points: Points::Counter(points.into_iter().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(number: usize) -> Workload {
        Workload::of(&Cgroup::new(format!("/system.slice/{number:03}.service").into(), None))
    }

    fn counted(workloads: &Workloads) -> Vec<(String, u64)> {
        let Points::Counter(points) = workloads.family().points else { panic!("no counter") };
        let of_unit = |labels: &Labels| {
            let unit = labels.iter().find(|(key, _)| *key == "systemd.unit");
            unit.map_or(String::new(), |(_, value)| value.to_string())
        };
        points.iter().map(|(labels, count)| (of_unit(labels), *count)).collect()
    }

    #[test]
    fn workloads_have_a_bound_and_the_others_are_counted() {
        let mut workloads = Workloads::default();
        for number in 0..3 * WORKLOADS {
            workloads.count(unit(number), Reason::Graceful, number as u64);
        }
        let told = counted(&workloads);
        assert_eq!(told.len(), WORKLOADS + 1);
        assert!(told.contains(&("other".to_owned(), 2 * WORKLOADS as u64)), "{told:?}");
        assert_eq!(told.iter().map(|(_, count)| count).sum::<u64>(), 3 * WORKLOADS as u64);
    }

    #[test]
    fn a_silent_workload_makes_room_for_another_one() {
        let mut workloads = Workloads::default();
        (0..WORKLOADS).for_each(|number| workloads.count(unit(number), Reason::Graceful, 1));
        workloads.count(unit(0), Reason::Refused, SILENCE);
        workloads.count(unit(WORKLOADS), Reason::Graceful, SILENCE + 2);
        let told = counted(&workloads);
        assert!(told.contains(&("100.service".to_owned(), 1)), "{told:?}");
        assert!(!told.iter().any(|(unit, _)| unit == OTHER), "{told:?}");
        assert_eq!(told.iter().filter(|(unit, _)| unit == "000.service").count(), 2);
    }

    #[test]
    fn a_pod_is_named_by_its_uid_and_its_container() {
        let (uid, id) = ("0b6ff5e4-1c5d-4f52-8e0f-9f3c7d2f6a11", "3f".repeat(32));
        let path = format!("/kubepods/burstable/pod{uid}/{id}");
        let labels = Workload::of(&Cgroup::of(&path, |_| None)).labels();
        assert_eq!(labels, [label("k8s.pod.uid", uid), label("container.id", id.clone())]);
        let name = PodName { namespace: "shop".into(), name: "web-1".into() };
        let named = Cgroup::of(&path, |_| None).named(|_| Some(name));
        let names = [label("k8s.pod.name", "web-1"), label("k8s.namespace.name", "shop")];
        let [first, last] = labels.try_into().unwrap();
        assert_eq!(Workload::of(&named).labels(), [&[first][..], &names, &[last]].concat());
    }
}
