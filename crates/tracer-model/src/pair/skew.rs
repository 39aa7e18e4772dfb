//! How far the clock of one host is ahead of another's, by the handshakes between them.
//!
//! A client's SYN leaves before the server's SYN+ACK does, that leaves before it arrives, and the
//! ACK leaves before it arrives: each handshake says what the difference is at least and at most,
//! as NTP has it, and all of them together say it more exactly.

use super::end::End;
use tracer_event::{
    state::State,
    subject::Role,
    update::{Handshake, Transition},
};

/// The kernel measures a server's handshake to the microsecond, and to the millisecond where it
/// has no better clock.
const RESOLUTION: i64 = 1_000;

/// The difference between two clocks, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// How far the second clock is ahead of the first.
    pub ahead: i64,
    /// It is not wrong by more; `None` where the handshakes contradict each other: a clock was set,
    /// or drifts.
    pub within: Option<i64>,
    /// How many handshakes say so.
    pub handshakes: usize,
}

/// What a handshake allows the second clock to be ahead of the first, if it says something.
pub(super) fn bounds(first: &End, second: &End) -> Option<(i64, i64)> {
    let (client, server, sign) = match (first.role?, second.role?) {
        (Role::Client, Role::Server) => (first, second, 1),
        (Role::Server, Role::Client) => (second, first, -1),
        _ => return None,
    };
    let sent = client.reached(State::SynSent)?;
    let (established, of_client) = completed(client)?;
    let (arrived, of_server) = completed(server)?;
    let clean = |one: &Handshake| one.syn_retransmits == Some(0);
    if !clean(&of_client) || !clean(&of_server) {
        return None;
    }
    let lasted = i64::try_from(of_server.duration_ns?).ok()?;
    let answered = arrived.checked_sub(lasted)?;
    let least = answered.checked_sub(established)?.checked_sub(RESOLUTION)?;
    let by_syn = answered.checked_sub(sent)?.checked_add(RESOLUTION)?;
    let most = by_syn.min(arrived.checked_sub(established)?);
    if least > most {
        // The times of one host do not fit together.
        return None;
    }
    Some(if sign > 0 { (least, most) } else { (most.saturating_neg(), least.saturating_neg()) })
}

/// When a handshake was complete, and what is known of it.
fn completed(end: &End) -> Option<(i64, Handshake)> {
    let of = |step: &Transition| step.handshake.filter(|_| step.to == State::Established);
    end.steps().find_map(|(time, step)| Some((time, of(step)?)))
}

impl Skew {
    /// Of all handshakes between two hosts.
    pub(super) fn of(bounds: &mut [(i64, i64)]) -> Option<Self> {
        let least = bounds.iter().map(|(least, _)| *least).max()?;
        let most = bounds.iter().map(|(_, most)| *most).min()?;
        let handshakes = bounds.len();
        if least <= most {
            let ahead = middle(least, most);
            let within = i64::try_from(ahead.abs_diff(least)).ok();
            return Some(Self { ahead, within, handshakes });
        }
        let mut middles: Vec<i64> =
            bounds.iter().map(|(least, most)| middle(*least, *most)).collect();
        middles.sort_unstable();
        Some(Self { ahead: middles[middles.len() / 2], within: None, handshakes })
    }

    /// Where no handshake says how far: as if both clocks were right.
    pub(super) const UNKNOWN: Self = Self { ahead: 0, within: None, handshakes: 0 };

    /// A time of the second clock by the first one.
    pub fn by_first(&self, time: i64) -> i64 {
        time.saturating_sub(self.ahead)
    }
}

fn middle(least: i64, most: i64) -> i64 {
    ((i128::from(least) + i128::from(most)) / 2) as i64
}
