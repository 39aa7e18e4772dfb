use std::{cell::RefCell, collections::VecDeque};

use proptest::prelude::*;
use tracer_wire::{Plain as _, kind};

use super::*;

/// What a CPU does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Reserves a record of a socket, which it has locked from here on.
    Reserve(u64),
    /// Takes the time of the record reserved last that has none.
    Stamp,
    /// Finishes it, and gives the socket back.
    Submit,
}

/// An event on one CPU: its socket, and those of the softirq that interrupts it.
type Event = (u64, Vec<u64>);

/// A record in a queue.
#[derive(Clone, Debug)]
struct Slot {
    record: Record,
    is_finished: bool,
}

/// CPUs that act one at a time, by a clock that goes on with each step.
#[derive(Default)]
struct World {
    clock: u64,
    steps: Vec<VecDeque<Step>>,
    queues: Vec<VecDeque<Slot>>,
    /// Records that have been reserved and not finished: CPU, place from the end when all are there,
    /// socket.
    open: Vec<Vec<(usize, u64)>>,
    taken: Vec<usize>,
    /// The sockets' events in the order in which they happened.
    happened: Vec<(u64, u64)>,
}

impl World {
    fn new(cpus: &[Vec<Event>]) -> Self {
        let steps = cpus.iter().map(|events| events.iter().flat_map(steps).collect()).collect();
        let count = cpus.len();
        Self {
            steps,
            queues: vec![VecDeque::new(); count],
            open: vec![Vec::new(); count],
            taken: vec![0; count],
            ..Self::default()
        }
    }

    /// The CPUs that can go on: another may have the socket.
    fn movable(&self) -> Vec<usize> {
        let locked = |socket| self.open.iter().flatten().any(|(_, open)| *open == socket);
        let can = |cpu: &usize| match self.steps[*cpu].front() {
            Some(Step::Reserve(socket)) => !locked(*socket),
            next => next.is_some(),
        };
        (0..self.steps.len()).filter(can).collect()
    }

    fn step(&mut self, cpu: usize) {
        let Some(step) = self.steps[cpu].front().copied() else { return };
        self.steps[cpu].pop_front();
        self.clock += 1;
        match step {
            Step::Reserve(socket) => {
                self.open[cpu].push((self.taken[cpu] + self.queues[cpu].len(), socket));
                let record = Record { kind: kind::STATE, sk: socket, ..Record::EMPTY };
                self.queues[cpu].push_back(Slot { record, is_finished: false });
            }
            Step::Stamp => {
                let (place, socket) = *self.open[cpu].last().unwrap();
                self.queues[cpu][place - self.taken[cpu]].record.time_ns = self.clock;
                self.happened.push((socket, self.clock));
            }
            Step::Submit => {
                let (place, _) = self.open[cpu].pop().unwrap();
                self.queues[cpu][place - self.taken[cpu]].is_finished = true;
            }
        }
    }

    fn finish(&mut self) {
        while let [first, ..] = self.movable()[..] {
            self.step(first);
        }
        assert!(self.steps.iter().all(VecDeque::is_empty), "they wait for each other");
    }
}

/// The softirq interrupts between reserving and the taking of the time: the worst of moments.
fn steps((socket, nested): &Event) -> Vec<Step> {
    let inner =
        nested.iter().flat_map(|socket| [Step::Reserve(*socket), Step::Stamp, Step::Submit]);
    let begin = std::iter::once(Step::Reserve(*socket));
    begin.chain(inner).chain([Step::Stamp, Step::Submit]).collect()
}

/// Which of so many CPUs goes on; `None` where the reader does.
type Choose<'a> = &'a mut dyn FnMut(usize) -> Option<usize>;

/// Moves of the CPUs between any two looks of the reader.
struct Schedule<'a> {
    world: RefCell<World>,
    choose: RefCell<Choose<'a>>,
}

impl Schedule<'_> {
    fn go_on(&self) {
        let mut world = self.world.borrow_mut();
        loop {
            let movable = world.movable();
            if movable.is_empty() {
                return;
            }
            let Some(choice) = (*self.choose.borrow_mut())(movable.len()) else { return };
            world.step(movable[choice]);
        }
    }
}

struct Ring<'a>(&'a Schedule<'a>, usize);

impl Queue for Ring<'_> {
    fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        loop {
            self.0.go_on();
            let mut world = self.0.world.borrow_mut();
            let front = world.queues[self.1].pop_front_if(|slot| slot.is_finished);
            let Some(Slot { record, .. }) = front else { return };
            world.taken[self.1] += 1;
            drop(world);
            each(record.as_bytes());
        }
    }

    fn is_empty(&self) -> bool {
        self.0.go_on();
        self.0.world.borrow().queues[self.1].is_empty()
    }
}

/// Reads while the CPUs move as `choose` says, then the rest; checks order and completeness.
fn check(cpus: &[Vec<Event>], rounds: usize, choose: Choose<'_>) {
    let schedule = Schedule { world: RefCell::new(World::new(cpus)), choose: RefCell::new(choose) };
    let mut rings: Vec<_> = (0..cpus.len()).map(|cpu| Ring(&schedule, cpu)).collect();
    let (mut merge, mut told) = (Merge::default(), Vec::new());
    for round in 0..=rounds {
        if round == rounds {
            schedule.world.borrow_mut().finish();
        }
        schedule.go_on();
        let now = schedule.world.borrow().clock;
        assert_eq!(merge.gather(&mut rings, now, ROOM, |_| ()), 0);
        while merge.take(2, |record| told.push((record.sk, record.time_ns))) == 2 {}
        // With enough at hand a look leaves the queues alone; the next one does not.
        if round == rounds {
            merge.gather(&mut rings, now, ROOM, |_| ());
            while merge.take(2, |record| told.push((record.sk, record.time_ns))) == 2 {}
        }
        let complete = merge.complete_until();
        let world = schedule.world.borrow();
        let missing =
            world.happened.iter().find(|event| event.1 <= complete && !told.contains(event));
        assert_eq!(missing, None, "complete until {complete}, told {told:?}");
    }
    let happened = &schedule.world.borrow().happened;
    assert_eq!(told, *happened, "each once, in the order in which it happened");
}

/// Every way in which two CPUs and one round of reading can be interleaved.
#[test]
fn every_interleaving_of_two_cpus_is_told_in_order() {
    let cpus = [vec![(1, vec![2])], vec![(2, Vec::new())]];
    // Each choice, of so many: the reader or a CPU. The odometer goes through all of them.
    let (mut choices, mut runs) = (Vec::<(usize, usize)>::new(), 0);
    loop {
        let mut at = 0;
        check(&cpus, 1, &mut |movable| {
            if at == choices.len() {
                choices.push((0, movable));
            }
            let (choice, _) = choices[at];
            at += 1;
            choice.checked_sub(1)
        });
        runs += 1;
        choices.truncate(at);
        while choices.pop_if(|(choice, most)| choice == most).is_some() {}
        match choices.last_mut() {
            Some((last, _)) => *last += 1,
            None => break,
        }
    }
    assert!(runs > 30_000, "only {runs} interleavings");
}

fn event(sockets: u64) -> impl Strategy<Value = Event> {
    // A softirq leaves a socket alone that the process has locked.
    (0..sockets, prop::collection::vec(0..sockets, 0..3)).prop_map(|(socket, nested)| {
        (socket, nested.into_iter().map(|other| other + 100).collect())
    })
}

proptest! {
    /// Softirqs of one CPU and processes of another act on the same sockets.
    #[test]
    fn whatever_the_cpus_do_is_told_in_order(
        processes in prop::collection::vec(prop::collection::vec(event(3), 0..12), 1..4),
        others in prop::collection::vec((100_u64..103, Just(Vec::new())), 0..12),
        moves in prop::collection::vec(prop::option::weighted(0.8, 0_usize..5), 0..400),
        rounds in 1_usize..8,
    ) {
        let cpus: Vec<_> = processes.into_iter().chain([others]).collect();
        let mut moves = moves.into_iter();
        check(&cpus, rounds, &mut |count| moves.next().flatten().map(|cpu| cpu % count));
    }
}

#[test]
fn a_record_that_is_not_finished_holds_up_what_is_later() {
    let mut world = World::new(&[vec![(1, Vec::new())], vec![(2, Vec::new())]]);
    world.step(0);
    (0..3).for_each(|_| world.step(1));
    let mut none = |_| None;
    let schedule = Schedule { world: RefCell::new(world), choose: RefCell::new(&mut none) };
    let mut rings = [Ring(&schedule, 0), Ring(&schedule, 1)];
    let mut merge = Merge::default();
    merge.gather(&mut rings, 4, ROOM, |_| ());
    assert_eq!((merge.take(9, |_| ()), merge.complete_until(), merge.first()), (0, 0, Some(3)));
    schedule.world.borrow_mut().finish();
    merge.gather(&mut rings, 6, ROOM, |_| ());
    assert_eq!((merge.take(9, |_| ()), merge.complete_until(), merge.first()), (2, 6, None));
}

#[test]
fn damaged_items_are_counted() {
    struct Once(Option<Vec<u8>>);
    impl Queue for Once {
        fn drain(&mut self, mut each: impl FnMut(&[u8])) {
            if let Some(item) = self.0.take() {
                each(&item);
            }
        }
        fn is_empty(&self) -> bool {
            self.0.is_none()
        }
    }
    let mut merge = Merge::default();
    assert_eq!(merge.gather(&mut [Once(Some(vec![0; 7]))], 1, ROOM, |_| ()), 1);
}
