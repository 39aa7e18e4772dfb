//! What a socket has sent.

use crate::{Record, kind, state};

/// Segments with data over the life of a connection, modulo 2³².
///
/// In a snapshot, and where a state changes, no segment is sent again and no descriptor accepted: the
/// places of [`Record::segment_seq`] and [`Record::fd`] are these here, so that no record grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `tcp_sock.data_segs_out`, those that were sent again included; 0 also where this kernel does
    /// not say.
    pub segments: u32,
    /// `tcp_sock.total_retrans`: sent again. SYN and FIN count as well.
    pub again: u32,
    /// `tcp_sock.dsack_dups` (since 4.20): what the peer says it has received twice, which had not
    /// been lost.
    pub twice: u32,
}

impl Sent {
    /// Of a full socket in a snapshot, or whose state changes; `None` of any other record.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let is_full = matches!(record.kind, kind::SOCKET | kind::STATE | kind::STATE_CAUGHT)
            && record.new_state != state::LISTEN;
        let Record { segment_seq: segments, total_retrans: again, fd: twice, .. } = *record;
        is_full.then_some(Self { segments, again, twice })
    }

    /// What was sent since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            segments: self.segments.wrapping_sub(earlier.segments),
            again: self.again.wrapping_sub(earlier.again),
            twice: self.twice.wrapping_sub(earlier.twice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_socket_has_sent_anything_and_its_counters_may_wrap() {
        let record = |segment_seq, total_retrans, fd| Record {
            kind: kind::SOCKET,
            new_state: state::ESTABLISHED,
            segment_seq,
            total_retrans,
            fd,
            ..Record::EMPTY
        };
        let (earlier, now) = (record(u32::MAX, 3, 1), record(9, 5, 2));
        let since = Sent::of(&now).zip(Sent::of(&earlier)).map(|(now, earlier)| now.since(earlier));
        assert_eq!(since, Some(Sent { segments: 10, again: 2, twice: 1 }));
        for (kind, is_full) in [
            (kind::STATE, true),
            (kind::STATE_CAUGHT, true),
            (kind::RETRANSMIT, false),
            (kind::TIME_WAIT_SOCKET, false),
            (kind::REQUEST_SOCKET, false),
        ] {
            assert_eq!(Sent::of(&Record { kind, ..now }).is_some(), is_full);
        }
        assert_eq!(Sent::of(&Record { new_state: state::LISTEN, ..now }), None);
    }
}
