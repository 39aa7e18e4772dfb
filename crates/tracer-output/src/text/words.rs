//! What an event means, in words that text, ladder and logs share.

use std::borrow::Cow;

use crate::step;
use tracer_event::{
    close::{Initiator, Reason},
    duration::{duration, grouped},
    header::Degraded,
    reset::{ResetReason, Rst},
    state::State,
    update::{
        Answered, Close, ConnectionSummary, Direction, Handshake, Loss, LossPlace, Reset,
        Retransmit, Retransmitted, Role, Source, Transition,
    },
};

/// What a transition means, with the figures that belong to it.
pub(crate) fn meaning(transition: &Transition) -> Cow<'static, str> {
    let mut words = with_error(step::meaning(transition), transition.close);
    if transition.sent == Some(false)
        && transition.to != State::SynSent
        && let Some(sequence) = transition.sequence
    {
        words = match sequence.unsent() {
            0 => format!("{words}: the peer's window is full"),
            unsent => format!("{words}: {} unsent before it", bytes(unsent.into())),
        }
        .into();
    }
    if let Some(handshake) = &transition.handshake {
        let mut figures = Vec::new();
        if transition.subject.role != Some(Role::Server) {
            figures.extend(took(handshake));
        }
        figures.extend(handshake.rtt_ns.map(|ns| format!("RTT {}", duration(ns))));
        let again = retransmissions(handshake.syn_retransmits.map(u64::from));
        figures.extend(again.map(|words| match cost(handshake, transition.subject.role) {
            Some(cost) => format!("{words}, which cost {}", duration(cost)),
            None => words,
        }));
        if !figures.is_empty() {
            words = format!("{words}: {}", figures.join(", ")).into();
        }
    }
    match step::source(transition) {
        "" => words,
        source => format!("{words}{source}").into(),
    }
}

/// State and reason in a word or two, for terminals that have no room for more.
pub(super) fn brief(transition: &Transition) -> Cow<'static, str> {
    let Transition { from, to, orphaned, sent, close, source, .. } = *transition;
    let word = match (from, to) {
        (State::FinWait2, State::FinWait2) if orphaned => "orphaned",
        (State::TimeWait, State::Closed) if source == Source::Timer => "expired",
        (State::TimeWait, State::Closed) => "early",
        (State::Listen, State::Closed) | (_, State::Listen) => "",
        (_, State::Closed) => close.map_or("", |close| brief_ending(&close)),
        (_, State::SynSent | State::FinWait1 | State::LastAck) if sent == Some(false) => "queued",
        (State::Closed, _) if source == Source::Snapshot => "found",
        _ => "",
    };
    if word.is_empty() { to.name().into() } else { format!("{to} {word}").into() }
}

/// How a connection ended, in a word or two.
pub(super) fn brief_ending(close: &Close) -> &'static str {
    if close.icmp.is_some() {
        return "unreachable";
    }
    match close.reason {
        Reason::Graceful => "normally",
        Reason::ResetReceived => "reset by peer",
        Reason::ResetSentUnreadData => "RST sent: unread data",
        Reason::ResetSentLingerZero => "RST sent: SO_LINGER 0",
        Reason::ResetSentDataAfterClose => "RST sent: late data",
        Reason::ResetSentUnaccepted => "RST sent: unaccepted",
        Reason::Refused => "refused",
        Reason::Unreachable => "unreachable",
        Reason::ConnectTimeout => "connect timed out",
        Reason::RetransmitTimeout => "timed out",
        Reason::KeepaliveTimeout => "timed out (keepalive)",
        Reason::ZeroWindowTimeout => "timed out (window)",
        Reason::FinWait2Timeout => "timed out (no FIN)",
        Reason::AbortedLocally => "aborted",
        Reason::Killed => "killed",
        Reason::NoLocalPort => "no local port",
        Reason::Disconnected => "disconnected",
        Reason::Unknown => "reason unknown",
    }
}

fn took(handshake: &Handshake) -> Option<String> {
    handshake.duration_ns.map(|ns| format!("handshake {}", duration(ns)))
}

/// What retransmissions of the SYN have cost: an answer to the first takes a round trip.
fn cost(handshake: &Handshake, role: Option<Role>) -> Option<u64> {
    let known = handshake.duration_ns.filter(|_| role == Some(Role::Client));
    known.and_then(|took| took.checked_sub(handshake.rtt_ns?))
}

fn retransmissions(count: Option<u64>) -> Option<String> {
    match count? {
        0 => None,
        1 => Some("1 retransmission".into()),
        n => Some(format!("{n} retransmissions")),
    }
}

/// With the error that the application got, where that is known.
fn with_error(words: &'static str, close: Option<Close>) -> Cow<'static, str> {
    match close.and_then(|close| close.error) {
        Some(error) => format!("{words} ({})", error.name()).into(),
        None => words.into(),
    }
}

/// What a retransmission means.
pub fn of_retransmit(retransmit: &Retransmit) -> String {
    let Retransmitted { r#type, ordinal, .. } = retransmit.segment;
    format!("{} retransmitted (#{ordinal})", r#type.name())
}

/// Of a SYN to a port that nobody listens on.
pub(crate) const REFUSED_HERE: &str = "RST sent: nobody listens on this port";

/// What a reset means.
pub fn of_reset(reset: &Reset) -> &'static str {
    let Rst { answers, direction, reason, .. } = reset.segment;
    match (answers, direction) {
        (Some(Answered::Syn), _) => REFUSED_HERE,
        (Some(Answered::SynAck | Answered::Fin | Answered::Ack), _) => {
            "RST sent: no such connection"
        }
        (None, Direction::Sent) => reason.map_or("RST sent", ResetReason::words),
        (None, Direction::Received) => "RST received",
    }
}

/// How a connection ended; its state, while it is open.
pub(super) fn ending(connection: &ConnectionSummary) -> String {
    let Some(close) = connection.close else { return format!("open ({})", connection.state) };
    let by = match close.initiator {
        Some(Initiator::Local) => " by this end",
        Some(Initiator::Peer) => " by the peer",
        Some(Initiator::Kernel) => " by a timer",
        Some(Initiator::Network) => " by the network",
        None => "",
    };
    match close.reason {
        Reason::Graceful => format!("closed{by}"),
        _ => with_error(step::ending(&close), Some(close)).into(),
    }
}

/// How a connection ended, and its figures.
pub(crate) fn life(connection: &ConnectionSummary) -> String {
    let sign = if connection.at_least { "≥" } else { "" };
    let mut words = vec![ending(connection)];
    words.extend(connection.handshake.as_ref().and_then(took));
    for state in State::ALL {
        let time = connection.spent[state.index()];
        // Shorter times are of no use.
        if time >= 1_000_000 && state != State::Closed {
            words.push(format!("{state} {sign}{}", duration(time)));
        }
    }
    if let (Some(sent), Some(received)) = (connection.bytes_sent, connection.bytes_received) {
        words.push(format!("{} out, {} in", bytes(sent), bytes(received)));
    }
    words.extend(retransmissions(connection.retransmits.map(u64::from)));
    words.join(" · ")
}

/// `1.2K`
pub fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().iec_short().to_string()
}

/// What was lost, and where.
pub fn loss(loss: &Loss) -> String {
    let what = match loss.place {
        LossPlace::RingBuffer => "events lost: the ring buffer was full (--buffer-size)",
        LossPlace::Recursion => "events lost: the kernel skipped the program",
        LossPlace::Decode => "records lost: damaged or of another version",
        LossPlace::Unseen => "transitions were not seen and are inferred from what followed",
        LossPlace::Table => "sockets no longer tracked: there are too many (--max-sockets)",
        LossPlace::Output => "lines not shown: the output is too slow or full",
        LossPlace::Journal => "records not in the journal: journald is too slow or gone",
        LossPlace::Syslog => "records not sent to syslog: the receiver is too slow or gone",
        LossPlace::Otlp => "log records not sent: the OTLP receiver did not accept them",
    };
    let least = if loss.at_least { "at least " } else { "" };
    format!("! {least}{} {what}", grouped(loss.count))
}

/// A feature that this host does not have.
pub fn not_available(degraded: &Degraded) -> String {
    let Degraded { feature, lost, reason, remedy } = degraded;
    format!("! {feature} not available ({reason}): {lost}; {remedy}")
}
