//! What a step means, for those who know TCP from the textbook: sources are RFC 9293 (TCP), RFC
//! 6528 (initial sequence numbers), and Linux where it differs.

use super::{
    diagram::Diagram,
    row::{Arrow, Kind, Middle, Note, Row, Side},
};
use crate::{step, text::REFUSED_HERE};
use tracer_event::{close::Reason, state::State, update::Close};

/// The sentences on a step, in order.
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
        Middle::Words(_) => {}
    }
    // All is known to have arrived, in both directions.
    match row.arrow().map(|arrow| arrow.kind) {
        Some(Kind::Fin) if row.enters(State::TimeWait) => sentences.push(RELEASED),
        Some(Kind::AckOfFin) if row.enters(State::Closed) => sentences.push(RELEASED),
        _ => {}
    }
    let entered = |state: &State| entered(diagram, *state, row);
    sentences.extend(row.states.iter().flatten().filter_map(entered));
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

const SYN: &str = "SYN asks for a connection and names the client's initial sequence number: \
    random, so that nobody can guess it, and so that late segments of an earlier connection are \
    not mistaken for this one's.";
const SECOND_SYN: &str = "A SYN from this side too: both open at once (simultaneous open). Each \
    answers the other's, and they become one connection.";
const OWN_SYN: &str = "The same SYN: connect() was given the port that it connects to, and the \
    socket is the peer of itself. To TCP that is a simultaneous open.";
const SYN_ACK: &str = "SYN+ACK accepts, with this side's own random initial sequence number.";
const SYN_ACK_NUMBERS: &str = "SYN+ACK accepts: seq is this side's own random number, and ack names \
    the next byte that it expects. A SYN counts as one byte, hence the +1.";
const ACK: &str = "Now each end knows that the other has its number: the three-way handshake is \
    complete, data can flow.";
const DATA: &str = "Every byte of data has its own number, counted from the SYN's.";
const DATA_AND_FIN: &str = "The number of a FIN exceeds that of its side's SYN by what was sent.";
const FIN: &str = "FIN: \"I have no more to send.\" It closes one direction only, the other may go \
    on (half-close). Like a SYN it counts as one byte and must be acknowledged.";
const SECOND_FIN: &str = "The other direction is closed too.";
const RELEASED: &str = "A graceful release: all data was delivered, in both directions.";
const FIN_WITH_ACK: &str = "The application has closed this end too. Linux delayed its ACK of the \
    first FIN by up to 40 ms, so that this FIN carries it.";
const ACK_OF_FIN: &str = "The FIN has arrived.";
const FIN_WAIT2: &str = "FIN_WAIT2: this direction is closed, the other one is still open.";
const LAST_ACK: &str = "The last ACK: it closes the other end.";
const CLOSE_WAIT: &str = "CLOSE_WAIT asks the application to close() its end as well: nothing else \
    ends this state, and sockets that pile up in it are a leak in the application.";
const CLOSING: &str = "Both have sent their FIN before the other's arrived (simultaneous close); \
    CLOSING waits for the ACK of one's own.";
const OWN_FIN: &str = "The socket's own FIN has come back to it: a FIN that arrived before the ACK \
    of one's own (simultaneous close). CLOSING waits for that ACK.";
const TIME_WAIT: &str = "TIME_WAIT stays with the end that closed first (with both, if they \
    closed at once), for 2 MSL, 60 s on Linux: if the last ACK is lost, the FIN is retransmitted \
    and must be answered; and late segments must expire before the same ports are used again.";
const ORPHAN: &str = "Orphaned: no process holds the socket any more. The kernel waits for the \
    peer's FIN, for a minute unless tcp_fin_timeout or TCP_LINGER2 says otherwise.";
const RST: &str = "RST aborts immediately (abortive release): nothing is acknowledged, data in \
    flight is lost, and no TIME_WAIT follows.";
const REFUSED: &str = "Nothing listens on this port, or a firewall says so: the answer is RST, and \
    connect() fails with ECONNREFUSED.";
const AGAIN: &str = "No answer in time: the same segment is retransmitted, with the same number.";
const SAME_TIMEOUT: &str = "The timeout was as long as before: Linux retransmits the first SYNs at \
    equal intervals (net.ipv4.tcp_syn_linear_timeouts), then doubles the timeout each time.";
const DOUBLE_TIMEOUT: &str = "The timeout doubles each time.";
const GONE: &str = "The kernel has released the connection: its addresses and ports are free.";
