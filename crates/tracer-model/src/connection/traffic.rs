//! What a full socket's counters say of the whole connection.

use tracer_wire::{Record, flag};

use tracer_event::{state::State, update::Role};

/// What went over a connection, payload only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent and acknowledged, bytes.
    pub sent: u64,
    /// Received, bytes.
    pub received: u64,
    /// Retransmitted segments.
    pub retransmits: u32,
}

impl Traffic {
    /// From the counters of a full socket in `state`: those of bytes include SYN and FIN
    /// (`tcp_snd_una_update`, `tcp_rcv_nxt_update`).
    pub fn of(record: &Record, role: Option<Role>, state: State) -> Option<Self> {
        if record.has(flag::CLASSIC) {
            return None;
        }
        let syn = u64::from(role == Some(Role::Client) && record.bytes_acked > 0);
        let fin_sent =
            matches!(state, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck);
        let fin = u64::from(fin_sent && record.fin_acknowledged());
        Some(Self {
            sent: record.bytes_acked.saturating_sub(syn + fin),
            received: record.bytes_received.saturating_sub(u64::from(record.has(flag::DONE))),
            retransmits: record.total_retrans,
        })
    }
}
