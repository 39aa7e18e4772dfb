//! Events that no program was shown: any subset of those of both ends of a connection.
//!
//! What was reported by the tracepoint and what is counted as unseen is together what the kernel
//! did: never more, and less only where that is said, or where nothing was ever seen of a
//! connection.

use rstest::rstest;
use tracer_wire::{Record, flag, kind};

use super::{
    fixture::{Fixture, Told, options},
    lives::{Life, MILLISECOND, Shape, Step, address},
};
use crate::model::{state::State, table::Options, update::Source};
use Step::*;

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

/// Two hidden events and a TIME_WAIT that was used again before the next snapshot.
#[test]
fn the_far_end_proves_that_a_connection_was_closed_in_order() {
    let story = [OPEN, CLOSE].concat();
    // FIN_WAIT1 → FIN_WAIT2 → CLOSED of the client.
    let outcome = Host::new().tell(&story, 0b00_1100_0000, Rest::Replaced);
    let expected = [
        "ESTABLISHED>FIN_WAIT1",
        "ESTABLISHED>CLOSE_WAIT",
        "CLOSE_WAIT>LAST_ACK",
        "LAST_ACK>CLOSED Graceful by Peer",
        "story: Graceful by Peer",
        "CLOSED>SYN_SENT",
        "SYN_SENT>ESTABLISHED",
        "FIN_WAIT1>FIN_WAIT2 [Inferred]",
        "FIN_WAIT2>TIME_WAIT [Inferred]",
        "story: Graceful by Local [Inferred]",
        "TIME_WAIT>CLOSED [Snapshot] Graceful by Local",
        "lost 2 Unseen",
    ];
    assert_eq!(outcome.lines[4..], expected);
}

#[test]
fn losses_of_one_moment_are_one() {
    let mut fixture = Fixture::new();
    let mut lives: Vec<Life> = (1..=100).map(Life::new).collect();
    for life in &mut lives {
        fixture.play(life, &[Connect, Established]);
        fixture.play_unseen(life, &[PeerFin]);
    }
    fixture.told.take();
    fixture.look(&lives.iter().collect::<Vec<_>>());
    let lines = fixture.told.take();
    assert_eq!((lines.len(), &*lines[100]), (101, "lost 100 Unseen"));
    for life in &mut lives {
        fixture.play_unseen(life, &[Close]);
        fixture.now -= 2 * MILLISECOND;
    }
    let events: Vec<Record> =
        lines.iter().zip(&mut lives).flat_map(|(_, l)| l.apply(FinAcked)).collect();
    events.iter().for_each(|event| fixture.ingest(event));
    fixture.until(fixture.now);
    let lines = fixture.told.take();
    assert_eq!(lines.last().map(|line| &**line), Some("lost 100 Unseen"));
    assert_eq!(lines.iter().filter(|line| line.starts_with("lost")).count(), 1);
}

/// The ring buffer was full: that is counted once, whoever finds it out.
#[test]
fn what_is_counted_as_lost_is_not_counted_as_unseen() {
    let mut fixture = Fixture::new();
    let mut life = Life::new(1);
    fixture.play(&mut life, &[Connect, Established]);
    fixture.told.take();
    fixture.table.note_lost(3);
    fixture.play_unseen(&mut life, &[PeerFin]);
    fixture.look(&[&life]);
    assert_eq!(fixture.told.take(), ["ESTABLISHED>CLOSE_WAIT [Snapshot]"]);
    fixture.play_unseen(&mut life, &[Close, FinAcked]);
    for _ in 0..2 {
        fixture.look(&[]);
    }
    assert_eq!(fixture.told.lost, 0);
    // What leaves no trace in several snapshots never will: the next one is another.
    let mut lives: Vec<Life> = (2..5).map(Life::new).collect();
    for next in 0..lives.len() {
        fixture.play(&mut lives[next], &[Connect, Established]);
        fixture.play_unseen(&mut lives[next], &[PeerFin]);
        fixture.look(&lives.iter().collect::<Vec<_>>());
    }
    assert_eq!(fixture.told.lost, 2);
}

/// connect() chooses a port after its event; meanwhile a snapshot shows the TIME_WAIT that has it.
#[rstest]
#[case::during_the_snapshot(true)]
#[case::before_the_snapshot(false)]
fn a_time_wait_that_is_about_to_be_replaced_is_no_new_one(#[case] during: bool) {
    let mut fixture = Fixture::new();
    let mut old = Life::new(1).with_ports(7_000, 80);
    fixture.play(&mut old, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    fixture.now += 1_000 * MILLISECOND;
    fixture.look(&[&old]);
    fixture.told.take();
    let mut next = Life::new(2).with_ports(7_000, 80);
    if during {
        fixture.table.expect_snapshot();
    }
    fixture.play(&mut next, &[Connect]);
    fixture.table.expect_snapshot();
    let snapshot = fixture.picture(&[&old]);
    fixture.play(&mut next, &[Established]);
    fixture.merge(&snapshot);
    fixture.look(&[&next]);
    let lines = [
        "TIME_WAIT>CLOSED [Inferred] Graceful by Local",
        "CLOSED>SYN_SENT",
        "SYN_SENT>ESTABLISHED",
    ];
    assert_eq!(fixture.told.take(), lines);
    assert_eq!(fixture.sockets(), [(2, State::Established)]);
}

/// A minisocket that such a snapshot leaves out is neither gone nor, when it is there again, new.
#[test]
fn where_snapshots_may_skip_sockets_one_of_them_proves_nothing() {
    let mut fixture = Fixture::with(Options { snapshots_skip: true, ..options(250) });
    let (mut before, mut mini, mut born) = (Life::new(1), Life::new(2), Life::new(3));
    fixture.play_unseen(&mut before, &[Connect, Established]);
    fixture.look(&[]);
    fixture.play(&mut mini, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    fixture.told.take();
    fixture.look(&[&before]);
    fixture.look(&[&before, &mini]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play_unseen(&mut born, &[Connect, Established]);
    fixture.look(&[&before, &mini, &born]);
    let lines = ["CLOSED>SYN_SENT [Inferred]", "SYN_SENT>ESTABLISHED [Inferred]", "lost 2 Unseen"];
    assert_eq!(fixture.told.take(), lines);
}

#[rstest]
#[case::server(Life::new(1), &[Syn, Ack], &[PeerFin], &[
    "LISTEN>SYN_RECV [Inferred]",
    "SYN_RECV>ESTABLISHED [Inferred]",
    "ESTABLISHED>CLOSE_WAIT",
    "lost 2 Unseen",
])]
#[case::client(Life::new(1), &[Connect, Established, Close], &[PeerReset], &[
    "RST Received in FIN_WAIT1",
    "CLOSED>SYN_SENT [Inferred]",
    "SYN_SENT>ESTABLISHED [Inferred]",
    "ESTABLISHED>FIN_WAIT1 [Inferred]",
    "lost 3 Unseen",
    "FIN_WAIT1>CLOSED ResetReceived by Local",
    "story: ResetReceived by Local",
])]
fn a_socket_whose_birth_was_hidden_is_known_by_its_next_event(
    #[case] mut life: Life,
    #[case] hidden: &[Step],
    #[case] shown: &[Step],
    #[case] lines: &[&str],
) {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(9);
    fixture.play(&mut listener, &[Listen]);
    fixture.look(&[&listener]);
    fixture.told.take();
    fixture.play_unseen(&mut life, hidden);
    fixture.play(&mut life, shown);
    fixture.until(fixture.now + 105 * MILLISECOND);
    assert_eq!(fixture.told.take(), lines);
}
