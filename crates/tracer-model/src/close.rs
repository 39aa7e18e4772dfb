//! How a connection ended: the decision at `X → CLOSE`.
//!
//! The tracepoint says CLOSE for six different things. What it was is told by the socket's flags,
//! error and sequence numbers at that moment (they are still the old ones: the tracepoint fires
//! before `tcp_done`), and by the resets seen on the same socket.

use tracer_wire::{Record, flag};

use tracer_event::state::State;

use tracer_event::{
    close::{Initiator, Reason},
    update::{Role, Sequence},
};

const EPIPE: u16 = 32;
const ECONNABORTED: u16 = 103;
const ECONNRESET: u16 = 104;
const ETIMEDOUT: u16 = 110;
const ECONNREFUSED: u16 = 111;

const SHUTDOWN_MASK: u8 = 3;

/// What follows a transition to CLOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A minisocket in TIME_WAIT takes over.
    TimeWait,
    /// The orphan's FIN is acknowledged: a minisocket in FIN_WAIT2 takes over, which becomes
    /// TIME_WAIT when the peer's FIN comes.
    OrphanedFinWait2,
    /// It is over.
    Over(Reason),
}

/// What is known beyond the record itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// `tcp_receive_reset` fired on this socket.
    pub reset_received: bool,
    /// `tcp_send_reset` fired on this socket.
    pub reset_sent: bool,
    /// The hooks on resets are attached: their silence means something.
    pub resets_traced: bool,
}

/// Decides what a transition from `from` (not LISTEN) to CLOSE means.
pub fn outcome(record: &Record, from: State, context: Context) -> Outcome {
    if record.has(flag::CLASSIC) {
        return classic(from);
    }
    if record.has(flag::REPAIR) {
        return Outcome::Over(Reason::AbortedLocally);
    }
    if record.error != 0 {
        return Outcome::Over(by_error(record, from, context));
    }
    match from {
        State::LastAck if record.fin_acknowledged() => Outcome::Over(Reason::Graceful),
        State::FinWait2 => from_fin_wait2(record),
        State::Closing if record.fin_acknowledged() => Outcome::TimeWait,
        State::SynSent => Outcome::Over(from_syn_sent(record)),
        // Nothing is sent: the peer has closed and awaits no more (tcp_need_reset).
        State::LastAck | State::Closing if aborted(record) == Reason::ResetSentLingerZero => {
            Outcome::Over(Reason::AbortedLocally)
        }
        _ => Outcome::Over(aborted(record)),
    }
}

/// Without flags and errors: what is most likely, and for FIN_WAIT2 the state that is always
/// passed next.
fn classic(from: State) -> Outcome {
    match from {
        State::LastAck => Outcome::Over(Reason::Graceful),
        State::FinWait2 | State::Closing => Outcome::TimeWait,
        _ => Outcome::Over(Reason::Unknown),
    }
}

/// `sk_err` is set: the network, a timer or an administrator ended it.
fn by_error(record: &Record, from: State, context: Context) -> Reason {
    match record.error {
        ECONNREFUSED if context.reset_received => Reason::Refused,
        ECONNREFUSED if !context.resets_traced && record.icmp_origin == 0 => Reason::Refused,
        ECONNREFUSED => Reason::Unreachable,
        ECONNRESET if record.has(flag::DEAD) && context.reset_sent => {
            Reason::ResetSentDataAfterClose
        }
        ECONNRESET | EPIPE => Reason::ResetReceived,
        ECONNABORTED => Reason::Killed,
        ETIMEDOUT => timeout(record, from),
        // An ICMP error that was only noted while the segments went unanswered (sk_err_soft).
        _ if from == State::SynSent => Reason::Unreachable,
        error if error == record.soft_error || record.total_retrans > 0 => {
            Reason::RetransmitTimeout
        }
        _ => Reason::Unknown,
    }
}

/// The count of probes does not help: it starts over with each answer of a peer whose window stays
/// at zero (`tcp_ack`).
fn timeout(record: &Record, from: State) -> Reason {
    if from == State::SynSent {
        Reason::ConnectTimeout
    } else if record.retransmits > 0 {
        Reason::RetransmitTimeout
    } else if record.snd_una == record.write_seq {
        Reason::KeepaliveTimeout
    } else {
        Reason::ZeroWindowTimeout
    }
}

/// kernel-facts: SOCK_DONE means that the peer's FIN has come.
fn from_fin_wait2(record: &Record) -> Outcome {
    if record.has(flag::DONE) {
        return Outcome::TimeWait;
    }
    if record.has(flag::DEAD) {
        return if record.linger2 < 0 {
            Outcome::Over(Reason::ResetSentLingerZero)
        } else {
            Outcome::OrphanedFinWait2
        };
    }
    Outcome::Over(aborted(record))
}

fn from_syn_sent(record: &Record) -> Reason {
    // Where connect() held the socket, the kernel has only noted that the network refuses.
    let refused = record.icmp_origin != 0 || record.soft_error != 0;
    match (record.shutdown & SHUTDOWN_MASK, record.local_port) {
        (SHUTDOWN_MASK, _) if refused => Reason::Unreachable,
        (SHUTDOWN_MASK, _) => Reason::AbortedLocally,
        (_, 0) => Reason::NoLocalPort,
        _ => Reason::Disconnected,
    }
}

/// A process of this host ended it at once: nothing of it was on the network before.
fn aborted(record: &Record) -> Reason {
    if record.shutdown & SHUTDOWN_MASK != SHUTDOWN_MASK {
        return if record.has(flag::HAS_SOCKET) {
            Reason::Disconnected
        } else {
            Reason::ResetSentUnaccepted
        };
    }
    // The kernel looks at unread data first (tcp_close).
    if record.unread_bytes() > 0 {
        Reason::ResetSentUnreadData
    } else if record.has(flag::LINGER_ZERO) {
        Reason::ResetSentLingerZero
    } else {
        Reason::AbortedLocally
    }
}

/// Who took the first step to `reason`; `by_fin` is who sent the first FIN, where one was sent.
pub fn initiator(reason: Reason, by_fin: Option<Initiator>) -> Option<Initiator> {
    match reason {
        Reason::Graceful | Reason::Unknown => by_fin,
        Reason::ResetReceived | Reason::Refused => Some(by_fin.unwrap_or(Initiator::Peer)),
        Reason::ResetSentUnreadData
        | Reason::ResetSentLingerZero
        | Reason::ResetSentDataAfterClose
        | Reason::ResetSentUnaccepted
        | Reason::AbortedLocally
        | Reason::Killed
        | Reason::NoLocalPort
        | Reason::Disconnected => Some(by_fin.unwrap_or(Initiator::Local)),
        Reason::Unreachable => Some(Initiator::Network),
        Reason::ConnectTimeout
        | Reason::RetransmitTimeout
        | Reason::KeepaliveTimeout
        | Reason::ZeroWindowTimeout
        | Reason::FinWait2Timeout => Some(by_fin.unwrap_or(Initiator::Kernel)),
    }
}

/// Whether something that was written has not been acknowledged.
pub fn is_unacknowledged(sequence: Option<Sequence>) -> bool {
    sequence.is_some_and(|sequence| sequence.snd_una != sequence.write_seq)
}

/// Whether an end is one that somebody should look into: not if it was in order, nor if an RST has
/// destroyed nothing.
pub fn is_problem(
    reason: Reason,
    from: State,
    role: Option<Role>,
    sequence: Option<Sequence>,
) -> bool {
    match reason {
        Reason::Graceful => false,
        Reason::ResetReceived => harms(from, role, sequence),
        // The application has chosen it, as a load balancer does that checks a server.
        Reason::ResetSentLingerZero => is_unacknowledged(sequence),
        _ => true,
    }
}

/// Whether an RST of the peer has destroyed something.
fn harms(from: State, role: Option<Role>, sequence: Option<Sequence>) -> bool {
    // The FIN of this end is no data.
    let fin = u32::from(matches!(from, State::FinWait1 | State::Closing | State::LastAck));
    let lost = sequence.is_some_and(|now| now.write_seq.wrapping_sub(now.snd_una) > fin);
    // Clients that check a server, or have what they want, end so; others have given up waiting.
    let unanswered = sequence.is_some_and(|now| now.received > 0 && now.acked == 0);
    match (from, role) {
        (State::Established, Some(Role::Server)) => lost || unanswered,
        (State::Established, _) => true,
        // It answers what was sent to a peer that has closed.
        (State::CloseWait, _) => lost || sequence.is_none(),
        _ => lost,
    }
}

/// Whether a connection, once established, was broken off in a way that somebody should look into.
pub fn is_bad(reason: Reason, from: State, role: Option<Role>, sequence: Option<Sequence>) -> bool {
    let is_broken_off = matches!(
        reason,
        Reason::ResetReceived
            | Reason::ResetSentLingerZero
            | Reason::ResetSentUnreadData
            | Reason::ResetSentDataAfterClose
            | Reason::ResetSentUnaccepted
            | Reason::RetransmitTimeout
            | Reason::KeepaliveTimeout
            | Reason::ZeroWindowTimeout
    );
    is_broken_off && is_problem(reason, from, role, sequence)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::table::tests::record;

    const DEAD: u8 = flag::DEAD;
    const DONE: u8 = flag::DONE;

    /// The table at `FIN_WAIT2 → CLOSE` and `CLOSING → CLOSE`, measured with fentry on
    /// `tcp_time_wait` as the reference.
    #[rstest]
    #[case::peer_fin_came(State::FinWait2, DONE, 0, 0, true, Outcome::TimeWait)]
    #[case::peer_fin_came_to_orphan(State::FinWait2, DONE | DEAD, 0, 0, true, Outcome::TimeWait)]
    #[case::simultaneous_close(State::Closing, DONE, 0, 0, true, Outcome::TimeWait)]
    #[case::linger_zero_in_closing(
        State::Closing, DONE | flag::LINGER_ZERO, 0, 0, false,
        Outcome::Over(Reason::AbortedLocally)
    )]
    #[case::linger_zero_in_last_ack(
        State::LastAck, DONE | flag::LINGER_ZERO, 0, 0, false,
        Outcome::Over(Reason::AbortedLocally)
    )]
    #[case::orphan(State::FinWait2, DEAD, 0, 0, true, Outcome::OrphanedFinWait2)]
    #[case::orphan_not_allowed(
        State::FinWait2, DEAD, 0, -1, true, Outcome::Over(Reason::ResetSentLingerZero)
    )]
    #[case::reset(State::FinWait2, DEAD, 104, 0, true, Outcome::Over(Reason::ResetReceived))]
    fn what_follows_the_last_wait_state(
        #[case] from: State,
        #[case] flags: u8,
        #[case] error: u16,
        #[case] linger2: i32,
        #[case] fin_acknowledged: bool,
        #[case] expected: Outcome,
    ) {
        let record = Record {
            flags,
            error,
            linger2,
            shutdown: 3,
            snd_una: 10,
            write_seq: if fin_acknowledged { 10 } else { 11 },
            ..record(from, State::Closed)
        };
        assert_eq!(outcome(&record, from, Context::default()), expected);
    }

    struct Moment {
        record: Record,
        context: Context,
    }

    fn at(change: impl FnOnce(&mut Record)) -> Moment {
        let mut record = Record {
            flags: flag::HAS_SOCKET,
            shutdown: 3,
            local_port: 1,
            ..record(State::Established, State::Closed)
        };
        change(&mut record);
        Moment { record, context: Context { resets_traced: true, ..Context::default() } }
    }

    impl Moment {
        fn reset_received(mut self) -> Self {
            self.context.reset_received = true;
            self
        }

        fn reset_sent(mut self) -> Self {
            self.context.reset_sent = true;
            self
        }
    }

    /// The table of close reasons, row by row.
    #[rstest]
    #[case(State::SynSent, at(|r| r.error = 111).reset_received(), Reason::Refused)]
    #[case(State::SynSent, at(|r| r.error = 111), Reason::Unreachable)]
    #[case(State::SynSent, at(|r| r.error = 113), Reason::Unreachable)]
    #[case(State::SynSent, at(|r| r.error = 110), Reason::ConnectTimeout)]
    #[case(State::Established, at(|r| { r.error = 110; r.retransmits = 3 }), Reason::RetransmitTimeout)]
    #[case(State::LastAck, at(|r| { r.error = 110; r.flags = DEAD; r.retransmits = 1 }), Reason::RetransmitTimeout)]
    #[case(
        State::Established,
        at(|r| { r.error = 110; r.write_seq = 9 }),
        Reason::ZeroWindowTimeout
    )]
    #[case(State::Established, at(|r| r.error = 110), Reason::KeepaliveTimeout)]
    #[case(
        State::Established,
        at(|r| { r.error = 113; r.soft_error = 113; r.total_retrans = 4 }),
        Reason::RetransmitTimeout
    )]
    #[case(State::Established, at(|r| r.error = 104).reset_received(), Reason::ResetReceived)]
    #[case(
        State::FinWait1,
        at(|r| { r.error = 104; r.flags = DEAD }).reset_received().reset_sent(),
        Reason::ResetSentDataAfterClose
    )]
    #[case(State::FinWait1, at(|r| { r.error = 104; r.flags = DEAD }).reset_received(), Reason::ResetReceived)]
    #[case(State::CloseWait, at(|r| r.error = 32), Reason::ResetReceived)]
    #[case(State::Established, at(|r| r.error = 103), Reason::Killed)]
    #[case(State::LastAck, at(|r| r.flags = DEAD | DONE), Reason::Graceful)]
    #[case(State::SynSent, at(|_| ()), Reason::AbortedLocally)]
    // Closed after an ICMP error that came while connect() held the socket: SO_ERROR has taken it,
    // or (IPv6) it was never told.
    #[case(State::SynSent, at(|r| r.icmp_origin = 2), Reason::Unreachable)]
    #[case(State::SynSent, at(|r| r.soft_error = 113), Reason::Unreachable)]
    #[case(
        State::SynSent,
        at(|r| { r.error = 111; r.icmp_origin = 2 }).reset_received(),
        Reason::Refused
    )]
    #[case(State::SynSent, at(|r| { r.shutdown = 0; r.local_port = 0 }), Reason::NoLocalPort)]
    #[case(State::SynSent, at(|r| r.shutdown = 0), Reason::Disconnected)]
    #[case(State::Established, at(|r| { r.flags = 0; r.shutdown = 0 }), Reason::ResetSentUnaccepted)]
    #[case(State::Established, at(|r| r.shutdown = 0), Reason::Disconnected)]
    #[case(State::Established, at(|r| r.rcv_nxt = 5), Reason::ResetSentUnreadData)]
    #[case(
        State::CloseWait,
        at(|r| { r.rcv_nxt = 1; r.flags |= DONE | flag::LINGER_ZERO }),
        Reason::ResetSentLingerZero
    )]
    #[case(State::Established, at(|r| r.flags |= flag::LINGER_ZERO), Reason::ResetSentLingerZero)]
    #[case(State::Established, at(|r| r.flags |= flag::REPAIR), Reason::AbortedLocally)]
    fn the_reason_is_read_from_the_socket(
        #[case] from: State,
        #[case] moment: Moment,
        #[case] reason: Reason,
    ) {
        assert_eq!(outcome(&moment.record, from, moment.context), Outcome::Over(reason));
    }
}
