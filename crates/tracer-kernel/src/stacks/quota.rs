//! Whose symbols are read again after a failure, and when: a damaged program, on purpose or not, must
//! not take the time of the others.

use std::time::{Duration, Instant};

use crate::{bounded::Bounded, process::ProcessKey};

/// A process is tried this often: the machine may have been busy.
const ATTEMPTS: u8 = 2;
/// Pause of an owner after a failure, twice as long after each further one, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// More failures than this are not remembered.
const REMEMBERED: usize = 1 << 12;

/// What has failed.
#[derive(Debug, Default)]
pub(super) struct Quota {
    processes: Bounded<ProcessKey, u8, REMEMBERED>,
    owners: Bounded<u64, Pause, REMEMBERED>,
}

#[derive(Debug)]
struct Pause {
    failures: u32,
    until: Instant,
}

/// Whether there may be another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chance {
    Now,
    Later,
    Never,
}

impl Quota {
    pub(super) fn chance(&self, process: ProcessKey, owner: u64, now: Instant) -> Chance {
        if !self.has_chance(process) {
            Chance::Never
        } else if self.owners.get(&owner).is_some_and(|pause| now < pause.until) {
            Chance::Later
        } else {
            Chance::Now
        }
    }

    /// Whether a process may be tried once more, sooner or later.
    pub(super) fn has_chance(&self, process: ProcessKey) -> bool {
        self.processes.get(&process).is_none_or(|&failures| failures < ATTEMPTS)
    }

    pub(super) fn failed(&mut self, process: ProcessKey, owner: u64, now: Instant) {
        *self.processes.get_or_insert_with(process, u8::default) += 1;
        let new = || Pause { failures: 0, until: now };
        let pause = self.owners.get_or_insert_with(owner, new);
        pause.until = now + LONGEST_PAUSE.min(FIRST_PAUSE * 2u32.saturating_pow(pause.failures));
        pause.failures += 1;
    }

    pub(super) fn worked(&mut self, owner: u64) {
        if let Some(pause) = self.owners.get_mut(&owner) {
            pause.failures = pause.failures.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_waits_longer_each_time_and_others_do_not() {
        let mut quota = Quota::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for pid in 0..12 {
            quota.failed((pid, 0), 7, now);
            assert_eq!(quota.chance((99, 0), 8, now), Chance::Now, "another owner");
            let begun = now;
            while quota.chance((98, 0), 7, now) == Chance::Later {
                now += Duration::from_secs(1);
            }
            pauses.push((now - begun).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn a_process_is_given_up_and_an_owner_is_not() {
        let mut quota = Quota::default();
        let now = Instant::now();
        quota.failed((1, 0), 7, now);
        let later = now + Duration::from_secs(1000);
        assert_eq!(quota.chance((1, 0), 7, later), Chance::Now);
        quota.failed((1, 0), 7, now);
        assert_eq!(quota.chance((1, 0), 7, later), Chance::Never);
        assert_eq!(quota.chance((1, 1), 7, later), Chance::Now, "another one with its number");
    }
}
