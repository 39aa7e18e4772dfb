//! Events that no program was shown: any subset of those of both ends of a connection.
//!
//! What was reported by the tracepoint and what is counted as unseen is together what the kernel
//! did: never more, and less only where that is said, or where nothing was ever seen of a
//! connection.

mod cases;

use rstest::rstest;
use tracer_wire::{Record, flag, kind};

use super::{
    fixture::{Fixture, Told, options},
    lives::{Life, MILLISECOND, Shape, Step, address},
};
use crate::table::Options;
use Step::*;
use tracer_event::{state::State, update::Source};

/// Which end does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The client.
    C,
    /// The server's end.
    S,
}
use Who::{C, S};

type Script = [(Who, Step)];

const OPEN: &Script = &[(C, Connect), (S, Syn), (C, Established), (S, Ack), (S, Accept)];
/// close(), close(): the client's end is an orphaned minisocket before the server's FIN.
const CLOSE: &Script =
    &[(C, Close), (S, PeerFin), (C, FinAcked), (S, Close), (C, PeerFin), (S, FinAcked)];
const HALF_CLOSE: &Script =
    &[(C, ShutdownWrite), (S, PeerFin), (C, FinAcked), (S, Close), (C, PeerFin), (S, FinAcked)];
/// On loopback the ACK of the last FIN arrives before its sender has changed its state.
const ACK_FIRST: &Script =
    &[(C, ShutdownWrite), (S, PeerFin), (C, FinAcked), (S, Close), (S, FinAcked), (C, PeerFin)];
const SERVER_FIRST: &Script =
    &[(S, ShutdownWrite), (C, PeerFin), (S, FinAcked), (C, Close), (S, PeerFin), (C, FinAcked)];
const BOTH_AT_ONCE: &Script = &[
    (C, ShutdownWrite),
    (S, ShutdownWrite),
    (C, PeerFin),
    (S, PeerFin),
    (C, FinAcked),
    (S, FinAcked),
];
const RESET: &Script = &[(S, LingerZero), (S, Close), (C, PeerReset)];
const RESET_OF_HALF_CLOSED: &Script =
    &[(C, Close), (S, PeerFin), (S, LingerZero), (S, Close), (C, PeerReset)];
const HELD: &Script = &[(C, ShutdownWrite), (S, PeerFin), (C, FinAcked)];

/// What has become of the client's TIME_WAIT when the next snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    There,
    Gone,
    /// Its addresses are used by another connection.
    Replaced,
}

/// What is known of one end of a story.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    events: usize,
    /// Its state after the last event that was shown.
    last_shown: Option<State>,
    /// Two events in a row are hidden that SYN_RECV might have left out.
    shortcut: bool,
    /// The last event is hidden.
    is_end_hidden: bool,
    /// It is in the next snapshot.
    is_there: bool,
    /// It has closed in order, as an event or the snapshot shows.
    shows_order: bool,
}

impl End {
    /// Nothing of it was ever seen.
    fn is_unseen(&self) -> bool {
        self.last_shown.is_none() && !self.is_there
    }

    /// More may have happened than is counted.
    fn is_doubtful(&self, far: &Self) -> bool {
        let is_gone = self.last_shown.is_some() && self.is_end_hidden && !self.is_there;
        let ends_in_several_ways = match self.last_shown {
            // Its port is not known yet, nor which its peer is.
            Some(State::SynSent) => true,
            Some(State::Established | State::CloseWait | State::FinWait1) => !far.shows_order,
            _ => false,
        };
        self.shortcut || is_gone && ends_in_several_ways
    }
}

/// What came of a story.
#[derive(Debug)]
struct Outcome {
    /// State changes of the kernel.
    events: usize,
    shown: usize,
    told: usize,
    unseen: usize,
    at_least: bool,
    ends: [End; 2],
    lines: Vec<String>,
}

impl Outcome {
    fn counted(&self) -> usize {
        self.told + self.unseen
    }

    fn is_doubtful(&self) -> bool {
        let [client, server] = &self.ends;
        client.is_doubtful(server) || server.is_doubtful(client)
    }
}

struct Host {
    fixture: Fixture,
    lives: [Life; 2],
    listener: Life,
}

impl Host {
    fn new() -> Self {
        let here = address("127.0.0.1");
        let client = Life::new(1).between(here, here);
        let server = Life::new(2).with_ports(80, 30_101).between(here, here);
        let (lives, listener) = ([client, server], Life::new(9));
        let mut host = Self { fixture: Fixture::new(), lives, listener };
        host.fixture.play(&mut host.listener, &[Listen]);
        host.look();
        host.fixture.told = Told::default();
        host
    }

    /// Plays a story of which the events are hidden whose bits are set in `hidden`.
    fn play(&mut self, story: &Script, hidden: u32) -> Outcome {
        let (mut events, mut shown, mut ends) = (0, 0, [End::default(); 2]);
        for &(who, step) in story {
            let (life, end) = (&mut self.lives[who as usize], &mut ends[who as usize]);
            life.now = life.now.max(self.fixture.now);
            for record in life.apply(step) {
                let is_change = record.kind == kind::STATE;
                let is_hidden = is_change && hidden & 1 << events != 0;
                events += usize::from(is_change);
                shown += usize::from(is_change && !is_hidden);
                if is_change {
                    end.note(&record, is_hidden);
                }
                if !is_hidden {
                    self.fixture.ingest(&record);
                }
            }
            self.fixture.until(life.now);
        }
        let (told, unseen, at_least) = (0, 0, false);
        Outcome { events, shown, told, unseen, at_least, ends, lines: Vec::new() }
    }

    fn look(&mut self) {
        let [client, server] = &self.lives;
        self.fixture.look(&[&self.listener, client, server]);
    }

    /// The whole of it: events, then as many snapshots as it takes.
    fn tell(mut self, story: &Script, hidden: u32, rest: Rest) -> Outcome {
        let mut outcome = self.play(story, hidden);
        self.fixture.until(self.fixture.now + 105_000_000);
        if rest != Rest::There {
            self.fixture.play_unseen(&mut self.lives[0], &[Gone]);
        }
        for (end, life) in outcome.ends.iter_mut().zip(&self.lives) {
            end.is_there = life.shape != Shape::Unhashed;
            end.shows_order |= life.shape == Shape::Minisocket && life.state() == State::TimeWait;
        }
        if rest == Rest::Replaced {
            let here = address("127.0.0.1");
            self.lives[0] = Life::new(3).with_ports(30_101, 80).between(here, here);
            let next = self.play(&[(C, Connect), (C, Established)], 0);
            outcome.events += next.events;
            outcome.shown += next.shown;
        }
        for _ in 0..3 {
            self.look();
        }
        let told = &mut self.fixture.told;
        let by_event = told.transitions.iter().filter(|told| told.source == Source::Tracepoint);
        outcome.told = by_event.count();
        (outcome.unseen, outcome.at_least) = (told.lost as usize, told.at_least);
        outcome.lines = told.take();
        outcome
    }
}

impl End {
    fn note(&mut self, record: &Record, is_hidden: bool) {
        let (from, to) = (record.old_state, record.new_state);
        self.events += 1;
        self.shortcut |=
            self.last_shown == Some(State::SynRecv) && is_hidden && from != State::SynRecv as u8;
        self.is_end_hidden = is_hidden;
        if !is_hidden {
            self.last_shown = State::from_kernel(to);
            self.shows_order = to == State::Closed as u8
                && (from == State::LastAck as u8 || record.has(flag::DONE))
                && record.error == 0
                && from != State::CloseWait as u8;
        }
    }
}

fn events(story: &Script) -> u32 {
    Host::new().play(story, 0).events as u32
}

/// Each hidden subset of each story: the sum is right, or it is one of the patterns for which
/// nothing can be proven (docs/losses.md).
#[rstest]
fn what_is_told_and_what_is_counted_is_what_the_kernel_did(
    #[values(
        CLOSE,
        HALF_CLOSE,
        ACK_FIRST,
        SERVER_FIRST,
        BOTH_AT_ONCE,
        RESET,
        RESET_OF_HALF_CLOSED,
        HELD
    )]
    end: &Script,
    #[values(Rest::There, Rest::Gone, Rest::Replaced)] rest: Rest,
) {
    let story = [OPEN, end].concat();
    if rest != Rest::There && end == HELD {
        return;
    }
    for hidden in 0..1 << events(&story) {
        let outcome = Host::new().tell(&story, hidden, rest);
        assert_eq!(outcome.told, outcome.shown, "{hidden:b}: {outcome:#?}");
        let unseen = outcome.ends.iter().filter(|end| end.is_unseen());
        let most = outcome.events - unseen.map(|end| end.events).sum::<usize>();
        assert!(outcome.counted() <= most, "{hidden:b}: {outcome:#?}");
        assert_eq!(outcome.at_least, outcome.is_doubtful(), "{hidden:b}: {outcome:#?}");
        if !outcome.at_least {
            assert_eq!(outcome.counted(), most, "{hidden:b}: {outcome:#?}");
        }
    }
}
