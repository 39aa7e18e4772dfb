//! Socket options that the safe interfaces do not offer.

use std::os::fd::AsFd;

/// Sets an option of TCP to a number.
pub fn set_tcp(socket: &impl AsFd, option: i32, value: i32) {
    let set = tracer_lab::options::set_tcp(socket, option, value);
    set.unwrap_or_else(|error| panic!("option {option} of TCP: {error}"));
}
