//! Timers of a socket, which only snapshots read.

use crate::{Record, kind, state};

/// What decides when the kernel asks a silent peer, and when it gives up.
///
/// Nobody acts in a snapshot: the places that other records have for the process on the CPU
/// ([`Record::comm`] and [`Record::start_ns`]) are these here, so that no record grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// `icsk_user_timeout` (`TCP_USER_TIMEOUT`), milliseconds, 0 for none.
    pub user_timeout: u32,
    /// `keepalive_time` (`TCP_KEEPIDLE`), jiffies; 0 where the namespace's setting holds.
    pub keepalive_time: u32,
    /// `keepalive_intvl` (`TCP_KEEPINTVL`), jiffies; 0 where the namespace's setting holds.
    pub keepalive_intvl: u32,
    /// `icsk_rto`: the retransmission time-out as it is now, jiffies.
    pub rto: u32,
    /// `retrans_stamp`: when the oldest segment was first retransmitted, in the low half of
    /// milliseconds of `CLOCK_MONOTONIC`; 0 where none is.
    pub retrans_stamp: u32,
    /// `icsk_backoff`: how often a time-out was doubled.
    pub backoff: u8,
    /// `icsk_probes_out`: probes of the window or of keepalive without an answer.
    pub probes_out: u8,
    /// `keepalive_probes` (`TCP_KEEPCNT`); 0 where the namespace's setting holds.
    pub keepalive_probes: u8,
    /// 1 with `SO_KEEPALIVE`.
    pub keepalive: u8,
}

crate::plain!(Timers);

const _: () = assert!(size_of::<Timers>() == 5 * 4 + 4);

impl Timers {
    /// Those of a full socket in a snapshot; `None` of any other record.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let is_full = record.kind == kind::SOCKET && record.new_state != state::LISTEN;
        is_full.then(|| {
            let words: [u8; 16] = record.comm;
            let word = |index: usize| {
                u32::from_ne_bytes([
                    words[index],
                    words[index + 1],
                    words[index + 2],
                    words[index + 3],
                ])
            };
            let [backoff, probes_out, keepalive_probes, keepalive, stamp @ ..] =
                record.start_ns.to_ne_bytes();
            Self {
                user_timeout: word(0),
                keepalive_time: word(4),
                keepalive_intvl: word(8),
                rto: word(12),
                retrans_stamp: u32::from_ne_bytes(stamp),
                backoff,
                probes_out,
                keepalive_probes,
                keepalive,
            }
        })
    }

    /// Puts them into a record of a snapshot.
    #[inline(always)]
    pub fn put(self, record: &mut Record) {
        let Self { user_timeout, keepalive_time, keepalive_intvl, rto, .. } = self;
        let words = [user_timeout, keepalive_time, keepalive_intvl, rto];
        // SAFETY: sixteen bytes either way.
        record.comm = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) };
        let [a, b, c, d] = self.retrans_stamp.to_ne_bytes();
        let Self { backoff, probes_out, keepalive_probes, keepalive, .. } = self;
        record.start_ns =
            u64::from_ne_bytes([backoff, probes_out, keepalive_probes, keepalive, a, b, c, d]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_into_a_snapshot_is_found_there_and_nowhere_else() {
        let timers = Timers {
            user_timeout: 0x0102_0304,
            keepalive_time: 0x1112_1314,
            keepalive_intvl: 0x2122_2324,
            rto: 0x3132_3334,
            retrans_stamp: 0x4142_4344,
            backoff: 5,
            probes_out: 6,
            keepalive_probes: 7,
            keepalive: 1,
        };
        let mut record = Record { kind: kind::SOCKET, ..Record::EMPTY };
        assert_eq!(Timers::of(&record), Some(Timers::EMPTY));
        timers.put(&mut record);
        assert_eq!(Timers::of(&record), Some(timers));
        for kind in [kind::STATE, kind::TIME_WAIT_SOCKET, kind::REQUEST_SOCKET] {
            assert_eq!(Timers::of(&Record { kind, ..record }), None);
        }
        assert_eq!(Timers::of(&Record { new_state: state::LISTEN, ..record }), None);
    }
}
