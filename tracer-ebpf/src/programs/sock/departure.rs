//! Whether the segment of a change of state leaves with it.
//!
//! The tracepoint fires before the kernel sends. What it will do follows from the windows: this is
//! what `tcp_write_xmit` asks of a FIN with what is unsent before it. Left out are pacing and the
//! limit on what may wait in the device (`tcp_small_queue_check`): they delay by milliseconds.

use tracer_wire::{Record, segment, state};

use super::Full;
use crate::programs::{constants::offset, memory::Memory};

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

    /// The FIN needs room in the peer's window as a byte does; what is unsent before it needs room
    /// in the congestion window as well, of which the FIN itself is exempt (`tcp_cwnd_test`).
    #[inline(always)]
    fn fin_leaves(self, record: &Record) -> bool {
        let window: u32 = self.0.load(offset!(snd_wnd));
        let packets: u32 = self.0.load(offset!(snd_cwnd));
        let out: u32 = self.0.load(offset!(packets_out));
        let size: u32 = self.0.load(offset!(mss_cache));
        let end = record.write_seq.wrapping_add(1);
        let right_edge = record.snd_una.wrapping_add(window);
        let unsent = record.write_seq.wrapping_sub(record.snd_nxt);
        let room = u64::from(packets.saturating_sub(out)) * u64::from(size);
        (right_edge.wrapping_sub(end) as i32) >= 0 && (unsent == 0 || u64::from(unsent) <= room)
    }
}
