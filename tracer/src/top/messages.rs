//! Diagnostics go to standard error, or to a line of the screen while there is one.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Messages kept for the screen; the oldest are dropped.
const KEPT: usize = 100;

struct Diverted {
    /// There is a screen.
    up: bool,
    lines: VecDeque<String>,
}

static DIVERTED: Mutex<Diverted> = Mutex::new(Diverted { up: false, lines: VecDeque::new() });

fn lock() -> MutexGuard<'static, Diverted> {
    DIVERTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writer of diagnostics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages;

impl io::Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut diverted = lock();
        if !diverted.up {
            return io::stderr().write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        for line in anstream::adapter::strip_str(&text).to_string().lines() {
            if diverted.lines.len() == KEPT {
                diverted.lines.pop_front();
            }
            diverted.lines.push_back(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is written from now on for the screen.
pub(super) fn divert() {
    lock().up = true;
}

/// The messages written since the last call.
pub(super) fn take() -> Vec<String> {
    lock().lines.drain(..).collect()
}

/// Writes to standard error again, first of all what the screen has not shown.
pub(super) fn release() {
    let mut diverted = lock();
    diverted.up = false;
    for line in diverted.lines.drain(..) {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
