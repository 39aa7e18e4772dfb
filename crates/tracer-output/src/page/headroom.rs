//! How many ephemeral ports each destination takes, of how many.

use std::{collections::BTreeMap, fmt::Display};

use maud::{Markup, html};

use super::{
    groups::{Groups, Tally},
    html::{Bar, Frame, Ranking},
};
use crate::text::grouped;
use tracer_event::{
    endpoint::Tuple,
    finding::{PortUse, Problem, Scope},
    state::State,
    update::{Role, Subject, Update},
};
use tracer_model::{diagnosis::HostSnapshot, ports, time_wait::Ticks};

/// Destinations counted one by one.
const DESTINATIONS: usize = 2048;
/// The width of the chart: the whole range of ports.
const FULL: u64 = 10_000;
/// The shares from which on `tracer diagnose` warns, and calls it critical.
const MARKS: [f64; 2] = [0.5, 0.9];

/// A network namespace and the connections from there that share the range of ports.
type Destination = (u32, Scope);

/// Ports taken towards one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    now: u32,
    /// The most at one time.
    pub(super) most: u32,
    /// When that was, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) at: u64,
}

impl Taken {
    fn reach(&mut self, used: u32, time: u64) {
        if used > self.most {
            (self.most, self.at) = (used, time);
        }
    }
}

impl Tally for Taken {
    fn rank(&self) -> (u64, u64) {
        (self.most.into(), 0)
    }

    fn merge(&mut self, other: &Self) {
        self.most = self.most.saturating_add(other.most);
    }
}

/// Ports of all destinations.
#[derive(Clone, Debug, Default)]
pub(super) struct Headroom {
    pub(super) taken: Groups<Destination, Taken, DESTINATIONS>,
    /// Size of the range of ephemeral ports, by network namespace, where known.
    sizes: BTreeMap<u32, u32>,
}

impl Headroom {
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(step) if step.subject.tuple.local.port != 0 => {
                let key = destination(&step.subject);
                if step.to == State::SynSent {
                    let taken = self.taken.entry(key);
                    taken.now += 1;
                    taken.reach(taken.now, step.time);
                }
                // TIME_WAIT keeps the port.
                if (step.to, step.subject.role) == (State::Closed, Some(Role::Client))
                    && let Some(taken) = self.taken.get_mut(&key)
                {
                    taken.now = taken.now.saturating_sub(1);
                }
            }
            Update::Finding(finding) => match &finding.problem {
                Problem::EphemeralPorts(used) => self.used(used, finding.time),
                Problem::NoLocalPort(failures) => {
                    self.sizes.extend(failures.size.map(|size| (finding.netns, size)));
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Takes connections that were there before, and the number of ports, from a snapshot of the
    /// host.
    pub(super) fn read(
        &mut self,
        look: &HostSnapshot,
        ticks: Ticks,
        wanted: impl Fn(&PortUse) -> bool,
    ) {
        let namespaces = look.host.namespaces.iter();
        let known = namespaces.filter_map(|(netns, facts)| Some((*netns, facts.ports.as_ref()?)));
        self.sizes.extend(known.map(|(netns, range)| (netns, range.size())));
        let usage = ports::usage(&look.snapshot.records, &look.host, ticks);
        for one in usage.iter().filter(|one| wanted(one)) {
            self.used(one, look.snapshot.begun);
        }
    }

    fn used(&mut self, ports: &PortUse, time: u64) {
        let PortUse { netns, scope, size, used, .. } = *ports;
        self.sizes.insert(netns, size);
        self.taken.entry((netns, scope)).reach(used, time);
    }

    /// Destinations with most ports.
    pub(super) fn section(&self, frame: &Frame) -> Markup {
        let taken = self.taken.sorted().into_iter().filter(|(_, taken)| taken.most > 0);
        let bars: Vec<Bar> = taken
            .map(|(key, taken)| bar(*key, taken, self.sizes.get(&key.0).copied(), frame))
            .collect();
        let empty = bars.is_empty();
        let columns = ["From → to", "Peak", "At", "Left then", "Range", "Network namespace"];
        let table = ("Numbers", &columns[..], 0);
        let ranking = Ranking { bars, drawn: 10, full: FULL, marks: &MARKS, table };
        let reading = "The most local ports in use at one time towards each destination, including \
                       TIME_WAIT, out of those available (ip_local_port_range). The lines mark 50 % \
                       and 90 %; when no port is left, connect() fails. Destinations do not compete: \
                       each has the whole range.";
        let unlisted = u64::from(self.taken.others.most);
        frame.section(
            "headroom",
            "Ephemeral ports",
            reading,
            &html! {
                (frame.unless(empty, "There were no outgoing connections.", || html! {
                    (frame.legend([("good", "under 50 %"), ("broken", "from 50 %"), ("bad", "from 90 %")]))
                    (ranking.draw(frame))
                }))
                @if unlisted > 0 {
                    p { (elsewhere(unlisted, frame)) }
                }
            },
        )
    }
}

fn elsewhere(connections: u64, frame: &Frame) -> String {
    let number = grouped(connections);
    let english = format_args!("{number} connections went to destinations that are not listed.");
    frame.worded("page-elsewhere", &[("count", &number)], english)
}

fn destination(subject: &Subject) -> Destination {
    let Tuple { local, peer, netns } = subject.tuple;
    (netns, Scope::Destination { local: local.with_port(0), peer })
}

fn bar((netns, scope): Destination, taken: &Taken, size: Option<u32>, frame: &Frame) -> Bar {
    let number = |number: u32| grouped(number.into());
    let most = number(taken.most);
    let share = size.map(|size| (u64::from(taken.most) * FULL / u64::from(size.max(1))).min(FULL));
    let class = match share {
        None | Some(..5_000) => "good",
        Some(5_000..9_000) => "broken",
        Some(_) => "bad",
    };
    let of = match size {
        Some(size) => {
            let size = number(size);
            let values: [(&str, &dyn Display); 2] = [("most", &most), ("size", &size)];
            frame.worded("page-of", &values, format_args!("{most} of {size}"))
        }
        None => format!("{most}, {}", frame.say("range unknown")),
    };
    let known = |value: Option<u32>| value.map_or_else(|| frame.say("unknown").into(), number);
    let left = size.map(|size| size.saturating_sub(taken.most));
    Bar {
        name: match scope {
            Scope::Destination { local, peer } => format!("{} → {peer}", local.address()),
            Scope::Address(local) => {
                format!("{} → {}", local.address(), frame.say("anywhere (bind() first)"))
            }
        },
        // Even a little is visible.
        parts: vec![(class, of.clone(), share.map_or(0, |share| share.max(30)))],
        number: of,
        cells: vec![most, frame.time(taken.at), known(left), known(size), netns.to_string()],
    }
}
