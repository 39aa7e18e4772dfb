//! Whether standard output was closed from the start, as by `tracer >&-`.
//!
//! Before `main` Rust opens /dev/null in the place of a closed stream, and what is written there is
//! lost without an error. So it is looked at earlier.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

static IS_CLOSED: AtomicBool = AtomicBool::new(false);

extern "C" fn look() {
    // SAFETY: the call has no memory to be right about.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    IS_CLOSED.store(flags < 0, Ordering::Relaxed);
}

// SAFETY: the C library calls what this section points to, once, before `main`; the function is of
// the type that it wants, and needs nothing that is set up later.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// # Errors
///
/// Where nothing can be written to standard output because there is none.
pub(super) fn ensure_open() -> io::Result<()> {
    if IS_CLOSED.load(Ordering::Relaxed) {
        return Err(io::Error::other("it is closed (>&-); redirect it to a file or to /dev/null"));
    }
    Ok(())
}
