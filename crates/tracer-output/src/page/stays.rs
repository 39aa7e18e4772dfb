//! How long sockets stayed in CLOSE_WAIT and TIME_WAIT, by process and by peer.

use std::{fmt::Debug, hash::Hash};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use maud::{Markup, html};

use super::{
    groups::{Groups, Tally},
    html::{Bar, Frame, Ranking},
    peer::{named, peer},
    words::of_state,
};
use crate::text::{duration, grouped};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    process::Process,
    state::State,
    update::{LingerStatus, Subject, Transition, Update},
};

const SECOND: u64 = 1_000_000_000;
/// Sockets whose entry into the state is remembered at most; of others the time is not known.
const PRESENT: usize = 1 << 17;
/// Processes or peers listed for each state.
const GROUPS: usize = 1024;

/// The states that are timed.
pub(super) const STATES: [State; 2] = [State::CloseWait, State::TimeWait];

/// Upper bounds of the classes of time, nanoseconds; the last class has none.
const BOUNDS: [u64; 4] = [SECOND / 10, SECOND, 10 * SECOND, 60 * SECOND];
/// The classes, as people read them.
const CLASSES: [&str; 5] = ["under 0.1 s", "0.1 to 1 s", "1 to 10 s", "10 to 60 s", "60 s or more"];
const COLOURS: [&str; CLASSES.len()] = ["t0", "t1", "t2", "t3", "t4"];

/// The sockets of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stay {
    /// How many of them are still in the state.
    pub(super) still: u64,
    /// Longest time, nanoseconds.
    longest: u64,
    /// Number of sockets by class of time.
    classes: [u64; CLASSES.len()],
    /// Sum of the times by class of time, nanoseconds.
    times: [u64; CLASSES.len()],
    /// Process id, where it is one process.
    pid: Option<u32>,
}

impl Stay {
    fn one(time: u64, pid: Option<u32>, still: bool) -> Self {
        let class = BOUNDS.iter().filter(|bound| time >= **bound).count();
        let mut stay = Self { still: still.into(), longest: time, pid, ..Self::default() };
        (stay.classes[class], stay.times[class]) = (1, time);
        stay
    }

    /// Number of sockets.
    pub(super) fn sockets(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Sum of all times, nanoseconds.
    pub(super) fn total(&self) -> u64 {
        self.times.iter().fold(0, |sum, time| sum.saturating_add(*time))
    }
}

impl Tally for Stay {
    fn rank(&self) -> (u64, u64) {
        (self.total(), self.sockets())
    }

    fn merge(&mut self, other: &Self) {
        self.pid = other.pid.filter(|_| self.sockets() == 0 || self.pid == other.pid);
        self.still += other.still;
        self.longest = self.longest.max(other.longest);
        for class in 0..CLASSES.len() {
            self.classes[class] += other.classes[class];
            self.times[class] = self.times[class].saturating_add(other.times[class]);
        }
    }
}

/// Name of a process (`comm`), `None` where the owner is not known.
type Name = Option<[u8; 16]>;

/// The stays in one state.
#[derive(Clone, Debug, Default)]
pub(super) struct Stays {
    pub(super) by_process: Groups<Name, Stay, GROUPS>,
    pub(super) by_peer: Groups<Endpoint, Stay, GROUPS>,
    /// Number of sockets.
    pub(super) sockets: u64,
}

impl Stays {
    fn add(&mut self, (process, peer): Guest, time: u64, still: bool) {
        let (name, pid) = process.map(|process| (process.comm, process.pid)).unzip();
        self.by_process.entry(name).merge(&Stay::one(time, pid, still));
        self.by_peer.entry(peer).merge(&Stay::one(time, None, still));
        self.sockets += 1;
    }
}

/// The owner and the peer of a socket.
type Guest = (Option<Process>, Endpoint);

fn guest(subject: &Subject) -> Guest {
    (subject.owner.map(|owner| owner.process), peer(subject))
}

/// All stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests {
    /// Sockets that are in one of the states, and since when.
    present: HashMap<Tuple, (State, u64, Guest), RandomState>,
    left: [Stays; STATES.len()],
    /// Sockets whose entry was not remembered.
    pub(super) unknown: u64,
}

impl Guests {
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Linger(lingers) => {
                for linger in lingers.iter().filter(|one| one.status != LingerStatus::Cleared) {
                    let since = linger.time.saturating_sub(linger.age);
                    self.found(&linger.subject, linger.state, since);
                }
            }
            _ => {}
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { time, ref subject, from, to, elapsed, .. } = *transition;
        if from == to {
            return;
        }
        if let Some(index) = index(from) {
            let known = self.present.remove(&subject.tuple).filter(|(state, ..)| *state == from);
            let spent = known.map(|(_, since, _)| time.saturating_sub(since));
            // The owner may have become known meanwhile.
            let last = guest(subject);
            let guest =
                known.map_or(last, |(.., before)| if last.0.is_some() { last } else { before });
            self.left[index].add(guest, elapsed.or(spent).unwrap_or(0), false);
        }
        self.found(subject, to, time);
    }

    /// A socket has been in `state` since then, or longer; ignored if it is not one of [`STATES`].
    pub(super) fn found(&mut self, subject: &Subject, state: State, since: u64) {
        if index(state).is_none() || self.present.contains_key(&subject.tuple) {
            return;
        }
        if self.present.len() >= PRESENT {
            self.unknown += 1;
            return;
        }
        self.present.insert(subject.tuple, (state, since, guest(subject)));
    }

    /// The stays in each of [`STATES`] at `now`, including those that have not ended.
    pub(super) fn at(&self, now: u64) -> [Stays; STATES.len()] {
        let mut stays = self.left.clone();
        for (state, since, guest) in self.present.values() {
            if let Some(index) = index(*state) {
                stays[index].add(*guest, now.saturating_sub(*since), true);
            }
        }
        stays
    }

    /// Both states.
    pub(super) fn section(&self, frame: &Frame) -> Markup {
        let stays = self.at(frame.clock.now);
        let reading = "Which processes and peers had sockets in these states, and for how long. The \
                       length of a bar is the total time of its sockets, so that a few that stay count \
                       for more than many that pass; its colours show how long each stayed, the number \
                       how many there were. Sockets still in the state count with their time so far.";
        frame.section(
            "stays",
            "Time in CLOSE_WAIT and TIME_WAIT",
            reading,
            &html! {
                (frame.legend(COLOURS.into_iter().zip(CLASSES)))
                @for (state, stays) in STATES.into_iter().zip(&stays) {
                    h3 { (state.name()) }
                    p.reading { (frame.say(of_state(state))) }
                    (frame.unless(stays.sockets == 0, "No socket was in this state.", || both(stays, frame)))
                }
                @if self.unknown > 0 {
                    p { (not_timed(self.unknown, frame)) }
                }
            },
        )
    }
}

fn not_timed(sockets: u64, frame: &Frame) -> String {
    let number = grouped(sockets);
    let english = format_args!("{number} more sockets were not timed.");
    frame.worded("page-not-timed", &[("count", &number)], english)
}

fn index(state: State) -> Option<usize> {
    STATES.iter().position(|one| *one == state)
}

fn both(stays: &Stays, frame: &Frame) -> Markup {
    let process = |name: &Name, stay: &Stay| match name {
        Some(comm) => frame.process(comm, stay.pid),
        None => frame.say("unknown").into(),
    };
    let peer = |peer: &Endpoint, _: &Stay| {
        let named = named(*peer);
        match peer.port {
            0 => frame.worded("page-from", &[("peer", &named)], format_args!("from {named}")),
            _ => frame.worded("view-to", &[("address", &named)], format_args!("to {named}")),
        }
    };
    html! {
        div.halves {
            div { h4 { (frame.say("By process")) } (ranking("Process", &stays.by_process, process, frame)) }
            div { h4 { (frame.say("By peer")) } (ranking("Peer", &stays.by_peer, peer, frame)) }
        }
    }
}

fn ranking<K: Clone + Debug + Eq + Hash, const KEPT: usize>(
    what: &str,
    groups: &Groups<K, Stay, KEPT>,
    name: impl Fn(&K, &Stay) -> String,
    frame: &Frame,
) -> Markup {
    let sorted = groups.sorted();
    let full = sorted.first().map_or(0, |(_, stay)| stay.total()).max(groups.others.total());
    let mut bars: Vec<Bar> =
        sorted.into_iter().map(|(key, stay)| bar(name(key, stay), stay, frame)).collect();
    if groups.others.sockets() > 0 {
        bars.push(bar(frame.say("all others").into(), &groups.others, frame));
    }
    let columns =
        [&[what, "Sockets", "Still there", "Mean time", "Longest"][..], &CLASSES].concat();
    Ranking { bars, drawn: 10, full, marks: &[], table: ("Numbers", &columns, 0) }.draw(frame)
}

fn bar(name: String, stay: &Stay, frame: &Frame) -> Bar {
    let part = |index: usize| {
        let what = format!("{} {}", grouped(stay.classes[index]), frame.say(CLASSES[index]));
        (COLOURS[index], what, stay.times[index])
    };
    let counts = [stay.sockets(), stay.still].map(grouped);
    let times = [stay.total() / stay.sockets().max(1), stay.longest].map(duration);
    Bar {
        name,
        number: grouped(stay.sockets()),
        parts: (0..CLASSES.len()).map(part).collect(),
        cells: [&counts[..], &times, &stay.classes.map(grouped)].concat(),
    }
}
