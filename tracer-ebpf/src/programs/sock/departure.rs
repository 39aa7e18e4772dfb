//! Whether the segment of a change of state leaves with it.
//!
//! The tracepoint fires before the kernel sends. What it will do follows from the windows: this is
//! what `tcp_write_xmit` asks of a FIN with what is unsent before it. Left out are pacing and the
//! limit on what may wait in the device (`tcp_small_queue_check`): they delay by milliseconds.

use tracer_wire::{Record, segment, state};

use super::Full;
use crate::programs::{
    constants::{constant, offset},
    memory::Memory,
};

impl Full {
    /// Which of SYN and FIN leaves with a change to `new`.
    #[inline(always)]
    pub(in crate::programs) fn describe_departure(self, record: &mut Record, new: u8) {
        match new {
            // TCP_FASTOPEN_CONNECT: the SYN waits for the first data.
            state::SYN_SENT if !self.0.bit(offset!(fastopen_connect)) => {
                record.segment_flags = segment::SYN;
            }
            state::FIN_WAIT1 | state::LAST_ACK if self.fin_leaves(record) => {
                record.segment_flags = segment::FIN;
            }
            _ => {}
        }
    }

    /// The FIN needs room in the peer's window as a byte does, and in the congestion window with what
    /// is unsent before it; before 6.10 it needed none there by itself (`tcp_cwnd_test`).
    #[inline(always)]
    fn fin_leaves(self, record: &Record) -> bool {
        let window: u32 = self.0.load(offset!(snd_wnd));
        let packets: u32 = self.0.load(offset!(snd_cwnd));
        let size: u32 = self.0.load(offset!(mss_cache));
        let free = packets.saturating_sub(self.in_flight());
        let is_exempt = constant!(SETTINGS.has_reset_reason) == 0;
        let end = record.write_seq.wrapping_add(1);
        let right_edge = record.snd_una.wrapping_add(window);
        let unsent = record.write_seq.wrapping_sub(record.snd_nxt);
        let room = u64::from(free) * u64::from(size);
        let has_room = if unsent == 0 { free > 0 || is_exempt } else { u64::from(unsent) <= room };
        (right_edge.wrapping_sub(end) as i32) >= 0 && has_room
    }

    /// Segments that are in the network (`tcp_packets_in_flight`): those that are lost or have arrived
    /// out of order are not, unless they are retransmitted.
    #[inline(always)]
    fn in_flight(self) -> u32 {
        let out: u32 = self.0.load(offset!(packets_out));
        let arrived: u32 = self.0.load(offset!(sacked_out));
        let lost: u32 = self.0.load(offset!(lost_out));
        let again: u32 = self.0.load(offset!(retrans_out));
        out.wrapping_sub(arrived).wrapping_sub(lost).wrapping_add(again)
    }
}
