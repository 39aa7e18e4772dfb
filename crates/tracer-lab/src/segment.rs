//! TCP segments as bytes.

use std::net::Ipv4Addr;

/// Flags of a segment.
pub mod flag {
    /// Ends the sender's direction.
    pub const FIN: u8 = 1;
    /// Opens the sender's direction.
    pub const SYN: u8 = 2;
    /// Aborts the connection.
    pub const RST: u8 = 4;
    /// Pushes the data to the application.
    pub const PSH: u8 = 8;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 16;
}

const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const ICMP: u8 = 1;
const TCP: u8 = 6;

/// A segment without options (those received are passed over).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Port of the sender.
    pub source: u16,
    /// Port of the receiver.
    pub target: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Of [`flag`].
    pub flags: u8,
    /// Receive window.
    pub window: u16,
    /// Payload.
    pub data: Vec<u8>,
}

impl Segment {
    /// Whether exactly these of SYN, FIN, RST and ACK are set.
    pub fn is(&self, flags: u8) -> bool {
        self.flags & (flag::SYN | flag::FIN | flag::RST | flag::ACK) == flags
    }

    /// Sequence numbers that it takes.
    pub fn length(&self) -> u32 {
        let flags = (self.flags & (flag::SYN | flag::FIN)).count_ones();
        u32::try_from(self.data.len()).expect("a short segment") + flags
    }

    /// Reads an IP packet; `None` if it is none with a segment.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 if *packet.get(9)? == TCP => {
                let header = usize::from(packet[0] & 15) * 4;
                let total = u16::from_be_bytes([packet[2], packet[3]]);
                Self::read(packet.get(header..total.into())?)
            }
            // Without extension headers.
            6 if *packet.get(6)? == TCP => {
                let length = u16::from_be_bytes([packet[4], packet[5]]);
                Self::read(packet.get(IPV6_HEADER..IPV6_HEADER + usize::from(length))?)
            }
            _ => None,
        }
    }

    fn read(segment: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u32::from_be_bytes(segment.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            source: short(0)?,
            target: short(2)?,
            sequence: long(4)?,
            acknowledgement: long(8)?,
            flags: *segment.get(13)?,
            window: short(14)?,
            data: segment.get(usize::from(segment[12] >> 4) * 4..)?.to_vec(),
        })
    }

    /// The IPv4 packet.
    pub fn packet(&self, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TCP_HEADER + self.data.len());
        bytes.extend(self.source.to_be_bytes());
        bytes.extend(self.target.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([0x50, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&self.data);
        let sum = segment_checksum(from, to, &bytes).expect("a short segment");
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        ip(TCP, from, to, &bytes)
    }
}

/// The message that the destination of `packet` cannot be reached.
pub fn icmp_unreachable(code: u8, from: Ipv4Addr, to: Ipv4Addr, packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![3, code, 0, 0, 0, 0, 0, 0];
    bytes.extend(&packet[..IP_HEADER + 8]);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    ip(ICMP, from, to, &bytes)
}

fn ip(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(IP_HEADER + body.len()).expect("a short packet");
    let mut bytes = vec![0x45, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// Checksum of a segment in which that field is 0, with its pseudo header (RFC 9293, 3.1).
fn segment_checksum(from: Ipv4Addr, to: Ipv4Addr, segment: &[u8]) -> Option<u16> {
    let length = u16::try_from(segment.len()).ok()?;
    let mut pseudo = [from.octets(), to.octets()].concat();
    pseudo.extend([0, TCP]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend(segment);
    Some(checksum(&pseudo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let segment = Segment {
            source: 40_001,
            target: 80,
            sequence: 7,
            flags: flag::PSH | flag::ACK,
            data: b"odd".to_vec(),
            ..Segment::default()
        };
        let packet = segment.packet(Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED);
        assert_eq!(Segment::parse(&packet), Some(segment));
        // A sum over itself is zero.
        assert_eq!(checksum(&packet[..IP_HEADER]), 0);
    }

    #[test]
    fn what_is_cut_short_is_no_segment() {
        let packet = Segment::default().packet(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        for length in 0..packet.len() {
            assert_eq!(Segment::parse(&packet[..length]), None);
        }
    }
}
