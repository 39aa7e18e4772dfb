//! A TCP peer that sends whatever segment a test wants: the peer of a TUN device.
//!
//! The kernel's end of the device has the address [`HERE`]; whatever it sends to [`THERE`] is read
//! from the device instead of answered by another kernel.

use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    net::Ipv4Addr,
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, FileType, Mode, makedev, mknodat},
};

use crate::{
    netns::{Namespace, run},
    segment::{Segment, icmp_unreachable},
    slowness::allowed,
};

/// The kernel's address.
pub const HERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The address of the test.
pub const THERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

const NAME: &str = "wire0";
const DEVICE: &str = "/dev/net/tun";
/// How long a segment that must come may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// A TUN device of the namespace.
#[derive(Debug)]
pub struct Wire {
    tun: File,
    log: RefCell<Vec<Segment>>,
}

impl Wire {
    /// Makes the device, in the calling thread's namespace.
    pub fn new(namespace: &Namespace) -> io::Result<Self> {
        let tun = device(NAME)?;
        namespace.set(&format!("net/ipv6/conf/{NAME}/disable_ipv6"), "1");
        run("ip", &["address", "add", &format!("{HERE}/24"), "dev", NAME]);
        run("ip", &["link", "set", NAME, "up"]);
        Ok(Self { tun, log: RefCell::default() })
    }

    /// Sends a segment to the kernel.
    pub fn send(&self, segment: &Segment) {
        self.write(&segment.packet(THERE, HERE));
    }

    /// Answers a segment with the ICMP message "destination unreachable".
    pub fn unreachable(&self, code: u8, segment: &Segment) {
        self.write(&icmp_unreachable(code, THERE, HERE, &segment.packet(HERE, THERE)));
    }

    fn write(&self, packet: &[u8]) {
        (&self.tun).write_all(packet).expect("the device takes the packet");
    }

    /// Waits for a segment of the kernel; passes over others.
    #[track_caller]
    pub fn receive(&self, what: &str, wanted: impl Fn(&Segment) -> bool) -> Segment {
        let mut others = Vec::new();
        let deadline = Instant::now() + allowed(PATIENCE);
        while let Some(segment) = self.next(deadline) {
            if wanted(&segment) {
                return segment;
            }
            others.push(segment);
        }
        panic!("the kernel does not send {what}, but {others:?}");
    }

    /// What the kernel sends within a time.
    pub fn listen(&self, time: Duration) -> Vec<Segment> {
        let deadline = Instant::now() + time;
        std::iter::from_fn(|| self.next(deadline)).collect()
    }

    fn next(&self, deadline: Instant) -> Option<Segment> {
        let mut packet = [0; 4096];
        loop {
            let rest = deadline.checked_duration_since(Instant::now())?;
            let rest = Timespec::try_from(rest).expect("a short time");
            let mut polled = [PollFd::new(&self.tun, PollFlags::IN)];
            if poll(&mut polled, Some(&rest)).is_ok_and(|ready| ready == 0) {
                return None;
            }
            let length = (&self.tun).read(&mut packet).expect("a packet");
            if let Some(segment) = Segment::parse(&packet[..length]) {
                self.log.borrow_mut().push(segment.clone());
                return Some(segment);
            }
        }
    }

    /// All that the kernel has sent until now.
    pub fn log(&self) -> Vec<Segment> {
        self.listen(Duration::from_millis(1));
        self.log.borrow().clone()
    }
}

/// A TUN device of that name in the calling thread's namespace.
pub(crate) fn device(name: &str) -> io::Result<File> {
    let tun = open()?;
    attach(&tun, name)?;
    Ok(tun)
}

/// Where the node is missing, one of our own leads to the same driver.
fn open() -> io::Result<File> {
    let open = |path: &str| OpenOptions::new().read(true).write(true).open(path);
    match open(DEVICE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let private = std::env::temp_dir().join(format!("tun-{}", rustix::thread::gettid()));
            mknodat(CWD, &private, FileType::CharacterDevice, Mode::RUSR, makedev(10, 200))?;
            let opened = open(private.to_str().unwrap_or_default());
            fs::remove_file(private)?;
            opened
        }
        other => other,
    }
}

fn attach(tun: &File, name: &str) -> io::Result<()> {
    // SAFETY: zero is a value of every field of this C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).expect("flags of 16 bits");
    // SAFETY: TUNSETIFF takes a pointer to an ifreq.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
