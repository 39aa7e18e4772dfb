//! Socket options that the safe interfaces do not offer.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// Sets an option of TCP (`libc::TCP_…`) to a number.
///
/// # Errors
///
/// Where the kernel refuses it.
pub fn set_tcp(socket: &impl AsFd, option: i32, value: i32) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, option, value)
}

/// The same of another level (`libc::IPPROTO_…`).
///
/// # Errors
///
/// Where the kernel refuses it.
pub fn set(socket: &impl AsFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value lives through the call and is as large as said.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
