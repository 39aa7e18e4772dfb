//! Repeated failures: reported once, counted, retried after growing pauses.

use std::time::{Duration, Instant};

use tracer_event::duration::count;

/// The first pause; each further one is twice as long.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause before the next attempt.
const LONGEST: Duration = Duration::from_secs(60);
/// The first interval between two reports of something that works and fails in turns.
const QUIET: Duration = Duration::from_secs(10);
/// The longest such interval.
const QUIETEST: Duration = Duration::from_secs(600);

/// Attempts at something that may fail.
#[derive(Debug, Default)]
pub struct Retry {
    failures: u64,
    next: Option<Instant>,
    pause: Duration,
}

impl Retry {
    /// Whether it is time for an attempt.
    pub fn is_due(&self) -> bool {
        self.next.is_none_or(|next| Instant::now() >= next)
    }

    /// Whether the last attempt has failed.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// An attempt has failed; true the first time, when it should be reported.
    pub fn failed(&mut self) -> bool {
        self.pause = (self.pause * 2).clamp(SHORTEST, LONGEST);
        self.next = Some(Instant::now() + self.pause);
        self.failures += 1;
        self.failures == 1
    }

    /// It is over; how often it had failed.
    pub fn over(&mut self) -> u64 {
        std::mem::take(self).failures
    }

    /// The next attempt is due now: somebody has asked for it.
    pub fn hurry(&mut self) {
        self.next = None;
    }
}

/// Limits how often a recurring failure is reported.
#[derive(Debug, Default)]
pub struct Seldom {
    said: Option<Instant>,
    pause: Duration,
    held: u64,
}

impl Seldom {
    /// `None` where it is not to be reported now; else how often it was held back since the last
    /// report.
    pub fn say(&mut self) -> Option<u64> {
        let passed = self.said.map(|said| said.elapsed());
        if passed.is_some_and(|passed| passed < self.pause) {
            self.held += 1;
            return None;
        }
        let recurs = passed.is_some_and(|passed| passed < 2 * self.pause);
        self.pause = if recurs { (2 * self.pause).min(QUIETEST) } else { QUIET };
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.held))
    }
}

/// A note on how often a report was held back.
pub fn again(held: u64) -> String {
    if held == 0 {
        String::new()
    } else {
        format!(" (and {} since the last message)", count(held, "time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute_and_only_the_first_failure_is_said() {
        let mut retry = Retry::default();
        assert!(retry.is_due());
        let said: Vec<bool> = (0..8).map(|_| retry.failed()).collect();
        assert_eq!(said, [true, false, false, false, false, false, false, false]);
        assert!(!retry.is_due());
        assert_eq!(retry.pause, LONGEST);
        retry.hurry();
        assert!(retry.is_due());
        assert_eq!(retry.over(), 8);
        assert!(retry.is_due() && retry.failed());
        assert_eq!(retry.pause, SHORTEST);
    }

    #[test]
    fn what_comes_and_goes_is_not_said_each_time() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.say(), Some(0));
        assert!((0..1000).all(|_| seldom.say().is_none()));
        seldom.said = seldom.said.and_then(|said| said.checked_sub(QUIET));
        assert_eq!(seldom.say(), Some(1000));
        assert_eq!(seldom.pause, 2 * QUIET, "it has come back soon");
    }
}
