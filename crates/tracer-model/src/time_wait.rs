//! When the kernel removes a minisocket, to the jiffy.
//!
//! TIME_WAIT is armed for 60 s (`TCP_TIMEWAIT_LEN`), but the timer wheel fires later than asked:
//! the further away, the coarser (`calc_wheel_index`, kernel/time/timer.c, 4.8 and later).

pub use tracer_event::state::TIME_WAIT_SECONDS;

/// `LVL_CLK_SHIFT`: each level of the wheel is eight times coarser than the one below.
const LEVEL_SHIFT: u32 = 3;
/// `LVL_SIZE`: 64 buckets a level.
const LEVEL_SIZE: u64 = 64;

/// The kernel's tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// Ticks a second (`CONFIG_HZ`).
    pub hz: u64,
}

impl Default for Ticks {
    /// As most distributions build their kernels.
    fn default() -> Self {
        Self { hz: 250 }
    }
}

impl Ticks {
    /// The jiffy at which a timer armed at `now` for `expires` fires.
    pub fn fires_at(self, now: u64, expires: u64) -> u64 {
        let delta = expires.saturating_sub(now);
        let mut level = 0;
        // LVL_START(n) = (LVL_SIZE - 1) << ((n - 1) * LVL_CLK_SHIFT)
        while level < 8 && delta >= (LEVEL_SIZE - 1) << (level * LEVEL_SHIFT) {
            level += 1;
        }
        let shift = level * LEVEL_SHIFT;
        (expires >> shift).saturating_add(1) << shift
    }

    /// Nanoseconds from jiffy `now` to the removal of a minisocket armed at `now` for `seconds`.
    pub fn removal_in(self, now: u64, seconds: u64) -> u64 {
        self.nanoseconds(self.fires_at(now, now + seconds * self.hz) - now)
    }

    /// Length of `ticks`, nanoseconds.
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        ticks * (1_000_000_000 / self.hz)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// `((expires >> s) + 1) << s` with s as measured.
    #[rstest]
    #[case(100, 9)]
    #[case(250, 9)]
    #[case(1000, 12)]
    fn sixty_seconds_fall_into_the_measured_level(#[case] hz: u64, #[case] shift: u32) {
        for now in [0, 1, 511, 4_294_967_295, 4_295_029_123] {
            let expires = now + 60 * hz;
            assert_eq!(Ticks { hz }.fires_at(now, expires), ((expires >> shift) + 1) << shift);
        }
    }

    proptest! {
        #[test]
        fn a_timer_never_fires_early_nor_much_too_late(now in 0u64..1 << 40, delta in 1u64..1 << 20) {
            let fires = Ticks { hz: 250 }.fires_at(now, now + delta);
            prop_assert!(fires > now + delta);
            prop_assert!(fires - now - delta <= delta / 7 + 1);
        }
    }
}
