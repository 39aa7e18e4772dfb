//! Where diagnostics go: to standard error, but while a screen is up to a line of it.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// More than this many are not kept; the oldest go.
const KEPT: usize = 100;

struct Diverted {
    /// A screen is up.
    up: bool,
    lines: VecDeque<String>,
}

static DIVERTED: Mutex<Diverted> = Mutex::new(Diverted { up: false, lines: VecDeque::new() });

fn lock() -> MutexGuard<'static, Diverted> {
    DIVERTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What diagnostics are written to.
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

/// A screen is up: what is written from now on is kept for it.
pub(super) fn divert() {
    lock().up = true;
}

/// What has been written since the last call.
pub(super) fn take() -> Vec<String> {
    lock().lines.drain(..).collect()
}

/// The screen is gone; what it has not shown is written now.
pub(super) fn release() {
    let mut diverted = lock();
    diverted.up = false;
    for line in diverted.lines.drain(..) {
        // Nobody may be left to read it.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
