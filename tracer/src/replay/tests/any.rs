//! Anything that can be told.

mod doing;
mod findings;
mod pods;

use std::sync::Arc;

use proptest::{option, prelude::*, sample::select};

use tracer_wire::Record;

use self::{
    findings::{cause, finding, listener},
    pods::of_pod,
};
use super::super::decode::OwnedUpdate;
use tracer_event::{
    close::{Initiator, Reason},
    container::Cgroup,
    endpoint::{Endpoint, Tuple},
    enricher::Enricher,
    escape::escape,
    header::{Degraded, Header, Host, Mode, OfFile, Partial},
    icmp::{Errno, Icmp, Origin},
    linger::{CloseWaitCause, LingerCause},
    process::{Evidence, Owner, Parent, Process},
    reset::ResetReason,
    stack::{Creator, Frame, Gap, Stack, StackId},
    state::State,
    update::{
        Answered, Close, ConnectionSummary, Direction, Edge, Handshake, Linger, LingerStatus, Loss,
        LossPlace, Reset, Retransmit, Retransmitted, Role, Rst, Segment, Sequence, Source, Subject,
        Transition,
    },
};

pub(super) fn header() -> Header {
    Header {
        version: "1.2.3".into(),
        kernel: "6.18.0".into(),
        mode: Mode::Btf,
        degraded: vec![Degraded {
            feature: "accept".into(),
            lost: "owners".into(),
            reason: "no \"tracefs\"".into(),
            remedy: "mount it".into(),
        }],
        options: vec!["--comm".into(), r"a\x1b\\b".into()],
        host: Some(Host { name: r"web\x1b-1".into(), boot_id: Some("0d3c".into()) }),
        file: Some(OfFile { sequence: 3, opened: super::CLOCK.at(7) }),
        partial: Some(Partial::Filter),
    }
}

/// Bytes that somebody chose, many of them with a meaning to somebody.
fn bytes(most: usize) -> BoxedStrategy<Vec<u8>> {
    let evil = select(vec![
        b"\x1b[2J".to_vec(),
        b"\x1b]0;title\x07".to_vec(),
        b"a\nb".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\\x1b".to_vec(),
        b"\\\\".to_vec(),
        "\u{9b}31m".into(),
        "\u{202e}txt".into(),
        b"\"quote\"".to_vec(),
        "gr\u{f6}\u{df}e".into(),
        b"\x7f\x08".to_vec(),
    ]);
    let plain = "[a-z/.:-]{1,12}".prop_map(String::into_bytes);
    prop_oneof![evil, plain, prop::collection::vec(any::<u8>(), 0..most)]
        .prop_map(move |mut b| {
            b.truncate(most);
            b
        })
        .boxed()
}

/// As whoever looks things up makes it.
fn safe() -> BoxedStrategy<Arc<str>> {
    bytes(40).prop_map(|bytes| Arc::from(&*escape(&bytes))).boxed()
}

/// A time and those shortly after.
fn time() -> BoxedStrategy<u64> {
    prop_oneof![0..9_000_000_000_000_000_u64, 1_000_000_000_u64..1_000_000_009].boxed()
}

fn state() -> BoxedStrategy<State> {
    select(State::ALL.to_vec()).boxed()
}

fn end() -> BoxedStrategy<Endpoint> {
    (any::<std::net::IpAddr>(), any::<u16>())
        .prop_map(|(address, port)| Endpoint::new(address, port))
        .boxed()
}

fn process() -> BoxedStrategy<Process> {
    (any::<u32>(), bytes(16), any::<u64>())
        .prop_map(|(pid, name, start_ns)| {
            // Padding is no part of a name.
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let mut comm = [0; 16];
            comm[..name.len()].copy_from_slice(name);
            Process { pid, comm, start_ns }
        })
        .boxed()
}

fn owner() -> BoxedStrategy<Owner> {
    use Evidence::{Accept, Close, Connect, Listen, Listener, TaskFile};
    let evidence = select(vec![Connect, Listen, Accept, Close, TaskFile, Listener]);
    (process(), evidence, any::<Option<u32>>(), 0..3_u32)
        .prop_map(|(process, evidence, fd, others)| Owner { process, evidence, fd, others })
        .boxed()
}

fn role() -> BoxedStrategy<Option<Role>> {
    option::of(select(vec![Role::Client, Role::Server, Role::Listener])).boxed()
}

fn subject() -> BoxedStrategy<Subject> {
    let numbers = (any::<Option<u64>>(), 1..5_u32, any::<u32>(), any::<Option<u32>>());
    let more = (any::<Option<u64>>(), 0..4_u64);
    (numbers, more, end(), end(), option::of(owner()), role())
        .prop_map(|((cookie, ordinal, netns, uid), (inode, cgroup), local, peer, owner, role)| {
            Subject {
                cookie,
                ordinal,
                tuple: Tuple { local, peer, netns },
                uid,
                inode,
                cgroup,
                owner,
                role,
            }
        })
        .boxed()
}

fn source() -> BoxedStrategy<Source> {
    select(vec![Source::Tracepoint, Source::Snapshot, Source::Timer, Source::Inferred]).boxed()
}

fn close() -> BoxedStrategy<Close> {
    use Initiator::{Kernel, Local, Network, Peer};
    let reasons = vec![
        Reason::Graceful,
        Reason::ResetSentLingerZero,
        Reason::ResetReceived,
        Reason::NoLocalPort,
        Reason::ZeroWindowTimeout,
        Reason::Unknown,
    ];
    let icmp = (select(vec![Origin::Icmp, Origin::Icmp6]), any::<u8>(), any::<u8>())
        .prop_map(|(origin, r#type, code)| Icmp { origin, r#type, code });
    let error = option::of(select(vec![Errno::ECONNREFUSED, Errno::EACCES]));
    (
        select(reasons),
        option::of(select(vec![Local, Peer, Kernel, Network])),
        option::of(icmp),
        error,
        reset_reason(),
        option::of(any::<u64>()),
    )
        .prop_map(|(reason, initiator, icmp, error, reset_reason, idle)| Close {
            icmp,
            error,
            reset_reason,
            idle,
            ..Close::new(reason, initiator)
        })
        .boxed()
}

fn directions() -> BoxedStrategy<Direction> {
    select(vec![Direction::Sent, Direction::Received]).boxed()
}

fn reset_reason() -> BoxedStrategy<Option<ResetReason>> {
    let of = |reset_reason| ResetReason::of(&Record { reset_reason, ..Record::EMPTY });
    (0..30_u8).prop_map(of).boxed()
}

fn handshake() -> BoxedStrategy<Handshake> {
    any::<(Option<u64>, Option<u64>, Option<u32>, Option<u32>, Option<u32>)>()
        .prop_map(|(duration_ns, rtt_ns, syn_retransmits, local_isn, peer_isn)| Handshake {
            duration_ns,
            rtt_ns,
            syn_retransmits,
            local_isn,
            peer_isn,
        })
        .boxed()
}

fn sequence() -> BoxedStrategy<Sequence> {
    let count = || prop_oneof![Just(0), any::<u64>()];
    (any::<u32>(), (0..2_u32, 0..2_u32), any::<u32>(), count(), count())
        .prop_map(|(snd_una, (sent, more), rcv_nxt, acked, received)| Sequence {
            snd_una,
            snd_nxt: snd_una.wrapping_add(sent),
            write_seq: snd_una.wrapping_add(more),
            rcv_nxt,
            acked,
            received,
        })
        .boxed()
}

fn transition() -> BoxedStrategy<Transition> {
    let edge = (state(), state()).prop_map(|(from, to)| Edge { from, to });
    let edges = (state(), state(), option::of(edge));
    let ends = (option::of(handshake()), option::of(sequence()), option::of(close()));
    let flags = any::<(Option<u64>, bool, bool, Option<bool>)>();
    (time(), subject(), edges, source(), flags, ends)
        .prop_map(|(time, subject, (from, to, kernel), source, flags, ends)| {
            let (elapsed, orphaned, at_exit, sent) = flags;
            let (handshake, sequence, close) = ends;
            Transition {
                time,
                subject,
                from,
                to,
                kernel,
                source,
                elapsed,
                handshake,
                sequence,
                sent,
                close,
                life: None,
                unanswered: None,
                orphaned,
                at_exit,
            }
        })
        .boxed()
}

fn connection() -> BoxedStrategy<ConnectionSummary> {
    let facts = (option::of(time()), any::<[u16; State::COUNT]>(), any::<bool>());
    let counts = any::<(Option<u64>, Option<u64>, Option<u32>, Option<u64>)>();
    let end = (state(), option::of(close()));
    (time(), subject(), facts, option::of(handshake()), counts, end, source())
        .prop_map(|(time, subject, (began, spent, at_least), handshake, counts, end, source)| {
            let (state, close) = end;
            ConnectionSummary {
                time,
                subject,
                state,
                began,
                ended: close.map(|_| time),
                duration: ConnectionSummary::duration(&spent.map(u64::from)),
                spent: spent.map(u64::from),
                at_least,
                handshake,
                accept_wait: counts.3,
                bytes_sent: counts.0,
                bytes_received: counts.1,
                retransmits: counts.2,
                close,
                source,
            }
        })
        .boxed()
}

fn why() -> BoxedStrategy<LingerCause> {
    let close_wait_cause = (cause(), option::of(process()), option::of(listener()), any::<u32>());
    prop_oneof![
        close_wait_cause.prop_map(|(cause, parent, listener, unread)| {
            LingerCause::NotClosed(Arc::new(CloseWaitCause { cause, parent, listener }), unread)
        }),
        Just(LingerCause::NotLookedAt),
        Just(LingerCause::ClosedFirst),
        Just(LingerCause::PeerNotClosed),
        Just(LingerCause::NoData),
        Just(LingerCause::NoRoom),
        select(vec![Segment::Syn, Segment::SynAck, Segment::Fin]).prop_map(LingerCause::NoAnswer),
        select(vec![Segment::Syn, Segment::Fin]).prop_map(LingerCause::NotSent),
    ]
    .boxed()
}

fn linger() -> BoxedStrategy<Linger> {
    use LingerStatus::{Cleared, Continues, Raised};
    let stack = || option::of((process(), option::of((1..5_u32).prop_map(StackId))));
    let ages = (any::<(u64, bool, u64, bool)>(), option::of(any::<u64>()));
    let holders = prop::collection::vec(owner(), 0..3);
    (time(), subject(), state(), ages, select(vec![Raised, Continues, Cleared]), holders)
        .prop_flat_map(move |known| (Just(known), option::of(why()), stack()))
        .prop_map(|((time, subject, state, ages, status, holders), why, creator)| {
            let ((age, at_least, threshold, orphaned), idle) = ages;
            Linger {
                time,
                subject,
                state,
                age,
                idle,
                at_least,
                threshold,
                status,
                orphaned,
                holders,
                why,
                creator: creator.map(|(process, stack)| Creator { process, stack }),
            }
        })
        .boxed()
}

fn stack() -> BoxedStrategy<Stack> {
    let name = || option::of(safe());
    let frame = (name(), name(), any::<u64>(), name(), any::<Option<u32>>()).prop_map(
        |(function, module, offset, file, line)| Frame { function, module, offset, file, line },
    );
    let gap = option::of(select(Gap::ALL.to_vec()));
    (prop::collection::vec(frame, 0..4), gap)
        .prop_map(|(frames, gap)| Stack { frames, gap })
        .boxed()
}

/// Any update.
pub(super) fn told() -> BoxedStrategy<OwnedUpdate> {
    use LossPlace::{Decode, Output, Recursion, RingBuffer, Unseen};
    let segments = select(vec![Segment::Syn, Segment::SynAck, Segment::Fin]);
    let again = (time(), subject(), state(), segments, any::<(u32, Option<u32>)>());
    let place = select(vec![RingBuffer, Recursion, Decode, Unseen, Output]);
    prop_oneof![
        4 => transition().prop_map(OwnedUpdate::Transition),
        1 => again.prop_map(|(time, subject, state, segment, (ordinal, sequence))| {
            let segment = Retransmitted::new(segment, ordinal, sequence);
            OwnedUpdate::Retransmit(Retransmit { time, subject, state, segment })
        }),
        1 => (time(), subject(), state(), directions(), reset_reason()).prop_map(
            |(time, subject, state, direction, reason)| {
                let segment = Rst { reason, ..Rst::new(direction) };
                OwnedUpdate::Reset(Reset { time, subject, state, segment })
            }
        ),
        1 => (time(), end(), end(), any::<u32>(), any::<u8>()).prop_map(
            |(time, local, peer, netns, flags)| OwnedUpdate::Reset(Reset {
                time,
                subject: Subject::of_addresses(Tuple { local, peer, netns }),
                state: State::Closed,
                segment: Rst::answering(Answered::of(flags)),
            })
        ),
        2 => connection().prop_map(OwnedUpdate::Connection),
        2 => prop::collection::vec(linger(), 1..3).prop_map(OwnedUpdate::Linger),
        1 => (time(), place, any::<(u64, bool, bool)>()).prop_map(|(time, place, (count, healed, at_least))| {
            OwnedUpdate::Loss(Loss { time, place, count, healed, at_least })
        }),
        2 => finding().prop_map(|finding| OwnedUpdate::Finding(Box::new(finding))),
    ]
    .boxed()
}

/// A host with any names.
#[derive(Clone, Debug)]
pub(super) struct Around {
    groups: Vec<Arc<Cgroup>>,
    programs: Vec<Arc<str>>,
    stacks: Vec<Arc<Stack>>,
}

pub(super) fn around() -> BoxedStrategy<Around> {
    let group = (safe(), option::of(safe())).prop_map(|(path, container)| {
        Arc::new(Cgroup::new((*path).into(), container.map(|id| (*id).into())))
    });
    // Lines of what has no socket, and therefore no path, refer to the first.
    let others = prop::collection::vec(of_pod(), 0..3);
    let groups = (group, others).prop_map(|(first, others)| [vec![first], others].concat());
    let stacks = prop::collection::vec(stack().prop_map(Arc::new), 1..4);
    (groups, prop::collection::vec(safe(), 1..4), stacks)
        .prop_map(|(groups, programs, stacks)| Around { groups, programs, stacks })
        .boxed()
}

impl Enricher for Around {
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>> {
        self.groups.get(usize::try_from(subject.cgroup).ok()?).cloned()
    }

    fn executable(&self, process: &Process) -> Option<Arc<str>> {
        self.programs.get(process.pid as usize % 4).cloned()
    }

    fn parent(&self, process: &Process) -> Option<Arc<Parent>> {
        let name = self.programs.get(process.pid as usize % 5)?.as_ref().into();
        Some(Arc::new(Parent { pid: process.pid / 2, name }))
    }

    fn stack(&self, creator: &Creator) -> Option<Arc<Stack>> {
        self.stacks.get(creator.stack?.0 as usize).cloned()
    }
}
