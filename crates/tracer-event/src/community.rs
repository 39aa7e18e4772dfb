//! Community ID, version 1 (<https://github.com/corelight/community-id-spec>): the name that Zeek,
//! Suricata and others give a flow, from its addresses and ports alone; both ends have the same one,
//! unless something between them rewrites addresses.

use std::net::IpAddr;

use arrayvec::{ArrayString, ArrayVec};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Serialize, Serializer};
use sha1::{Digest as _, Sha1};

use super::endpoint::{Endpoint, Tuple};

const VERSION: &str = "1:";
/// What all tools take unless they are told otherwise.
const SEED: [u8; 2] = [0; 2];
/// `IPPROTO_TCP`, and a byte that fills up.
const TCP: [u8; 2] = [6, 0];

/// Bytes of 20 bytes in base64.
const ENCODED: usize = 28;

/// A Community ID: each connection has another one, so it takes no memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommunityId(ArrayString<{ VERSION.len() + ENCODED }>);

impl CommunityId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for CommunityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The Community IDs of late: the two ends of a connection within one host have the same one, and
/// are over at about the same time.
#[derive(Debug)]
pub struct Recent([Option<(Tuple, CommunityId)>; 64]);

impl Default for Recent {
    fn default() -> Self {
        Self([None; 64])
    }
}

impl Recent {
    /// That of a tuple.
    pub fn of(&mut self, tuple: &Tuple) -> CommunityId {
        let place = usize::from(tuple.local.port ^ tuple.peer.port) % self.0.len();
        match &mut self.0[place] {
            Some((known, id)) if (known.local, known.peer) == (tuple.peer, tuple.local) => *id,
            place => place.insert((*tuple, tuple.community_id())).1,
        }
    }
}

impl Tuple {
    /// Its Community ID.
    pub fn community_id(&self) -> CommunityId {
        let mut encoded = [0; ENCODED];
        // It has room for all of it, and base64 is ASCII.
        let len = BASE64_STANDARD.encode_slice(self.community(), &mut encoded).unwrap_or_default();
        let mut text = ArrayString::new();
        text.push_str(VERSION);
        text.push_str(str::from_utf8(&encoded[..len]).unwrap_or_default());
        CommunityId(text)
    }

    /// The first four bytes of what its Community ID encodes, as a number: the same on both ends.
    pub fn digest(&self) -> u32 {
        let [first, second, third, fourth, ..] = self.community();
        u32::from_be_bytes([first, second, third, fourth])
    }

    fn community(&self) -> [u8; 20] {
        let bytes = |end: Endpoint| (octets(end.address()), end.port);
        let (local, peer) = (bytes(self.local), bytes(self.peer));
        let (first, second) = if local <= peer { (local, peer) } else { (peer, local) };
        let mut hash = Sha1::new();
        hash.update(SEED);
        hash.update(first.0);
        hash.update(second.0);
        hash.update(TCP);
        hash.update(first.1.to_be_bytes());
        hash.update(second.1.to_be_bytes());
        hash.finalize().into()
    }
}

fn octets(address: IpAddr) -> ArrayVec<u8, 16> {
    match address {
        IpAddr::V4(address) => address.octets().into_iter().collect(),
        IpAddr::V6(address) => address.octets().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The first is of the specification's own table, the others are what its reference
    /// implementation says (communityid 1.5 of PyPI).
    #[rstest]
    #[case("128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=")]
    #[case("2001:db8::1", 40000, "2001:db8::2", 443, "1:RYG3Msb11GthNt1OYXJouPzmrvA=")]
    #[case("127.0.0.1", 40000, "127.0.0.1", 8080, "1:KtokAHyz+LpmkWAFBK/+HjzP3tE=")]
    fn both_ends_have_the_id_that_other_tools_have(
        #[case] local: &str,
        #[case] local_port: u16,
        #[case] peer: &str,
        #[case] peer_port: u16,
        #[case] expected: &str,
    ) {
        let end = |address: &str, port| Endpoint::new(address.parse().unwrap(), port);
        let (local, peer) = (end(local, local_port), end(peer, peer_port));
        for (local, peer) in [(local, peer), (peer, local)] {
            assert_eq!(Tuple { local, peer, netns: 1 }.community_id().as_str(), expected);
        }
    }

    #[test]
    fn what_was_asked_for_of_late_is_of_the_same_connection() {
        let mut recent = Recent::default();
        let end = |last: u8, port| Endpoint::new([10, 0, 0, last].into(), port);
        // Several in each place, each from both ends and again.
        for port in (1..400_u16).chain(1..400) {
            let tuple = Tuple { local: end(1, port), peer: end((port % 7) as u8, 80), netns: 1 };
            for tuple in [tuple, tuple.reversed(), tuple] {
                assert_eq!(recent.of(&tuple), tuple.community_id());
            }
        }
    }
}
