//! The kernel's clocks.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use crate::{model::time_wait::Ticks, sink::wall_clock::WallClock};

/// Now, nanoseconds of `CLOCK_MONOTONIC`: the clock of `bpf_ktime_get_ns`.
pub fn monotonic() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic)) as u64
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
