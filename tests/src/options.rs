//! Socket options that the safe interfaces do not offer.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// Sets an option of TCP to a number.
pub fn set_tcp(socket: &impl AsFd, option: i32, value: i32) {
    let size = libc::socklen_t::try_from(size_of::<i32>()).expect("a small number");
    // SAFETY: the value lives through the call and is as large as said.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size,
        )
    };
    assert_eq!(result, 0, "option {option} of TCP: {}", io::Error::last_os_error());
}
