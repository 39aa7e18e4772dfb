//! Any lives, interleaved, with losses, repetitions and disorder.

use std::collections::HashMap;

use proptest::{prelude::*, sample::Index};
use tracer_wire::{Record, kind};

use super::{
    fixture::{Fixture, options},
    lives::{Kernel, Life, Shape, Step},
};
use crate::table::Options;
use tracer_event::{
    state::State,
    update::{Source, Transition},
};

/// All ends that had to wait for a reset have been decided, nanoseconds.
const DECIDED: u64 = 105_000_000;
const LIVES: usize = 6;

/// Which life goes on, and how.
type Turn = (u8, u8);

/// What becomes of an event on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    IsLost,
    /// The guard tells it too.
    IsToldTwice,
    /// Only the guard tells it.
    IsCaught,
    /// It arrives after the next one, if that is of another socket.
    IsOvertaken,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::IsLost),
        1 => Just(Fate::IsToldTwice),
        1 => Just(Fate::IsCaught),
        1 => Just(Fate::IsOvertaken),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec((0..LIVES as u8, any::<u8>()), 1..80)
}

/// The host: several sockets, one clock.
struct Host {
    lives: Vec<Life>,
    now: u64,
    /// What has happened, for the reader of a failure.
    script: Vec<(u64, Step)>,
}

impl Host {
    fn new(kernel: Kernel) -> Self {
        let lives: Vec<Life> = (1..=LIVES as u64).map(|n| Life::new(n).on(kernel)).collect();
        Self { now: lives[0].now, lives, script: Vec::new() }
    }

    fn turn(&mut self, (which, how): Turn) -> Vec<Record> {
        let index = usize::from(which);
        let life = &mut self.lives[index];
        let choices = life.choices(index % 2 == 1);
        if choices.is_empty() {
            return Vec::new();
        }
        life.now = self.now;
        let step = choices[usize::from(how) % choices.len()];
        self.script.push((life.socket.cookie, step));
        let events = life.apply(step);
        self.now = life.now;
        events
    }

    fn truth(&self, shapes: &[Shape]) -> Vec<(u64, State)> {
        let there = self.lives.iter().filter(|life| shapes.contains(&life.shape));
        there.map(|life| (life.socket.cookie, life.state())).collect()
    }

    fn all(&self) -> Vec<&Life> {
        self.lives.iter().collect()
    }
}

const HASHED: &[Shape] = &[Shape::Full, Shape::Minisocket];

fn kernel(raw_children: bool) -> Kernel {
    Kernel { raw_children, ..Kernel::NEW }
}

fn suffer(events: &[Record], fates: &[Fate]) -> Vec<Record> {
    let mut arrived = Vec::new();
    let mut overtaken: Option<Record> = None;
    for (event, fate) in events.iter().zip(fates.iter().cycle()) {
        let caught = Record { kind: kind::STATE_CAUGHT, ..*event };
        let guarded = event.kind == kind::STATE;
        let waits = matches!(fate, Fate::IsOvertaken) && overtaken.is_none();
        let before = overtaken.take_if(|waiting| waiting.sk == event.sk);
        arrived.extend(before);
        match fate {
            Fate::IsLost => {}
            Fate::IsToldTwice if guarded => arrived.extend([*event, caught]),
            Fate::IsCaught if guarded => arrived.push(caught),
            _ if waits => {
                overtaken = Some(*event);
                continue;
            }
            _ => arrived.push(*event),
        }
        arrived.extend(overtaken.take());
    }
    arrived.extend(overtaken);
    arrived
}

/// What the tracepoint said, by time: no two events happen at one time.
fn edges(events: &[Record]) -> HashMap<u64, (State, State)> {
    let state = |number| State::from_kernel(number).unwrap();
    let edges = events.iter().filter(|e| matches!(e.kind, kind::STATE | kind::STATE_CAUGHT));
    edges.map(|e| (e.time_ns, (state(e.old_state), state(e.new_state)))).collect()
}

/// Takes away the edges that were reported; none may be reported twice or made up.
fn tick_off(
    edges: &mut HashMap<u64, (State, State)>,
    transitions: &[Transition],
) -> Result<(), TestCaseError> {
    for told in transitions.iter().filter(|told| told.source == Source::Tracepoint) {
        let edge = edges.remove(&told.time);
        prop_assert_eq!(
            edge,
            Some(told.kernel.map_or((told.from, told.to), |kernel| (kernel.from, kernel.to))),
            "{:?}",
            told
        );
    }
    Ok(())
}

/// Each transition begins where the one before ended, but for resyncs.
fn breaks(transitions: &[Transition]) -> usize {
    let mut states: HashMap<u64, State> = HashMap::new();
    let mut breaks = 0;
    for told in transitions {
        let before = states.insert(told.subject.cookie.unwrap(), told.to);
        let continues = before.is_none_or(|state| state == told.from || state == State::Closed);
        breaks += usize::from(!continues);
    }
    breaks
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Nothing lost: each event is one transition, and the table is right without a snapshot.
    #[test]
    fn lives_are_told_as_they_happen(turns in turns(), raw in any::<bool>()) {
        let mut host = Host::new(kernel(raw));
        let mut fixture = Fixture::new();
        let mut events = Vec::new();
        for turn in turns {
            for event in host.turn(turn) {
                fixture.ingest(&event);
                events.push(event);
                prop_assert!(fixture.table.len() <= LIVES);
            }
            fixture.until(host.now);
        }
        let full = |fixture: &Fixture| -> Vec<(u64, State)> {
            let sockets = fixture.sockets().into_iter();
            let minisockets = host.truth(&[Shape::Minisocket, Shape::Unhashed]);
            sockets.filter(|(id, _)| minisockets.iter().all(|(mini, _)| mini != id)).collect()
        };
        fixture.until(host.now + DECIDED);
        let mut expected = host.truth(&[Shape::Full]);
        // A raw copy of a listener is nobody before its next event, or a snapshot.
        expected.retain(|(id, _)| !host.lives[*id as usize - 1].is_raw_child());
        prop_assert_eq!(full(&fixture), expected, "{:?}", host.script);
        fixture.look(&host.all());
        prop_assert_eq!(fixture.sockets(), host.truth(HASHED), "{:?}", host.script);
        prop_assert_eq!(fixture.told.lost, 0, "{:?}", host.script);
        prop_assert_eq!(breaks(&fixture.told.transitions), 0);
        let mut edges = edges(&events);
        tick_off(&mut edges, &fixture.told.transitions)?;
        prop_assert!(edges.is_empty(), "never told: {:?}", edges);
    }

    /// Whatever was lost, reported twice or late: two snapshots put everything right.
    #[test]
    fn two_looks_heal_everything(
        turns in turns(),
        fates in prop::collection::vec(fates(), 1..100),
        raw in any::<bool>(),
    ) {
        let mut host = Host::new(kernel(raw));
        let events: Vec<Record> = turns.into_iter().flat_map(|turn| host.turn(turn)).collect();
        let arrived = suffer(&events, &fates);
        let mut fixture = Fixture::new();
        for event in &arrived {
            fixture.ingest(event);
            prop_assert!(fixture.table.len() <= LIVES);
        }
        fixture.until(host.now + DECIDED);
        fixture.look(&host.all());
        fixture.look(&host.all());
        prop_assert_eq!(fixture.sockets(), host.truth(HASHED), "{:?}", host.script);
        prop_assert!(breaks(&fixture.told.transitions) <= fixture.told.lost as usize);
        tick_off(&mut edges(&arrived), &fixture.told.transitions)?;
        let open = fixture.table.connections().map(|connection| connection.id.cookie());
        for cookie in open {
            let told = fixture.told.transitions.iter().rfind(|told| told.subject.cookie == cookie);
            let state = host.lives[cookie.unwrap() as usize - 1].state();
            // What a snapshot finds it finds without a word, after an end too.
            let right = told.is_none_or(|told| told.to == state || told.to == State::Closed);
            prop_assert!(right, "{:?}: {:?}", told, host.script);
        }
    }

    /// A snapshot is merged when events have gone on: it brings nothing back and loses nothing.
    #[test]
    fn a_look_that_is_merged_late_changes_nothing_that_the_events_told(
        turns in turns(),
        begins in any::<Index>(),
        lasts in 0..20usize,
        raw in any::<bool>(),
    ) {
        let mut host = Host::new(kernel(raw));
        let mut fixture = Fixture::new();
        let begins = begins.index(turns.len());
        let mut picture = None;
        for (position, turn) in turns.iter().enumerate() {
            if position == begins {
                fixture.now = host.now;
                fixture.table.expect_snapshot();
                picture = Some(fixture.picture(&host.all()));
                host.now += 20_000;
            }
            for event in host.turn(*turn) {
                fixture.ingest(&event);
            }
            if position == begins + lasts && let Some(picture) = picture.take() {
                fixture.merge(&picture);
            }
        }
        if let Some(picture) = picture {
            fixture.merge(&picture);
        }
        fixture.until(host.now + DECIDED);
        prop_assert_eq!(fixture.told.lost, 0, "{:?}", host.script);
        prop_assert_eq!(breaks(&fixture.told.transitions), 0);
        fixture.look(&host.all());
        prop_assert_eq!(fixture.sockets(), host.truth(HASHED), "{:?}", host.script);
        let inferred = fixture.told.transitions.iter().filter(|told| {
            told.source != Source::Tracepoint
                && !matches!(told.from, State::FinWait2 | State::TimeWait)
        });
        prop_assert_eq!(inferred.count(), 0, "{:?}", host.script);
    }

    /// A deadline that was served is over, and all of them together come to an end.
    #[test]
    fn deadlines_make_progress(turns in turns(), fates in prop::collection::vec(fates(), 1..100)) {
        let mut host = Host::new(Kernel::NEW);
        let thresholds = "syn-sent=1ms,established=2ms,close-wait=3ms,fin-wait2=5ms".parse().unwrap();
        let mut fixture = Fixture::with(Options { thresholds, ..options(250) });
        let events: Vec<Record> = turns.into_iter().flat_map(|turn| host.turn(turn)).collect();
        for event in &suffer(&events, &fates) {
            fixture.ingest(event);
            fixture.until(fixture.now);
            let next = fixture.table.next_deadline();
            prop_assert!(next.is_none_or(|next| next > fixture.now), "{:?} at {}", next, fixture.now);
        }
        let end = fixture.now + 100_000_000_000;
        let mut wakes = 0;
        while let Some(next) = fixture.table.next_deadline().filter(|next| *next < end) {
            prop_assert!(next > fixture.now);
            fixture.until(next);
            wakes += 1;
        }
        prop_assert!(wakes < LIVES * 40, "{} wakes", wakes);
    }
}
