//! Locks on an output file: a process that rotates it must be its only writer, or lines of others
//! would be lost.
//!
//! Locks of POSIX (fcntl), since these alone name their holder, in whose pid namespace it is seen.
//! They lie on the file itself, so that nothing is left beside it, far beyond its end: on all
//! places by whoever must be alone, on any one place by whoever may share. They end with the
//! process, or when it closes the file.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::AsRawFd as _,
};

/// Where the places begin.
const FIRST: i64 = 1 << 40;
/// How many there are.
const PLACES: i64 = 1 << 40;

/// Whether others may write to a file as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Others that only append, too.
    Shared,
    /// Nobody else.
    Alone,
}

/// Takes the lock, which the file's descriptor keeps. Where a file system has no locks, it goes
/// without.
///
/// # Errors
///
/// Where another process has one that excludes it.
pub(super) fn lock(file: &File, sharing: Sharing) -> io::Result<()> {
    let (start, len) = match sharing {
        Sharing::Alone => (FIRST, PLACES),
        Sharing::Shared => (FIRST + (RandomState::new().hash_one(()) as i64 & (PLACES - 1)), 1),
    };
    let mut place = place(start, len);
    match control(file, libc::F_SETLK, &mut place) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {}
        Err(error) => {
            tracing::info!("cannot lock the output file: {error}");
            return Ok(());
        }
        Ok(()) => return Ok(()),
    }
    let holder = control(file, libc::F_GETLK, &mut place).map(|()| place.l_pid);
    let holder = match holder {
        Ok(pid) if pid > 0 => format!("process {pid}"),
        _ => "a process of another pid namespace or host".into(),
    };
    Err(io::Error::other(format!(
        "{holder} writes to it, and one of the two sets it aside (--rotate-size, --rotate-age) or \
         must be alone (Parquet): choose another file, or end that process"
    )))
}

fn place(start: i64, len: i64) -> libc::flock {
    // SAFETY: a structure of integers, for which zero is valid.
    let mut place: libc::flock = unsafe { std::mem::zeroed() };
    place.l_type = libc::F_WRLCK as _;
    place.l_whence = libc::SEEK_SET as _;
    (place.l_start, place.l_len) = (start, len);
    place
}

fn control(file: &File, command: i32, place: &mut libc::flock) -> io::Result<()> {
    // SAFETY: both commands read a `flock`, one writes it; it lives longer than the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut *place) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
