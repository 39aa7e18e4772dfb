//! The handshake, and how a connection keeps it until the connection is reported.

use tracer_wire::{Record, flag};

use tracer_event::update::{Handshake, Role};

/// No round trip was measured.
const NO_RTT: u32 = u32::MAX;

/// A [`Handshake`] in 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// The kernel measures in whole microseconds.
    rtt_us: u32,
    local_isn: u32,
    peer_isn: u32,
    syn_retransmits: u16,
    duration: Duration,
    /// It comes from a full record; of a classic one only the duration is known.
    counted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Duration {
    Unknown,
    /// The round trip.
    Rtt,
    /// The stay in the state before ESTABLISHED.
    Stay,
}

impl Opening {
    pub(super) fn new(handshake: &Handshake) -> Self {
        let Handshake { duration_ns, rtt_ns, syn_retransmits, local_isn, peer_isn } = *handshake;
        let rtt_us = rtt_ns.and_then(|rtt| u32::try_from(rtt / 1_000).ok());
        Self {
            rtt_us: rtt_us.unwrap_or(NO_RTT),
            local_isn: local_isn.unwrap_or_default(),
            peer_isn: peer_isn.unwrap_or_default(),
            syn_retransmits: syn_retransmits
                .map_or(0, |count| u16::try_from(count).unwrap_or(u16::MAX)),
            duration: match duration_ns {
                None => Duration::Unknown,
                _ if duration_ns == rtt_ns => Duration::Rtt,
                Some(_) => Duration::Stay,
            },
            counted: local_isn.is_some(),
        }
    }

    /// With the time in the state before ESTABLISHED, where that is known.
    pub(super) fn handshake(self, stay: Option<u64>) -> Handshake {
        let Self { rtt_us, local_isn, peer_isn, syn_retransmits, duration, counted } = self;
        let rtt_ns = (rtt_us != NO_RTT).then(|| u64::from(rtt_us) * 1_000);
        Handshake {
            duration_ns: match duration {
                Duration::Unknown => None,
                Duration::Rtt => rtt_ns,
                Duration::Stay => stay,
            },
            rtt_ns,
            syn_retransmits: counted.then(|| u32::from(syn_retransmits)),
            local_isn: counted.then_some(local_isn),
            peer_isn: counted.then_some(peer_isn),
        }
    }
}

/// Whole milliseconds: a server that has not measured the round trip itself takes the timestamp that
/// comes back for it, and where it has answered with a SYN cookie there are options in its lowest bits
/// (`cookie_init_timestamp`), so that it says nothing.
const TIMESTAMP_US: u32 = 1_000;

/// What the kernel knows of the handshake at `→ ESTABLISHED`; `elapsed` is the time since the
/// SYN.
///
/// Sequence numbers, measured on 5.10–7.2 against the segments: the kernel keeps no initial ones,
/// but counts bytes from them. The active side's count includes its SYN.
pub fn handshake(record: &Record, role: Option<Role>, elapsed: Option<u64>) -> Handshake {
    if record.has(flag::CLASSIC) {
        let duration_ns = elapsed.filter(|_| role == Some(Role::Client));
        return Handshake {
            duration_ns,
            rtt_ns: None,
            syn_retransmits: None,
            local_isn: None,
            peer_isn: None,
        };
    }
    let server = role == Some(Role::Server);
    let rtt_us = record.srtt_us >> 3;
    let may_be_of_cookie =
        server && record.total_retrans == 0 && rtt_us.is_multiple_of(TIMESTAMP_US);
    let rtt_ns = (rtt_us != 0 && !may_be_of_cookie).then(|| u64::from(rtt_us) * 1_000);
    let syn = u32::from(server);
    Handshake {
        duration_ns: if server { rtt_ns } else { elapsed },
        rtt_ns,
        syn_retransmits: Some(record.total_retrans),
        local_isn: Some(record.snd_una.wrapping_sub(record.bytes_acked as u32).wrapping_sub(syn)),
        peer_isn: Some(record.rcv_nxt.wrapping_sub(record.bytes_received as u32).wrapping_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    proptest! {
        #[test]
        fn a_handshake_stays_as_it_was(
            stay in prop::option::of(any::<u64>()),
            rtt_us in prop::option::of(0..u32::MAX / 8),
            told in prop::option::of(any::<(u16, u32, u32)>()),
            by_rtt: bool,
        ) {
            let rtt_ns = rtt_us.map(|rtt| u64::from(rtt) * 1_000);
            let handshake = Handshake {
                duration_ns: if by_rtt { rtt_ns } else { stay },
                rtt_ns,
                syn_retransmits: told.map(|(count, ..)| u32::from(count)),
                local_isn: told.map(|(_, local, _)| local),
                peer_isn: told.map(|(.., peer)| peer),
            };
            prop_assert_eq!(Opening::new(&handshake).handshake(stay), handshake);
        }
    }

    #[rstest]
    #[case::measured(Role::Server, 43_001, 0, true)]
    #[case::of_a_cookie(Role::Server, 43_000, 0, false)]
    #[case::answered_twice(Role::Server, 43_000, 1, true)]
    #[case::a_client(Role::Client, 43_000, 0, true)]
    fn what_a_cookie_s_timestamp_says_is_no_round_trip(
        #[case] role: Role,
        #[case] rtt_us: u32,
        #[case] total_retrans: u32,
        #[case] is_known: bool,
    ) {
        let record = Record { srtt_us: rtt_us << 3, total_retrans, ..Record::EMPTY };
        let told = handshake(&record, Some(role), None).rtt_ns;
        assert_eq!(told, is_known.then_some(u64::from(rtt_us) * 1_000));
    }

    #[test]
    fn it_takes_little() {
        assert_eq!(size_of::<Option<Opening>>(), 16);
    }
}
