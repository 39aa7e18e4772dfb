//! The kernel's clocks.

use std::{fs, sync::LazyLock};

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use tracer_event::wall_clock::WallClock;
use tracer_model::time_wait::Ticks;

/// How far the clocks of this process's time namespace are ahead of the kernel's.
static AHEAD: LazyLock<Ahead> = LazyLock::new(|| {
    Ahead::parse(&fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default())
});

/// Now, nanoseconds of the kernel's own `CLOCK_MONOTONIC`: the clock of `bpf_ktime_get_ns`.
pub fn monotonic() -> u64 {
    (nanoseconds(clock_gettime(ClockId::Monotonic)) - AHEAD.monotonic) as u64
}

/// A time of the kernel's own `CLOCK_BOOTTIME` as this process's `/proc` shows it, nanoseconds.
pub fn shown_since_boot(time: u64) -> u64 {
    (i128::from(time) + AHEAD.boot_time).max(0) as u64
}

/// Offsets of a time namespace (`time_namespaces(7)`), nanoseconds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ahead {
    monotonic: i128,
    boot_time: i128,
}

impl Ahead {
    /// Of `/proc/PID/timens_offsets`: a clock, seconds and nanoseconds on each line.
    fn parse(text: &str) -> Self {
        let offset = |clock: &str| {
            let mut words =
                text.lines().find_map(|line| line.strip_prefix(clock))?.split_whitespace();
            let mut number = || words.next()?.parse::<i64>().ok().map(i128::from);
            Some(number()? * 1_000_000_000 + number()?)
        };
        Self {
            monotonic: offset("monotonic").unwrap_or(0),
            boot_time: offset("boottime").unwrap_or(0),
        }
    }
}

/// Processor time of the calling thread, nanoseconds.
pub fn thread_cpu() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime)) as u64
}

/// The wall clock against the monotonic one, now.
pub fn wall_clock() -> WallClock {
    let now = monotonic();
    let lead = nanoseconds(clock_gettime(ClockId::Realtime)) - i128::from(now);
    WallClock { lead: lead as i64, now }
}

/// The kernel's tick: the resolution of the coarse clock is one (`ktime_get_coarse`, all versions).
pub fn ticks() -> Ticks {
    let tick = nanoseconds(clock_getres(ClockId::MonotonicCoarse)).max(1) as u64;
    Ticks { hz: (1_000_000_000 + tick / 2) / tick }
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("monotonic           0         0\nboottime            0         0\n", 0, 0)]
    #[case("monotonic  3600  5\nboottime  -2  999999999\n", 3_600_000_000_005, -1_000_000_001)]
    #[case("", 0, 0)]
    #[case("monotonic x 1\nboottime 7", 0, 0)]
    fn a_time_namespace_has_clocks_of_its_own(
        #[case] text: &str,
        #[case] monotonic: i128,
        #[case] boot_time: i128,
    ) {
        assert_eq!(Ahead::parse(text), Ahead { monotonic, boot_time });
    }
}
