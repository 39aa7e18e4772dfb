//! What a full socket's counters say of the whole connection.

use tracer_ebpf::{Record, flag};

use crate::model::update::Role;

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
    /// From the counters of a full socket: those of bytes include SYN and FIN
    /// (`tcp_snd_una_update`, `tcp_rcv_nxt_update`).
    pub fn of(record: &Record, role: Option<Role>, fin_sent: bool) -> Option<Self> {
        if record.has(flag::CLASSIC) {
            return None;
        }
        let syn = u64::from(role == Some(Role::Client) && record.bytes_acked > 0);
        let fin = u64::from(fin_sent && record.fin_acknowledged());
        Some(Self {
            sent: record.bytes_acked.saturating_sub(syn + fin),
            received: record.bytes_received.saturating_sub(u64::from(record.has(flag::DONE))),
            retransmits: record.total_retrans,
        })
    }
}
