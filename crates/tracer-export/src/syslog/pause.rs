//! When to connect again: at once, then after pauses that double.

use std::{
    io, thread,
    time::{Duration, Instant},
};

/// The first pause; a caller is held up no longer.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Between attempts to connect.
#[derive(Debug)]
pub(super) struct Pause {
    /// Since when, and for how long; `None`: at once.
    until: Option<(Instant, Duration)>,
    /// Why the last attempt failed.
    reason: Option<String>,
}

impl Pause {
    pub(super) fn none() -> Self {
        Self { until: None, reason: None }
    }

    /// Whether to try again now; else waits a while and says why not.
    pub(super) fn is_over(&self) -> io::Result<()> {
        if let Some((since, pause)) = self.until {
            let left = pause.saturating_sub(since.elapsed());
            thread::sleep(left.min(SHORTEST));
            if left > SHORTEST {
                let reason = self.reason.clone().unwrap_or_default();
                return Err(io::Error::new(io::ErrorKind::WouldBlock, reason));
            }
        }
        Ok(())
    }

    /// The attempt has failed; the error for the caller, who is to try again.
    pub(super) fn failed(&mut self, error: &io::Error) -> io::Error {
        let longer = |(_, pause): (Instant, Duration)| (pause * 2).clamp(SHORTEST, LONGEST);
        let pause = self.until.map_or(Duration::ZERO, longer);
        self.until = Some((Instant::now(), pause));
        self.reason = Some(error.to_string());
        io::Error::new(io::ErrorKind::WouldBlock, error.to_string())
    }
}
