//! A TUN device: what the kernel sends over it is read here, and what is written here the kernel
//! receives. It lives as long as its descriptor.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, FileType, Mode, makedev, mknodat},
};

use crate::namespace::interface;

const DEVICE: &str = "/dev/net/tun";
/// Longest packet that is read, bytes.
const LONGEST: usize = 65_536;

/// An open device.
#[derive(Debug)]
pub struct Tun {
    file: File,
}

impl Tun {
    /// Makes the device, in the calling thread's namespace; it has no address and is down.
    ///
    /// # Errors
    ///
    /// Where the kernel has no TUN driver, and without `CAP_NET_ADMIN`.
    pub fn new(name: &str) -> io::Result<Self> {
        let file = open()?;
        let mut request = interface(name);
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF takes a pointer to an ifreq, which lives through the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if result == 0 { Ok(Self { file }) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives the kernel an IP packet.
    ///
    /// # Errors
    ///
    /// Where the device is down, or the packet is none.
    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.file).write_all(packet)
    }

    /// Waits for a packet of the kernel's; `None` if none comes in time.
    ///
    /// # Errors
    ///
    /// Where the device fails.
    pub fn read(&self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut polled, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            other => other?,
        };
        let mut packet = vec![0; LONGEST];
        let length = (&self.file).read(&mut packet)?;
        packet.truncate(length);
        Ok(Some(packet))
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Where the node is missing, one of our own leads to the same driver.
fn open() -> io::Result<File> {
    let open = |path: &str| OpenOptions::new().read(true).write(true).open(path);
    match open(DEVICE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let private = std::env::temp_dir().join(format!("tun-{}", rustix::thread::gettid()));
            // Without CAP_DAC_OVERRIDE, root may only do what the mode says.
            let own = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, &private, FileType::CharacterDevice, own, makedev(10, 200))?;
            let opened = open(private.to_str().unwrap_or_default());
            fs::remove_file(private)?;
            opened
        }
        other => other,
    }
}
