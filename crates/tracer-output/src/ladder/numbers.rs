//! The numbers of an RST, as far as the socket that reports it says them.
//!
//! An RST has the next number that its sender would use, or else nobody would take it (RFC 9293,
//! 3.5.2; RFC 5961, 3.2): the receiver's `rcv_nxt`. One that answers a SYN is taken for what it
//! acknowledges, its own number is 0 where this kernel sends it.

use super::row::Kind;
use tracer_event::{
    close::Reason,
    state::State,
    update::{Answered, Role, Transition},
};

/// States in which an RST must have the number that is expected.
const EXACT: [State; 3] = [State::Established, State::FinWait1, State::FinWait2];

/// Its number, and what it acknowledges.
pub(super) type Numbers = (Option<u32>, Option<u32>);

/// Of an RST with which a connection ends at an end that has sent or received it; none of other
/// kinds of segment.
pub(super) fn of_reset(kind: Kind, sent: bool, transition: &Transition) -> Numbers {
    let reason = transition.close.map(|close| close.reason).filter(|_| kind == Kind::Rst);
    let Some(sequence) = transition.sequence else { return (None, None) };
    match reason {
        Some(Reason::Refused) if transition.from == State::SynSent => {
            // With data in the SYN there is more that it can acknowledge.
            let end = sequence.local_initial(Role::Client).wrapping_add(1);
            (None, Some(end).filter(|end| *end == sequence.snd_nxt))
        }
        // After a FIN the kernel takes one of the number before, too (tcp_reset_check(),
        // net/ipv4/tcp_input.c).
        Some(Reason::ResetReceived) if !sent && EXACT.contains(&transition.from) => {
            (Some(sequence.rcv_nxt), None)
        }
        // tcp_send_active_reset(), net/ipv4/tcp_output.c. What answers a segment has its numbers.
        Some(
            Reason::ResetSentUnreadData | Reason::ResetSentLingerZero | Reason::ResetSentUnaccepted,
        ) if sent => (Some(sequence.snd_nxt), Some(sequence.rcv_nxt)),
        _ => (None, None),
    }
}

/// Of an RST of an end without a socket, by what it answers; `initial` is the number of the SYN.
pub(super) fn of_answer(answers: Option<Answered>, initial: Option<u32>) -> Numbers {
    match answers {
        Some(Answered::Syn) => (Some(0), initial.map(|initial| initial.wrapping_add(1))),
        _ => (None, None),
    }
}
