//! Segments as they pass an interface, seen by `tcpdump`: what is on the wire without doubt.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::{Ipv4Addr, UdpSocket},
    process::{ChildStderr, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use crate::{clock::Moment, leashed::Leashed, segment::Segment, sockets::eventually};

/// Length of an Ethernet header, which `lo` has too.
const ETHERNET: usize = 14;
/// Of the file and of each packet in it (pcap, with microseconds or nanoseconds).
const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// The last packet of a capture.
const END: &[u8] = b"end of the capture";

/// A running `tcpdump`; killed when dropped.
#[derive(Debug)]
pub struct Capture {
    _child: Leashed,
    packets: Arc<Mutex<Vec<Packet>>>,
    /// Kept open: a message to nobody would end the program.
    _messages: BufReader<ChildStderr>,
}

#[derive(Clone, Debug)]
struct Packet {
    time: Moment,
    bytes: Vec<u8>,
}

/// A segment and when it passed.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The kernel's time stamp.
    pub time: Moment,
    /// The segment.
    pub segment: Segment,
}

impl Capture {
    /// Listens on an interface of the calling thread's namespace; returns when it does.
    ///
    /// What arrives is captured before `nft` can drop it; on `lo` each segment once.
    pub fn start(interface: &str) -> Self {
        // In immediate mode each packet takes as much of the buffer as the longest would: the usual
        // one has room for eight, and a burst is longer.
        let options = ["-Z", "root", "-n", "-U", "--immediate-mode", "-B", "65536"];
        let mut command = Command::new("tcpdump");
        command
            .args(options)
            .args(["--time-stamp-precision=nano", "-i", interface, "-w", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = Leashed::start(&mut command);
        let packets = Arc::default();
        let stdout = child.stdout.take().expect("a pipe");
        let into = Arc::clone(&packets);
        thread::spawn(move || collect(stdout, &into));
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut message = String::new();
        while !message.contains("listening on") {
            let length = messages.read_line(&mut message).expect("text");
            assert!(length > 0, "tcpdump ends: {message}");
        }
        Self { _child: child, packets, _messages: messages }
    }

    /// All segments that have passed until now.
    ///
    /// What has passed is read when a last packet, to an address that is reached over the
    /// interface, has been.
    pub fn finish(self, by: Ipv4Addr) -> Vec<Captured> {
        let last = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        let is_last = |packet: &Packet| packet.bytes.ends_with(END);
        eventually("the end of the capture", || {
            last.send_to(END, (by, 9)).expect("a packet that is sent");
            self.packets().iter().any(is_last)
        });
        let packets = self.packets();
        let segment = |packet: &Packet| {
            let segment = Segment::parse(packet.bytes.get(ETHERNET..)?)?;
            Some(Captured { time: packet.time, segment })
        };
        packets.iter().filter_map(segment).collect()
    }

    fn packets(&self) -> Vec<Packet> {
        self.packets.lock().expect("a capture that can be read").clone()
    }
}

/// Reads a pcap file while it is written (in this host's byte order).
fn collect(mut pcap: impl Read, into: &Mutex<Vec<Packet>>) {
    let mut header = [0; FILE_HEADER];
    if pcap.read_exact(&mut header).is_err() {
        return;
    }
    assert_eq!(number(&header), NANOSECONDS, "not a file of tcpdump's");
    let mut header = [0; PACKET_HEADER];
    while pcap.read_exact(&mut header).is_ok() {
        let [seconds, nanoseconds, length] = [0, 4, 8].map(|at| number(&header[at..]));
        let mut bytes = vec![0; length as usize];
        if pcap.read_exact(&mut bytes).is_err() {
            return;
        }
        let time = Moment::of_unix(seconds, nanoseconds);
        into.lock().expect("no panic elsewhere").push(Packet { time, bytes });
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes[..4].try_into().expect("four bytes"))
}
