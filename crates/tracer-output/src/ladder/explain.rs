//! What a step means, for those who know TCP from the textbook: sources are RFC 9293 (TCP), RFC
//! 6528 (initial sequence numbers), and Linux where it differs.

use super::{
    diagram::Diagram,
    row::{Arrow, Kind, Middle, Note, Row, Side},
};
use crate::{step, text::REFUSED_HERE};
use tracer_event::{close::Reason, state::State, update::Close};

/// The names of the sentences on a step, in order.
pub(super) fn explain(diagram: &Diagram, row: &Row) -> Vec<&'static str> {
    let mut sentences = Vec::new();
    match &row.middle {
        Middle::Data(_) => {
            sentences.push(DATA);
            sentences.extend(diagram.ends.iter().find_map(|end| end.fin).map(|_| DATA_AND_FIN));
        }
        Middle::Arrow(arrow) if arrow.ordinal > 0 => {
            sentences.push(AGAIN);
            // Timers are a little late.
            sentences.extend(match arrow.timeout {
                Some(80..=130) if arrow.kind == Kind::Syn => Some(SAME_TIMEOUT),
                Some(170..=250) => Some(DOUBLE_TIMEOUT),
                _ => None,
            });
        }
        Middle::Arrow(arrow) => sentences.extend(segment(diagram, row, arrow)),
        Middle::Step(..) | Middle::Words(_) => {}
    }
    // All is known to have arrived, in both directions.
    match row.arrow().map(|arrow| arrow.kind) {
        Some(Kind::Fin) if row.enters(State::TimeWait) => sentences.push(RELEASED),
        Some(Kind::AckOfFin) if row.enters(State::Closed) => sentences.push(RELEASED),
        _ => {}
    }
    let entered = |state: &State| entered(diagram, *state, row);
    sentences.extend(row.states.iter().flatten().filter_map(entered));
    sentences.extend(row.reason.and_then(ended));
    sentences.dedup();
    sentences
}

fn segment(diagram: &Diagram, row: &Row, arrow: &Arrow) -> Option<&'static str> {
    let other = diagram[!arrow.from];
    Some(match arrow.kind {
        Kind::Syn if arrow.from == Side::Right && is_itself(diagram) => OWN_SYN,
        Kind::Syn if arrow.from == Side::Right => SECOND_SYN,
        Kind::Syn => SYN,
        Kind::SynAck if other.initial.is_none() => SYN_ACK,
        Kind::SynAck => SYN_ACK_NUMBERS,
        Kind::Ack => ACK,
        Kind::Fin if row.enters(State::Closing) => return None,
        Kind::Fin if arrow.acks_fin => FIN_WITH_ACK,
        // The other end had closed before.
        Kind::Fin if other.fin.is_some() && row.enters(State::LastAck) => SECOND_FIN,
        Kind::Fin if other.fin.is_some() && row.enters(State::TimeWait) => SECOND_FIN,
        Kind::Fin => FIN,
        Kind::AckOfFin if row.states[arrow.from as usize] == Some(State::TimeWait) => LAST_ACK,
        Kind::AckOfFin if row.enters(State::Closed) => LAST_ACK,
        Kind::AckOfFin if row.enters(State::TimeWait) => return None,
        Kind::AckOfFin => ACK_OF_FIN,
        Kind::Rst if row.note.is_some_and(refuses) => REFUSED,
        Kind::Rst => RST,
        // Its first transmission is not drawn.
        Kind::Data | Kind::PushedData => return None,
    })
}

/// Whether the socket has connected to itself.
fn is_itself(diagram: &Diagram) -> bool {
    diagram.tuple.local == diagram.tuple.peer
}

/// Whether nothing listens, as reported by either end.
fn refuses(note: Note) -> bool {
    let refused = step::ending(&Close::new(Reason::Refused, None));
    [refused, REFUSED_HERE].into_iter().any(|words| note == Note::Ending(words))
}

/// What an ending without an RST means, and what the application is told.
fn ended(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Unreachable => Some(UNREACHABLE),
        Reason::ConnectTimeout => Some(CONNECT_TIMEOUT),
        Reason::RetransmitTimeout => Some(RETRANSMIT_TIMEOUT),
        Reason::KeepaliveTimeout => Some(KEEPALIVE_TIMEOUT),
        Reason::ZeroWindowTimeout => Some(ZERO_WINDOW_TIMEOUT),
        Reason::FinWait2Timeout => Some(FIN_WAIT2_TIMEOUT),
        Reason::AbortedLocally => Some(ABORTED),
        Reason::Killed => Some(KILLED),
        Reason::NoLocalPort => Some(NO_LOCAL_PORT),
        Reason::Disconnected => Some(DISCONNECTED),
        Reason::Graceful
        | Reason::Refused
        | Reason::ResetReceived
        | Reason::ResetSentUnreadData
        | Reason::ResetSentLingerZero
        | Reason::ResetSentDataAfterClose
        | Reason::ResetSentUnaccepted
        | Reason::Unknown => None,
    }
}

/// The name of what a sentence explains, where neither the segment nor the state is its name.
pub(super) fn named(sentence: &str) -> Option<&'static str> {
    Some(match sentence {
        ACK => "ladder-name-handshake",
        SECOND_SYN => "ladder-name-simultaneous-open",
        RELEASED => "ladder-name-graceful",
        CLOSING => "ladder-name-simultaneous-close",
        ORPHAN => "ladder-name-orphan",
        RST => "ladder-name-abortive",
        _ => return None,
    })
}

fn entered(diagram: &Diagram, state: State, row: &Row) -> Option<&'static str> {
    match state {
        State::CloseWait => Some(CLOSE_WAIT),
        State::FinWait2 if row.note == Some(Note::Orphaned) => Some(ORPHAN),
        // The other FIN may have come along.
        State::FinWait2 if row.arrow().is_some_and(|arrow| arrow.kind == Kind::Fin) => None,
        State::FinWait2 => Some(FIN_WAIT2),
        State::Closing if is_itself(diagram) => Some(OWN_FIN),
        State::Closing => Some(CLOSING),
        State::TimeWait => Some(TIME_WAIT),
        State::Closed if row.note == Some(Note::Expired) => Some(GONE),
        _ => None,
    }
}

// Names of texts (`texts/*/ladder.ftl`).
const SYN: &str = "ladder-syn";
const SECOND_SYN: &str = "ladder-second-syn";
const OWN_SYN: &str = "ladder-own-syn";
const SYN_ACK: &str = "ladder-syn-ack";
const SYN_ACK_NUMBERS: &str = "ladder-syn-ack-numbers";
const ACK: &str = "ladder-ack";
const DATA: &str = "ladder-data";
const DATA_AND_FIN: &str = "ladder-data-and-fin";
const FIN: &str = "ladder-fin";
const SECOND_FIN: &str = "ladder-second-fin";
const RELEASED: &str = "ladder-released";
const FIN_WITH_ACK: &str = "ladder-fin-with-ack";
const ACK_OF_FIN: &str = "ladder-ack-of-fin";
const FIN_WAIT2: &str = "ladder-fin-wait2";
const LAST_ACK: &str = "ladder-last-ack";
const CLOSE_WAIT: &str = "ladder-close-wait";
const CLOSING: &str = "ladder-closing";
const OWN_FIN: &str = "ladder-own-fin";
const TIME_WAIT: &str = "ladder-time-wait";
const ORPHAN: &str = "ladder-orphan";
const RST: &str = "ladder-rst";
const REFUSED: &str = "ladder-refused";
const AGAIN: &str = "ladder-again";
const SAME_TIMEOUT: &str = "ladder-same-timeout";
const DOUBLE_TIMEOUT: &str = "ladder-double-timeout";
const GONE: &str = "ladder-gone";
const UNREACHABLE: &str = "ladder-unreachable";
const CONNECT_TIMEOUT: &str = "ladder-connect-timeout";
const RETRANSMIT_TIMEOUT: &str = "ladder-retransmit-timeout";
const KEEPALIVE_TIMEOUT: &str = "ladder-keepalive-timeout";
const ZERO_WINDOW_TIMEOUT: &str = "ladder-zero-window-timeout";
const FIN_WAIT2_TIMEOUT: &str = "ladder-fin-wait2-timeout";
const ABORTED: &str = "ladder-aborted";
const KILLED: &str = "ladder-killed";
const NO_LOCAL_PORT: &str = "ladder-no-local-port";
const DISCONNECTED: &str = "ladder-disconnected";
