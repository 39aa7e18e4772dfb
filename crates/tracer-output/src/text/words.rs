//! What an event means, in words that text, ladder and logs share.

use std::fmt::{self, Display, Write as _};

use super::{
    columns::{Line, folded},
    palette::Palette,
};
use crate::{
    phrases::{said, worded, write_worded},
    step,
};
use tracer_event::{
    close::{Initiator, Reason},
    duration::{duration, grouped, write_duration},
    header::Degraded,
    reset::{ResetReason, Rst},
    state::State,
    update::{
        Answered, Close, ConnectionSummary, Direction, Handshake, Loss, LossPlace, Reset,
        Retransmit, Retransmitted, Role, Source, Transition,
    },
};
use tracer_texts::Texts;

/// What a transition means, with the figures that belong to it.
pub(crate) fn meaning(transition: &Transition, texts: Option<&Texts>) -> String {
    let mut text = String::new();
    write_meaning(transition, texts, &mut text);
    text
}

/// [`meaning`] at the end of a text.
pub(super) fn write_meaning(transition: &Transition, texts: Option<&Texts>, text: &mut String) {
    let Transition { to, sent, sequence, close, ref handshake, .. } = *transition;
    write_with_error(said(texts, step::meaning(transition)), close, text);
    if sent == Some(false)
        && to != State::SynSent
        && let Some(sequence) = sequence
    {
        match sequence.unsent() {
            0 => text.extend([": ", said(texts, "the peer's window is full")]),
            unsent => {
                text.push_str(": ");
                let unsent = Size(unsent.into());
                let english = format_args!("{unsent} unsent before it");
                write_worded(texts, "view-unsent", &[("bytes", &unsent)], english, text);
            }
        }
    }
    if let Some(handshake) = handshake {
        write_figures(handshake, transition.subject.role, texts, text);
    }
    let source = step::source(transition);
    if !source.is_empty() {
        text.extend([" ", said(texts, source.trim_start())]);
    }
}

/// What is known of a handshake: `: handshake 24.1µs, RTT 12µs`
fn write_figures(
    handshake: &Handshake,
    role: Option<Role>,
    texts: Option<&Texts>,
    text: &mut String,
) {
    let begun = text.len();
    let next = |text: &mut String| text.push_str(if text.len() == begun { ": " } else { ", " });
    if let Some(ns) = handshake.duration_ns.filter(|_| role != Some(Role::Server)) {
        next(text);
        write_time(said(texts, "handshake"), ns, text);
    }
    if let Some(ns) = handshake.rtt_ns {
        next(text);
        write_time("RTT", ns, text);
    }
    if let Some(count) = handshake.syn_retransmits.filter(|&count| count > 0) {
        next(text);
        write_retransmissions(count.into(), texts, text);
        if let Some(cost) = cost(handshake, role) {
            text.push_str(", ");
            let cost = duration(cost);
            let english = format_args!("which cost {cost}");
            write_worded(texts, "view-cost", &[("cost", &cost)], english, text);
        }
    }
}

fn write_time(name: &str, ns: u64, text: &mut String) {
    text.extend([name, " "]);
    // Writing to memory cannot fail.
    let _ = write_duration(ns, text);
}

/// State and reason in a word or two, for terminals that have no room for more.
pub(super) fn write_brief(transition: &Transition, texts: Option<&Texts>, text: &mut String) {
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
    text.push_str(to.name());
    if !word.is_empty() {
        text.extend([" ", said(texts, word)]);
    }
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

/// What retransmissions of the SYN have cost: an answer to the first takes a round trip.
fn cost(handshake: &Handshake, role: Option<Role>) -> Option<u64> {
    let known = handshake.duration_ns.filter(|_| role == Some(Role::Client));
    known.and_then(|took| took.checked_sub(handshake.rtt_ns?))
}

fn write_retransmissions(number: u64, texts: Option<&Texts>, text: &mut String) {
    let plural = if number == 1 { "" } else { "s" };
    let english = format_args!("{number} retransmission{plural}");
    write_worded(texts, "view-again", &[("count", &number)], english, text);
}

/// With the error that the application got, where that is known.
fn write_with_error(words: &str, close: Option<Close>, text: &mut String) {
    text.push_str(words);
    if let Some(error) = close.and_then(|close| close.error) {
        // Writing to memory cannot fail.
        let _ = write!(text, " ({})", error.name());
    }
}

/// What a retransmission means.
pub fn of_retransmit(retransmit: &Retransmit, texts: Option<&Texts>) -> String {
    let mut text = String::new();
    write_retransmit(retransmit, texts, &mut text);
    text
}

/// [`of_retransmit`] at the end of a text.
pub(super) fn write_retransmit(retransmit: &Retransmit, texts: Option<&Texts>, text: &mut String) {
    let Retransmitted { r#type, ordinal, .. } = retransmit.segment;
    // Writing to memory cannot fail.
    let _ = write!(text, "{} {} (#{ordinal})", r#type.name(), said(texts, "retransmitted"));
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
fn write_ending(connection: &ConnectionSummary, texts: Option<&Texts>, text: &mut String) {
    let Some(close) = connection.close else {
        // Writing to memory cannot fail.
        let _ = write!(text, "{} ({})", said(texts, "open"), connection.state);
        return;
    };
    if close.reason != Reason::Graceful {
        return write_with_error(said(texts, step::ending(&close)), Some(close), text);
    }
    let closed = match close.initiator {
        Some(Initiator::Local) => "closed by this end",
        Some(Initiator::Peer) => "closed by the peer",
        Some(Initiator::Kernel) => "closed by a timer",
        Some(Initiator::Network) => "closed by the network",
        None => "closed",
    };
    text.push_str(said(texts, closed));
}

/// How a connection ended, and its figures.
pub(crate) fn life(connection: &ConnectionSummary, texts: Option<&Texts>) -> String {
    let mut text = String::new();
    write_life(connection, texts, &mut text);
    text
}

/// [`life`] in an empty text; returns where its figures begin.
pub(super) fn write_life(
    connection: &ConnectionSummary,
    texts: Option<&Texts>,
    text: &mut String,
) -> usize {
    const NEXT: &str = " · ";
    write_ending(connection, texts, text);
    let end = text.len();
    if let Some(ns) = connection.handshake.as_ref().and_then(|handshake| handshake.duration_ns) {
        text.push_str(NEXT);
        write_time(said(texts, "handshake"), ns, text);
    }
    let sign = if connection.at_least { " ≥" } else { " " };
    for state in State::ALL {
        let time = connection.spent[state.index()];
        // Shorter times are of no use.
        if time >= 1_000_000 && state != State::Closed {
            text.push_str(NEXT);
            text.push_str(state.name());
            write_time(sign, time, text);
        }
    }
    if let (Some(sent), Some(received)) = (connection.bytes_sent, connection.bytes_received) {
        text.push_str(NEXT);
        let (sent, received) = (Size(sent), Size(received));
        let english = format_args!("{sent} out, {received} in");
        let values: [(&str, &dyn Display); 2] = [("sent", &sent), ("received", &received)];
        write_worded(texts, "view-bytes", &values, english, text);
    }
    if let Some(count) = connection.retransmits.filter(|&count| count > 0) {
        text.push_str(NEXT);
        write_retransmissions(count.into(), texts, text);
    }
    end
}

/// `1.2K`
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // The same without its detours: most connections carry little.
            count @ 0..1024 => {
                f.write_str(itoa::Buffer::new().format(count))?;
                f.write_str("B")
            }
            count => bytesize::ByteSize(count).display().iec_short().fmt(f),
        }
    }
}

/// `1.2K`
pub fn bytes(count: u64) -> String {
    Size(count).to_string()
}

/// What was lost, and where.
pub fn loss(loss: &Loss, texts: Option<&Texts>) -> String {
    let what = match loss.place {
        LossPlace::RingBuffer => "events lost: the ring buffer was full (--buffer-size)",
        LossPlace::Recursion => "events lost: the kernel skipped the program",
        LossPlace::Decode => "records lost: damaged or of another version",
        LossPlace::Unseen => "transitions not seen: inferred from what followed",
        LossPlace::Table => "sockets no longer tracked: there are too many (--max-sockets)",
        LossPlace::Output => "lines not shown: the output is too slow or full",
        LossPlace::Journal => "records not in the journal: journald is too slow or gone",
        LossPlace::Syslog => "records not sent to syslog: the receiver is too slow or gone",
        LossPlace::Otlp => "log records not sent: the OTLP receiver did not accept them",
    };
    let (what, number) = (said(texts, what), grouped(loss.count));
    let (least, sign) = if loss.at_least { ("at least ", "≥ ") } else { ("", "") };
    let values: [(&str, &dyn Display); 3] = [("sign", &sign), ("count", &number), ("what", &what)];
    // What is counted is the first plural.
    let one = if loss.count == 1 { what.replacen("s ", " ", 1) } else { what.to_string() };
    worded(texts, "view-loss", &values, format_args!("! {least}{number} {one}"))
}

/// A feature that this host does not have.
pub fn not_available(degraded: &Degraded, texts: Option<&Texts>) -> String {
    format!("{}; {}", without(degraded, texts), said(texts, &degraded.remedy))
}

/// What is missing, and what is lost by it.
fn without(degraded: &Degraded, texts: Option<&Texts>) -> String {
    let [feature, lost] = [&degraded.feature, &degraded.lost].map(|words| said(texts, words));
    let reason = said(texts, &degraded.reason);
    let values: [(&str, &dyn Display); 3] =
        [("feature", &feature), ("reason", &reason), ("lost", &lost)];
    let english = format_args!("! {feature} not available ({reason}): {lost}");
    worded(texts, "view-missing", &values, english)
}

/// The same for people; on a terminal the remedy has a line of its own, as it may be a command.
pub fn write_not_available(
    degraded: &Degraded,
    texts: Option<&Texts>,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) {
    let style = palette.warning;
    if width.is_none() {
        return folded(style, &not_available(degraded, texts), (palette, width), out);
    }
    folded(style, &without(degraded, texts), (palette, width), out);
    let mut line = Line::new(None, palette, out);
    line.fill(2);
    line.push(style, said(texts, &degraded.remedy));
    line.finish();
}
