//! Diagnostics go to standard error, or to a line of the screen while there is one.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Messages kept for the screen; the oldest are dropped.
const KEPT: usize = 100;

/// What the screen has not taken yet; `None` while there is no screen.
static DIVERTED: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<VecDeque<String>>> {
    DIVERTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writer of diagnostics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages;

impl io::Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut diverted = lock();
        let Some(kept) = &mut *diverted else { return io::stderr().write(bytes) };
        let text = String::from_utf8_lossy(bytes);
        for line in anstream::adapter::strip_str(&text).to_string().lines() {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is written from now on for the screen.
pub(super) fn divert() {
    lock().get_or_insert_default();
}

/// The messages written since the last call.
pub(super) fn take() -> Vec<String> {
    lock().as_mut().map(std::mem::take).into_iter().flatten().collect()
}

/// Writes to standard error again, first of all what the screen has not shown.
pub(super) fn release() {
    for line in lock().take().into_iter().flatten() {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
