//! A network namespace in which nothing is but `lo`.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    thread::UnshareFlags,
};

use crate::error::{During as _, Result};

/// Puts the calling thread, and those that it starts, into a new network namespace with `lo` up;
/// its inode number.
///
/// # Errors
///
/// Without `CAP_SYS_ADMIN`, or where `lo` cannot be brought up.
pub fn enter() -> Result<u64> {
    // SAFETY: only CLONE_FILES could break something (descriptors that other threads rely on);
    // this leaves the descriptors alone.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
        .during("make a network namespace")?;
    bring_up("lo").during("bring up the loopback interface")?;
    let metadata = fs::metadata("/proc/thread-self/ns/net").during("look at the namespace")?;
    Ok(metadata.ino())
}

/// Sets a parameter of the calling thread's namespace, such as `net/ipv4/tcp_syncookies`.
///
/// # Errors
///
/// Where there is none of that name, or it does not take the value.
pub fn set(parameter: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{parameter}"), value).during(&format!("set {parameter}"))
}

/// Brings an interface up.
pub(crate) fn bring_up(name: &str) -> io::Result<()> {
    let mut request = interface(name);
    configure(libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has filled in the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    configure(libc::SIOCSIFFLAGS, &mut request)
}

/// Gives an interface, or an alias of one (`lo:1`), an IPv4 address.
pub(crate) fn give_address(name: &str, address: Ipv4Addr, mask: [u8; 4]) -> io::Result<()> {
    for (what, bytes) in [(libc::SIOCSIFADDR, address.octets()), (libc::SIOCSIFNETMASK, mask)] {
        let mut request = interface(name);
        let mut data = [0; 14];
        data[2..6].copy_from_slice(&bytes);
        let data = data.map(|byte: u8| byte as libc::c_char);
        request.ifr_ifru.ifru_addr =
            libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: data };
        configure(what, &mut request)?;
    }
    Ok(())
}

/// A request about an interface, nothing else filled in.
pub(crate) fn interface(name: &str) -> libc::ifreq {
    // SAFETY: zero is a value of every field of this C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let last = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..last].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn configure(what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let any = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    // SAFETY: these requests take a pointer to an ifreq, which lives through the call.
    let result = unsafe { libc::ioctl(any.as_fd().as_raw_fd(), what, &raw mut *request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
