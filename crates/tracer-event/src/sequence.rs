//! The kernel's own sequence numbers and byte counters, and what follows from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::{Record, flag};

use super::{is_zero, subject::Role};

/// Sequence numbers and byte counters of a socket at one moment, the kernel's own.
///
/// The kernel keeps no initial numbers, but counts bytes from them: measured on 5.10–7.2 against
/// the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "SequenceBody", from = "SequenceBody")]
pub struct Sequence {
    /// First unacknowledged number.
    pub snd_una: u32,
    /// Next number to send.
    pub snd_nxt: u32,
    /// End of what the application has written; a FIN that is sent with this transition takes it.
    pub write_seq: u32,
    /// Next number expected from the peer; 0 before its SYN has come.
    pub rcv_nxt: u32,
    /// Acknowledged by the peer, bytes. Counts a FIN, and the SYN of the active side.
    pub acked: u64,
    /// Received in order, bytes. Counts a FIN.
    pub received: u64,
}

impl Sequence {
    /// From a wire record; `None` where it has none, as before the first segment.
    #[inline]
    pub fn of(record: &Record) -> Option<Self> {
        let Record { snd_una, snd_nxt, write_seq, rcv_nxt, .. } = *record;
        let (acked, received) = (record.bytes_acked, record.bytes_received);
        let known = !record.has(flag::CLASSIC) && (snd_una, rcv_nxt) != (0, 0);
        known.then_some(Self { snd_una, snd_nxt, write_seq, rcv_nxt, acked, received })
    }

    /// What they were when this end, a client, had sent its SYN and nothing else had happened.
    #[must_use]
    pub fn of_syn(&self) -> Self {
        let snd_una = self.local_initial(Role::Client);
        let end = snd_una.wrapping_add(1);
        Self { snd_una, snd_nxt: end, write_seq: end, rcv_nxt: 0, acked: 0, received: 0 }
    }

    /// Initial number of this end.
    pub fn local_initial(&self, role: Role) -> u32 {
        let syn = u32::from(role == Role::Server);
        self.snd_una.wrapping_sub(self.acked as u32).wrapping_sub(syn)
    }

    /// Initial number of the peer; `None` before its SYN has come.
    pub fn peer_initial(&self) -> Option<u32> {
        let begun = self.rcv_nxt != 0 || self.received != 0;
        begun.then(|| self.rcv_nxt.wrapping_sub(self.received as u32).wrapping_sub(1))
    }

    /// Payload that has left this end, bytes; a FIN counts as a byte once it has left.
    pub fn sent(&self, role: Role) -> u64 {
        let unacked = self.snd_nxt.wrapping_sub(self.snd_una);
        // A recording may say anything.
        let sent = self.acked.saturating_add(u64::from(unacked));
        sent.saturating_sub(u64::from(role == Role::Client))
    }

    /// What the application has written and this end has not sent, bytes.
    pub fn unsent(&self) -> u32 {
        self.write_seq.wrapping_sub(self.snd_nxt)
    }
}

/// Sequence numbers and byte counters, the kernel's own, as they are written: what follows from the
/// others is left out.
#[derive(Serialize, Deserialize, JsonSchema)]
struct SequenceBody {
    /// First unacknowledged number.
    snd_una: u32,
    /// Next number to send; left out where all that is written has been sent, that is where it is
    /// `write_seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    snd_nxt: Option<u32>,
    /// End of what the application has written; left out where it is `snd_una`.
    #[serde(skip_serializing_if = "Option::is_none")]
    write_seq: Option<u32>,
    /// Next number expected from the peer; left out before its SYN has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    rcv_nxt: Option<u32>,
    /// Acknowledged by the peer, a FIN and the SYN of the active side counted; left out where
    /// it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes_acked: u64,
    /// Received in order, a FIN counted; left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes_received: u64,
}

impl From<Sequence> for SequenceBody {
    fn from(sequence: Sequence) -> Self {
        let Sequence { snd_una, snd_nxt, write_seq, rcv_nxt, acked, received } = sequence;
        Self {
            snd_una,
            snd_nxt: (snd_nxt != write_seq).then_some(snd_nxt),
            write_seq: (write_seq != snd_una).then_some(write_seq),
            rcv_nxt: (rcv_nxt != 0 || received != 0).then_some(rcv_nxt),
            bytes_acked: acked,
            bytes_received: received,
        }
    }
}

impl From<SequenceBody> for Sequence {
    fn from(body: SequenceBody) -> Self {
        let SequenceBody { snd_una, snd_nxt, write_seq, rcv_nxt, bytes_acked, bytes_received } =
            body;
        let write_seq = write_seq.unwrap_or(snd_una);
        Self {
            snd_una,
            snd_nxt: snd_nxt.unwrap_or(write_seq),
            write_seq,
            rcv_nxt: rcv_nxt.unwrap_or(0),
            acked: bytes_acked,
            received: bytes_received,
        }
    }
}
