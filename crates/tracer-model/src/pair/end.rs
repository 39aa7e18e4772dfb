//! A recording, connection by connection.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use tracer_event::{
    endpoint::{Endpoint, Tuple},
    header::Host,
    initial::InitialNumbers,
    sequence::Sequence,
    state::State,
    subject::{Role, Subject},
    update::{ConnectionSummary, OwnedUpdate, Reset, Retransmit, Segment, Transition},
};

/// Events of one recording that are looked at; further ones are counted.
const EVENTS: usize = 1_000_000;

/// What happened at an end, and when: nanoseconds since 1970 by the clock of its host.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub time: i64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A change of state.
    Transition(Box<Transition>),
    /// A segment was retransmitted.
    Retransmit(Box<Retransmit>),
    /// An RST.
    Reset(Box<Reset>),
    /// The connection as a whole.
    Connection(Box<ConnectionSummary>),
}

impl What {
    /// As sinks take it.
    pub fn into_update(self) -> OwnedUpdate {
        match self {
            Self::Transition(one) => OwnedUpdate::Transition(*one),
            Self::Retransmit(one) => OwnedUpdate::Retransmit(*one),
            Self::Reset(one) => OwnedUpdate::Reset(*one),
            Self::Connection(one) => OwnedUpdate::Connection(*one),
        }
    }
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Its addresses.
    pub tuple: Tuple,
    /// Which part it plays.
    pub role: Option<Role>,
    /// Initial number of this end, where known.
    pub local: Option<u32>,
    /// That of the peer.
    pub peer: Option<u32>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl End {
    /// Both numbers.
    pub fn numbers(&self) -> Option<InitialNumbers> {
        Some(InitialNumbers { local: self.local?, peer: self.peer? })
    }

    /// When it is heard of first.
    pub fn began(&self) -> i64 {
        self.events.first().map_or(0, |event| event.time)
    }

    /// When it is heard of last.
    pub fn ended(&self) -> i64 {
        self.events.last().map_or(0, |event| event.time)
    }

    /// Its changes of state.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = (i64, &Transition)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Transition(step) => Some((event.time, &**step)),
            _ => None,
        })
    }

    /// When it came to a state first.
    pub fn reached(&self, state: State) -> Option<i64> {
        self.steps().find(|(_, step)| step.to == state).map(|(time, _)| time)
    }

    /// Its state at the end of the recording.
    pub fn state(&self) -> Option<State> {
        self.steps().next_back().map(|(_, step)| step.to)
    }

    /// Its sequence numbers, with the time of each.
    pub fn sequences(&self) -> impl DoubleEndedIterator<Item = (i64, Sequence)> {
        self.steps().filter_map(|(time, step)| Some((time, step.sequence?)))
    }

    /// When it retransmitted a segment.
    pub fn retransmitted(&self, segment: Segment) -> impl DoubleEndedIterator<Item = i64> {
        self.events.iter().filter_map(move |event| match &event.what {
            What::Retransmit(one) if one.segment.r#type == segment => Some(event.time),
            _ => None,
        })
    }

    /// The RSTs of this socket.
    pub fn resets(&self) -> impl Iterator<Item = (i64, &Reset)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Reset(one) => Some((event.time, &**one)),
            _ => None,
        })
    }

    fn add(&mut self, time: i64, what: What) {
        match &what {
            What::Transition(step) => {
                if let Some(known) = step.handshake.as_ref().and_then(InitialNumbers::of) {
                    (self.local, self.peer) = (Some(known.local), Some(known.peer));
                } else if let (Some(sequence), Some(role)) = (step.sequence, step.subject.role) {
                    self.local = self.local.or(Some(sequence.local_initial(role)));
                    self.peer = self.peer.or(sequence.peer_initial());
                }
                self.role = step.subject.role.or(self.role);
            }
            What::Connection(whole) => {
                if let Some(known) = whole.handshake.as_ref().and_then(InitialNumbers::of) {
                    (self.local, self.peer) = (Some(known.local), Some(known.peer));
                }
            }
            What::Retransmit(one) if one.segment.r#type == Segment::SynAck => {
                self.local = self.local.or(one.segment.sequence);
                self.role = self.role.or(Some(Role::Server));
            }
            What::Retransmit(_) | What::Reset(_) => {}
        }
        let tuple = subject(&what).tuple;
        if tuple.peer.port != 0 {
            self.tuple = tuple;
        }
        self.events.push(Event { time, what });
    }
}

/// The socket of an event.
fn subject(what: &What) -> &Subject {
    match what {
        What::Transition(one) => &one.subject,
        What::Retransmit(one) => &one.subject,
        What::Reset(one) => &one.subject,
        What::Connection(one) => &one.subject,
    }
}

/// What tells sockets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Cookie(u64, u32),
    Ends(Tuple),
}

/// What one host has recorded.
#[derive(Debug, Default)]
pub struct Recording {
    /// Where.
    pub host: Option<Host>,
    /// When its clock stood at 0, nanoseconds since 1970: its boot, but for the time it slept.
    pub booted: i64,
    /// From when on.
    pub since: i64,
    /// Until when.
    pub until: i64,
    /// Nothing was lost, and it has an end.
    pub complete: bool,
    /// It holds whatever happens to a connection, not only what is wrong with it.
    pub whole: bool,
    /// All connections.
    pub ends: Vec<End>,
    /// RSTs that answered segments for no socket: when, by both ends.
    pub answers: HashMap<(Endpoint, Endpoint), Vec<i64>, RandomState>,
    /// Addresses and ports of this host.
    pub addresses: HashSet<Endpoint, RandomState>,
    /// Events that were not looked at, for there were too many.
    pub left_out: usize,
    places: HashMap<Key, usize, RandomState>,
    events: usize,
}

impl Recording {
    /// Of which nothing has been read: nothing is missing so far.
    pub fn new() -> Self {
        Self { complete: true, whole: true, ..Self::default() }
    }

    /// Its name: that of the host.
    pub fn name(&self) -> &str {
        self.host.as_ref().map_or("?", |host| &host.name)
    }

    /// Takes the next event, which happened at this time.
    pub fn add(&mut self, time: i64, update: &OwnedUpdate) {
        self.until = self.until.max(time);
        let what = match update {
            OwnedUpdate::Transition(one) => What::Transition(Box::new(*one)),
            OwnedUpdate::Retransmit(one) => What::Retransmit(Box::new(*one)),
            OwnedUpdate::Reset(one) => What::Reset(Box::new(*one)),
            OwnedUpdate::Connection(one) => What::Connection(Box::new(*one)),
            OwnedUpdate::Loss(loss) => {
                self.complete &= loss.healed;
                return;
            }
            OwnedUpdate::Linger(_) | OwnedUpdate::Finding(_) => return,
        };
        if self.events == EVENTS {
            self.left_out += 1;
            return;
        }
        self.events += 1;
        let about = *subject(&what);
        self.addresses.insert(about.tuple.local);
        if about.role == Some(Role::Listener) {
            return;
        }
        if about.ordinal == 0 {
            if matches!(&what, What::Reset(reset) if reset.segment.answers.is_some()) {
                let Tuple { local, peer, .. } = about.tuple;
                self.answers.entry((local, peer)).or_default().push(time);
            }
            return;
        }
        self.end(&about, &what).add(time, what);
    }

    /// The end that an event is about; a new one where addresses alone say which it is, and they
    /// begin anew.
    fn end(&mut self, about: &Subject, what: &What) -> &mut End {
        let key = match about.cookie {
            Some(cookie) => Key::Cookie(cookie, about.ordinal),
            None => Key::Ends(about.tuple),
        };
        let begins = matches!(what, What::Transition(step)
            if about.cookie.is_none() && matches!(step.from, State::Closed | State::Listen));
        let next = self.ends.len();
        let place = match self.places.get(&key) {
            Some(&place) if !begins => place,
            _ => {
                self.places.insert(key, next);
                next
            }
        };
        if place == next {
            let (local, peer, events) = (None, None, Vec::new());
            self.ends.push(End { tuple: about.tuple, role: about.role, local, peer, events });
        }
        &mut self.ends[place]
    }
}
